"""History: what ran, read."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from chargehand.event import Stream
from chargehand.report.invocation import Counts, InvocationRecord
from chargehand.result import CapturedOutput
from chargehand.store.engine import Database
from chargehand.store.lookup import MOST, counts_of, unknown_hosts, unknown_invocation
from chargehand.store.retention import size_bytes
from chargehand.store.rows import STREAM_NAMES, STREAMS, Pieces, Row, launch_of, record_of, share_of
from chargehand.store.runsearch import RunSearch, search_runs
from chargehand.store.tables import job_invocation, output, recurring_logic, template_invocation
from chargehand.store.values import Page, Stored, StoredChunk, StoredShare, Unfinished

_INVOCATION: Final = job_invocation.c
_SHARE: Final = template_invocation.c
_OUTPUT: Final = output.c
_CHUNKS_AT_ONCE: Final = 64


class History:
    """What ran, to be read. No read keeps the database from being written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, invocation_id: int, *, with_output: bool = True) -> Stored:
        """One invocation with its hosts.

        Args:
            invocation_id: Of the invocation.
            with_output: Whether results hold what was printed; without, they hold its size and its sum.

        Raises:
            UnknownInvocationError: There is none of that number; names the newest.
        """

        def step(connection: Connection) -> Stored:
            this = select(job_invocation).where(_INVOCATION.id == invocation_id)
            found = connection.execute(this).mappings().first() if invocation_id <= MOST else None
            if found is None:
                raise unknown_invocation(connection, invocation_id)
            row: Row = dict(found)
            recurrence = _recurrences(connection, [row]).get(row["recurring_logic_id"])
            return _stored(row, recurrence, _shares(connection, invocation_id, with_output=with_output))

        return self._database.read(step)

    def page(
        self,
        where: ColumnElement[bool] | None = None,
        *,
        limit: int,
        offset: int = 0,
        oldest_first: bool = False,
    ) -> Page:
        """A part of the list of invocations, the newest first.

        Args:
            where: Which ones; None means all.
            limit: How many at most.
            offset: How many are left out before.
            oldest_first: Whether they come the other way round.
        """

        def step(connection: Connection) -> Page:
            total = connection.execute(select(func.count()).select_from(job_invocation)).scalar_one()
            subtotal, numbers = _wanted(connection, where, slice(offset, offset + limit), oldest_first)
            whole = select(job_invocation).where(_INVOCATION.id.in_(numbers))
            rows = {row["id"]: dict(row) for row in connection.execute(whole).mappings()}
            recurrences = _recurrences(connection, rows.values())
            running = [number for number in numbers if rows[number]["state"] == "running"]
            counts = counts_of(connection, running) if running else {}
            records = (
                record_of(
                    rows[number],
                    recurrence=recurrences.get(rows[number]["recurring_logic_id"]),
                    counts=counts.get(number) or _kept_counts(rows[number]),
                )
                for number in numbers
            )
            return Page(total=total, subtotal=subtotal, records=tuple(records))

        return self._database.read(step)

    def search(self, query: str, *, caller: str, now: datetime, time_zone: tzinfo = UTC) -> RunSearch:
        """Read a query over invocations, for `page`; see `search_runs`.

        Raises:
            QueryError: It is not understood, or too large for a database.
        """
        return search_runs(query, caller=caller, now=now, dialect=self._database.dialect, time_zone=time_zone)

    def outputs(
        self, invocation_id: int, host: str | None = None, after: Mapping[str, int] | None = None
    ) -> Iterator[StoredChunk]:
        """What scripts printed, host by host in the order of the run; a piece at a time is in memory.

        Args:
            invocation_id: Of the invocation.
            host: Whose; None means every host's.
            after: The last sequence number that is known already, by host.

        Raises:
            UnknownInvocationError: There is no such invocation.
            UsageError: It has no host of that name.
        """
        for share_id, name, last in self._database.read(
            lambda connection: _spoken(connection, invocation_id, host)
        ):
            known = (after or {}).get(name, -1)
            while known < last:
                rows = self._chunks(share_id, known)
                for row in rows:
                    known = row.sequence
                    yield StoredChunk(
                        host_name=name,
                        sequence=row.sequence,
                        at=row.at,
                        stream=STREAM_NAMES[row.stream],
                        offset_bytes=row.offset_bytes,
                        content=row.content,
                    )
                if not rows:  # removed meanwhile
                    break

    def status_before(self, record: InvocationRecord) -> str | None:
        """The status label of the last run of the same job before; None when none began that is over."""
        origin = record.provenance
        if origin is None or origin.playbook is None:
            return None
        statement = (
            select(_INVOCATION.status_label)
            .where(_INVOCATION.playbook == origin.playbook, _INVOCATION.job_name == origin.job_name)
            .where(_INVOCATION.state == "stopped", _INVOCATION.started_at.is_not(None))
            .where(_INVOCATION.id < record.id)
            .order_by(_INVOCATION.id.desc())
            .limit(1)
        )
        return self._database.read(lambda connection: connection.execute(statement).scalar())

    def last_of(self, playbook: str, number: int, name: str) -> InvocationRecord | None:
        """The newest invocation of a job that began or was to, without its hosts; None when there is none."""
        same = _INVOCATION.job_name == name if name else _INVOCATION.job_number == number
        began = _INVOCATION.started_at.is_not(None) | (_INVOCATION.status_label != "cancelled")
        return next(iter(self.page((_INVOCATION.playbook == playbook) & same & began, limit=1).records), None)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """Every invocation that is not over, the oldest first."""
        columns = (
            _INVOCATION.id,
            _INVOCATION.state,
            _INVOCATION.runner_id,
            _INVOCATION.start_at,
            _INVOCATION.recurring_logic_id,
        )
        open_now = _INVOCATION.state.in_(("scheduled", "planned", "running"))
        statement = select(*columns).where(open_now).order_by(_INVOCATION.id)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(Unfinished(*row) for row in rows)

    def last_sign(self, invocation_id: int) -> datetime | None:
        """When an invocation was last worked at: launched, due, started, or about to send a script."""
        shares = select(func.max(_SHARE.intended_at)).where(_SHARE.job_invocation_id == invocation_id)
        statement = select(
            _INVOCATION.created_at, _INVOCATION.start_at, _INVOCATION.started_at, shares.scalar_subquery()
        )
        this = statement.where(_INVOCATION.id == invocation_id)
        row = self._database.read(lambda connection: connection.execute(this).first())
        return max((moment for moment in row or () if moment is not None), default=None)

    def size_bytes(self) -> int:
        """How much room the store takes."""
        return size_bytes(self._database)

    def _chunks(self, share_id: int, after: int) -> Sequence[Any]:
        statement = (
            select(_OUTPUT.sequence, _OUTPUT.at, _OUTPUT.stream, _OUTPUT.offset_bytes, _OUTPUT.content)
            .where(_OUTPUT.template_invocation_id == share_id, _OUTPUT.sequence > after)
            .order_by(_OUTPUT.sequence)
            .limit(_CHUNKS_AT_ONCE)
        )
        return self._database.read(lambda connection: [*connection.execute(statement)])


def _wanted(
    connection: Connection, where: ColumnElement[bool] | None, part: slice, oldest_first: bool
) -> tuple[int, Sequence[int]]:
    """How many invocations are wanted, and the ids of a part of them; a condition is asked once for both."""
    every = select(_INVOCATION.id)
    wanted = (
        every.subquery() if where is None else every.where(where).cte("wanted").prefix_with("MATERIALIZED")
    )
    count = select(func.count()).select_from(wanted)
    order = wanted.c.id.asc() if oldest_first else wanted.c.id.desc()
    ids = select(wanted.c.id, count.scalar_subquery()).order_by(order).slice(part.start, part.stop)
    rows = connection.execute(ids).all()
    if rows:
        return rows[0][1], [row[0] for row in rows]
    return (connection.execute(count).scalar_one() if part.start else 0), []


def _stored(row: Row, recurrence: Row | None, shares: tuple[StoredShare, ...]) -> Stored:
    return Stored(
        record=record_of(row, recurrence=recurrence, shares=shares),
        launch=launch_of(row["launch"]),
        runner_id=row["runner_id"],
        idempotent=row["idempotent"],
        logic_id=row["recurring_logic_id"],
        occurrence=row["occurrence"],
        exit_code=row["exit_code"],
        cancel_requested=bool(row["cancel_requested"]),
        created_at=row["created_at"],
        shares=shares,
    )


def _recurrences(connection: Connection, rows: Iterable[Row]) -> dict[int, Row]:
    """The recurring logics that invocations belong to, by id."""
    numbers = {row["recurring_logic_id"] for row in rows} - {None}
    if not numbers:
        return {}
    statement = select(recurring_logic).where(recurring_logic.c.id.in_(numbers))
    return {row["id"]: dict(row) for row in connection.execute(statement).mappings()}


def _kept_counts(row: Row) -> Counts | None:
    """The counts of an invocation that does not run: those of its end, or that everybody is pending."""
    if row["total"] is None:
        return None
    if row["succeeded"] is None:
        return Counts(total=row["total"], pending=row["total"])
    return Counts(
        total=row["total"], succeeded=row["succeeded"], failed=row["failed"], cancelled=row["cancelled"]
    )


def _shares(connection: Connection, invocation_id: int, *, with_output: bool) -> tuple[StoredShare, ...]:
    statement = select(template_invocation).where(_SHARE.job_invocation_id == invocation_id)
    rows = connection.execute(statement.order_by(_SHARE.position)).mappings().all()
    pieces = _pieces(connection, invocation_id) if with_output else {}
    return tuple(share_of(dict(row), _outputs(dict(row), pieces.get(row["id"]))) for row in rows)


def _pieces(connection: Connection, invocation_id: int) -> dict[int, dict[Stream, Pieces]]:
    """What was printed, by share and stream."""
    statement = (
        select(_OUTPUT.template_invocation_id, _OUTPUT.stream, _OUTPUT.offset_bytes, _OUTPUT.content)
        .join(template_invocation, _SHARE.id == _OUTPUT.template_invocation_id)
        .where(_SHARE.job_invocation_id == invocation_id)
        .order_by(_OUTPUT.template_invocation_id, _OUTPUT.sequence)
    )
    found: dict[int, dict[Stream, Pieces]] = defaultdict(lambda: {name: Pieces() for name in STREAMS})
    for share_id, stream, offset, content in connection.execute(statement):
        found[share_id][STREAM_NAMES[stream]].add(offset, content)
    return found


def _outputs(row: Row, pieces: Mapping[Stream, Pieces] | None) -> dict[Stream, CapturedOutput]:
    return {
        name: (pieces[name] if pieces else Pieces()).output(row[f"{name}_size_bytes"], row[f"{name}_sha256"])
        for name in STREAMS
    }


def _spoken(connection: Connection, invocation_id: int, host: str | None) -> list[tuple[int, str, int]]:
    """The shares that printed something, with the last sequence number of each."""
    if (
        invocation_id > MOST
        or not connection.execute(select(_INVOCATION.id).where(_INVOCATION.id == invocation_id)).first()
    ):
        raise unknown_invocation(connection, invocation_id)
    own = _SHARE.job_invocation_id == invocation_id
    if host is not None:
        names = connection.execute(select(_SHARE.host_name).where(own)).scalars().all()
        if host not in names:
            raise unknown_hosts({host}, names, invocation_id)
        own &= _SHARE.host_name == host
    last = func.max(_OUTPUT.sequence)
    statement = (
        select(_SHARE.id, _SHARE.host_name, last)
        .join(output, _OUTPUT.template_invocation_id == _SHARE.id)
        .where(own)
        .group_by(_SHARE.id, _SHARE.host_name, _SHARE.position)
        .order_by(_SHARE.position)
    )
    return [(share_id, name, number) for share_id, name, number in connection.execute(statement)]
