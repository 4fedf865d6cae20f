"""What goes into the store and comes out of it, as values."""

from dataclasses import field
from datetime import datetime
from typing import NamedTuple

from chargehand.errors import Problem
from chargehand.event import Stream
from chargehand.frozen import frozen
from chargehand.past.reading import Clause
from chargehand.provenance import Launch
from chargehand.report.invocation import InvocationRecord
from chargehand.result import HostResult


@frozen
class Share:
    """One host's share of an invocation that is about to be written down.

    Attributes:
        host_name: As the inventory spells it.
        host_id: Of the host.
        token: Names the script's folder on the host; None when there is no script.
        script_sha256: Of the script with its secrets masked, in hex.
    """

    host_name: str
    host_id: int
    token: str | None = None
    script_sha256: str | None = None


@frozen
class StoredShare:
    """One host's share of an invocation, as the store has it.

    Attributes:
        id: Of the template invocation.
        host_name: As the inventory spelt it.
        host_id: Of the host.
        position: In the order of the run, from 0.
        state: ``queued``, ``starting`` (a script may have been sent), ``running`` or ``stopped``.
        status: As in the JSON; ``pending`` until it stopped.
        token: Names the script's folder on the host; None when there never was a script.
        script_sha256: Of the script with its secrets masked, in hex.
        intended_at: When the script was about to be sent, the last time.
        settled: Whether the host was told to remove that folder.
        reconciled: Whether the result was learned from what the host kept.
        cancel_requested: Whether somebody wants this host stopped.
        result: What came out; None until it stopped.
    """

    id: int
    host_name: str
    host_id: int
    position: int
    state: str
    status: str
    token: str | None
    script_sha256: str | None
    intended_at: datetime | None
    settled: bool
    reconciled: bool
    cancel_requested: bool
    result: HostResult | None


@frozen
class Stored:
    """An invocation as the store has it.

    Attributes:
        record: What is told of it.
        launch: What it takes to launch it again.
        runner_id: Who carries it out; None when nobody does yet.
        idempotent: Whether a host cut off by a crash may be run again.
        logic_id: The recurring logic that it belongs to.
        occurrence: The time of that logic that it stands for.
        exit_code: That the command ended with; None before.
        cancel_requested: Whether somebody wants all of it stopped.
        created_at: When it was written down.
        shares: One for every host, in the order of the run; empty as long as they are not looked up.
    """

    record: InvocationRecord
    launch: Launch
    runner_id: str | None
    idempotent: bool
    logic_id: int | None
    occurrence: datetime | None
    exit_code: int | None
    cancel_requested: bool
    created_at: datetime
    shares: tuple[StoredShare, ...]


@frozen
class StoredChunk:
    """Something that a script printed.

    Attributes:
        host_name: Whose.
        sequence: From 0 for every host, over both streams.
        at: When it was heard.
        stream: Which of the two.
        offset_bytes: How many bytes the stream had before; what is missing was left out.
        content: What was printed, secrets masked.
    """

    host_name: str
    sequence: int
    at: datetime
    stream: Stream
    offset_bytes: int
    content: bytes = field(repr=False)


@frozen
class Page:
    """A part of a list of invocations.

    Attributes:
        total: How many there are.
        subtotal: How many of them were asked for.
        records: One page of those, without hosts and results: their counts instead.
    """

    total: int
    subtotal: int
    records: tuple[InvocationRecord, ...]


@frozen
class CancelRequest:
    """What somebody wants stopped of an invocation.

    Attributes:
        force: None when not all of it; else whether hosts need not confirm that they stopped.
        hosts: Names of single hosts that are to stop.
        forced: Those of them that need not confirm it.
    """

    force: bool | None = None
    hosts: frozenset[str] = frozenset()
    forced: frozenset[str] = frozenset()


class Unfinished(NamedTuple):
    """An invocation that is not over.

    Attributes:
        id: Of the invocation.
        state: ``scheduled``, ``planned`` or ``running``.
        runner_id: Who carries it out; None when nobody does yet.
        start_at: When it started or is to start.
        logic_id: The recurring logic that it belongs to.
    """

    id: int
    state: str
    runner_id: str | None
    start_at: datetime | None
    logic_id: int | None


@frozen(kw_only=False)
class RunSearch:
    """A query over runs that was understood.

    Attributes:
        clause: What a row of `job_invocation` must meet; true or false, never NULL.
        warnings: What its author may have meant otherwise.
    """

    clause: Clause
    warnings: tuple[Problem, ...]

    def beyond(self, invocation_id: int, *, oldest_first: bool) -> Clause:
        """The same, of invocations that come after that one in a list."""
        after = f"job_invocation.id {'>' if oldest_first else '<'} {int(invocation_id)}"
        return Clause(sql=f"{after} AND {self.clause.sql}", values=self.clause.values)
