"""Columns: values as databases hold them, and back.

Moments are microseconds since 1970, UTC. SQLite knows neither truth values nor JSON: 0 and 1, and text.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chargehand.expression import expression
from chargehand.past.reading import Row

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNTOLD: Final = expression("[\x00\ud800-\udfff]")
_MOMENTS: Final = frozenset(
    (
        "at",
        "created_at",
        "end_time",
        "ended_at",
        "intended_at",
        "last_occurrence",
        "occurrence",
        "paused_until",
        "reached_at",
        "scheduled_at",
        "seen_at",
        "seen_until",
        "since",
        "start_at",
        "start_before",
        "started_at",
        "taken_at",
        "tried_at",
    )
)
_TRUTHS: Final = frozenset(
    ("dirty", "idempotent", "pty", "randomized_ordering", "reconciled", "removed", "resolved", "settled")
)
_AS_IT_IS: Final = frozenset((type(None), bool, int, float, bytes))
_JSON: Final = frozenset(("hosts", "inputs", "job_location", "job_organization", "launch"))


def microseconds_of(moment: datetime) -> int:
    """A moment as a column holds it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The moment that a column holds, aware, UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def tellable(text: str) -> str:
    """A text as every database takes it; what none takes - NUL, half a surrogate pair - as an escape."""
    return _UNTOLD.sub(lambda match: rf"\u{ord(match[0]):04x}", str(text))


def kept(values: Mapping[str, object]) -> dict[str, Any]:
    """Values as columns hold them."""
    return {
        name: value
        if type(value) in _AS_IT_IS or (type(value) is str and value.isprintable())
        else _kept(value)
        for name, value in values.items()
    }


def _kept(value: object) -> object:
    if isinstance(value, str):
        return tellable(value)
    if isinstance(value, datetime):
        return microseconds_of(value)
    return json.dumps(value) if isinstance(value, (dict, list, tuple)) else value


def told(row: Row) -> Row:
    """A row with its columns as what they mean; a test holds them against the tables."""
    return {name: value if value is None else _told(name, value) for name, value in row.items()}


def _told(name: str, value: Any) -> Any:  # noqa: ANN401 - as the database gave it
    if name in _MOMENTS:
        return moment_of(value)
    if name in _TRUTHS:
        return bool(value)
    if name in _JSON and isinstance(value, str):
        return json.loads(value)
    return value
