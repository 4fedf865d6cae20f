"""Rows: what the store holds of invocations, shares and outputs, as values."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final

from chargehand.event import Stream
from chargehand.past.reading import Row
from chargehand.past.values import StoredShare
from chargehand.provenance import Launch, Provenance
from chargehand.report.invocation import Counts, InputRecord, InvocationRecord, TargetingRecord
from chargehand.result import CapturedOutput, HostResult, Status

STREAMS: Final[Mapping[Stream, int]] = {"stdout": 1, "stderr": 2}
STREAM_NAMES: Final[Mapping[int, Stream]] = {number: name for name, number in STREAMS.items()}

SAME: Final = (
    "description",
    "job_category",
    "task_id",
    "state",
    "ssh_user",
    "time_to_pickup",
    "concurrency_level",
    "execution_timeout_interval",
    "template_id",
    "template_name",
    "effective_user",
    "job_organization",
    "job_location",
    "code",
    "reason",
    "ended_at",
)
TARGETING: Final = (
    "search_query",
    "targeting_type",
    "bookmark_id",
    "bookmark_name",
    "user_id",
    "randomized_ordering",
    "missing",
)
PROVENANCE: Final = tuple(field.name for field in fields(Provenance))
"""Columns of an invocation that are called what the fields of its record are called."""

_RECURRENCE: Final = (
    "id",
    "cron_line",
    "time_zone",
    "end_time",
    "iteration",
    "max_iteration",
    "purpose",
    "state",
)


def launch_of(columns: Mapping[str, Any]) -> Launch:
    """What it takes to launch an invocation again."""
    lists = {name: tuple(columns[name]) for name in ("left_out", "inventory")}
    return Launch(**{**columns, **lists})


def record_of(
    row: Row,
    *,
    recurrence: Row | None,
    shares: tuple[StoredShare, ...] = (),
    counts: Counts | None = None,
) -> InvocationRecord:
    """What is told of an invocation.

    Args:
        row: Of `job_invocation`.
        recurrence: Of `recurring_logic`.
        shares: Of it; none of them when it is told without its hosts.
        counts: In place of its hosts; None with them.
    """
    hosts = tuple((share.host_name, share.host_id) for share in shares)
    whole = row["resolved"] and counts is None
    scheduling = (row["scheduled_at"], row["start_before"])
    return InvocationRecord(
        **{name: row[name] for name in SAME},
        id=row["id"],
        targeting=TargetingRecord(
            **{name: row[name] for name in TARGETING}, id=row["id"], hosts=hosts if whole else None
        ),
        start_at=row["start_at"],
        begun=row["started_at"] is not None,
        cancelled=row["status_label"] == "cancelled",
        results=tuple(share.result for share in shares if share.result),
        counts=counts,
        inputs=tuple(InputRecord(**each) for each in row["inputs"]),
        recurrence=recurrence_of(recurrence) if recurrence else None,
        scheduling=None if scheduling == (None, None) else scheduling,
        provenance=Provenance(**{name: row[name] for name in PROVENANCE}) if row["user"] else None,
    )


def recurrence_of(row: Row) -> dict[str, object]:
    """A recurring logic as the API shows one in an invocation."""
    end_time: datetime | None = row["end_time"]
    shown = end_time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if end_time else None
    return {name: row[name] for name in _RECURRENCE} | {"end_time": shown}


def share_of(row: Row, outputs: Mapping[Stream, CapturedOutput]) -> StoredShare:
    """One host's share of an invocation."""
    names = ("id", "host_name", "host_id", "position", "state", "status", "token", "script_sha256")
    return StoredShare(
        **{name: row[name] for name in names},
        intended_at=row["intended_at"],
        settled=row["settled"],
        reconciled=row["reconciled"],
        cancel_requested=bool(row["cancel_requested"]),
        result=_result(row, outputs) if row["state"] == "stopped" else None,
    )


def _result(row: Row, outputs: Mapping[Stream, CapturedOutput]) -> HostResult:
    names = (
        "exit_status",
        "signal",
        "started_at",
        "duration_s",
        "code",
        "reason",
        "noise",
        "pty",
        "attempts",
    )
    return HostResult(
        host=row["host_name"],
        host_id=row["host_id"],
        status=Status(row["status"]),
        stdout=outputs["stdout"],
        stderr=outputs["stderr"],
        **{name: row[name] for name in names},
    )


class Pieces:
    """One stream put together from what was kept of it, piece by piece, in order.

    What follows a gap is the end of the stream only if nothing is missing after it.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._tail_at = 0
        self._end = 0

    def add(self, offset: int, content: bytes) -> None:
        """Take the next piece."""
        if offset == len(self._head) and not self._tail:
            self._head += content
        elif offset == self._tail_at + len(self._tail) and self._tail:
            self._tail += content
        else:
            self._tail_at, self._tail = offset, bytearray(content)
        self._end = max(self._end, offset + len(content))

    def output(self, size_bytes: int, sha256: str | None) -> CapturedOutput:
        """The stream, of which so many bytes came with that sum, as far as that is known."""
        head = bytes(self._head)
        if size_bytes < self._end and not self._tail:
            sha256 = hashlib.sha256(head).hexdigest()
        size = max(size_bytes, self._end)
        tail = bytes(self._tail) if self._end == size else b""
        return CapturedOutput(head=head, tail=tail, size_bytes=size, sha256=sha256 or CapturedOutput().sha256)
