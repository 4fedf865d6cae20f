"""The fields of one host's share of a run: how it ended."""

from collections.abc import Callable
from typing import Final

from chargehand.result import HostResult, Status
from chargehand.search.fields import Field, FieldTable, Kind

_FIELDS: Final[dict[str, tuple[Kind, Callable[[HostResult], object]]]] = {
    "name": ("text", lambda result: result.host),
    "host": ("text", lambda result: result.host),
    "id": ("integer", lambda result: result.host_id),
    "exit_status": ("integer", lambda result: result.exit_status),
    "signal": ("text", lambda result: result.signal),
    "code": ("text", lambda result: result.code or None),
    "reason": ("text", lambda result: result.reason or None),
    "started_at": ("date", lambda result: result.started_at),
    "duration_s": ("number", lambda result: result.duration_s),
    "attempts": ("integer", lambda result: result.attempts),
    "stdout": ("text", lambda result: result.stdout.text() or None),
    "stderr": ("text", lambda result: result.stderr.text() or None),
}


def result_fields() -> FieldTable[HostResult]:
    """The fields of results; one without an outcome is ``pending``."""
    fields = {name: Field(name, kind, read) for name, (kind, read) in _FIELDS.items()}
    statuses = tuple(str(status) for status in Status)
    fields["status"] = Field("status", "text", lambda result: str(result.status), choices=statuses)
    return FieldTable(
        fields=fields,
        free=("name",),
        advice="hosts of a run have name, id, status, exit_status, code, reason, ...",
    )
