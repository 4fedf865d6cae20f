"""Retention: what is old enough to go."""

from datetime import datetime
from functools import partial
from typing import Final

from chargehand.past.columns import microseconds_of
from chargehand.past.lookup import listed
from chargehand.store.engine import Connection, Database

_AT_ONCE: Final = 20
"""Invocations removed in one transaction, so that nobody who writes waits for long."""

_INVOCATION_BYTES: Final = 2048
_SHARE_BYTES: Final = 512
_SIZES: Final = (
    "SELECT job_invocation_id AS id, count(*) AS shares, coalesce(sum(bytes), 0) AS bytes "
    "FROM template_invocation LEFT JOIN "
    "(SELECT template_invocation_id, sum(length(content)) AS bytes FROM output "
    "GROUP BY template_invocation_id) AS printed "
    "ON printed.template_invocation_id = template_invocation.id GROUP BY job_invocation_id"
)


def prune(database: Database, *, keep: int | None, older_than: datetime | None, max_bytes: int | None) -> int:
    """Remove stopped invocations that any of the limits is against; how many.

    Args:
        database: Of the store.
        keep: So many of the newest stopped ones stay, as far as this limit goes.
        older_than: Those that ended before go.
        max_bytes: The newest that take no more in all stay; by what they hold, not by the file.
    """
    doomed = prunable(database, keep=keep, older_than=older_than, max_bytes=max_bytes)
    for start in range(0, len(doomed), _AT_ONCE):
        statement = f"DELETE FROM job_invocation WHERE id IN ({listed(doomed[start : start + _AT_ONCE])})"  # noqa: S608
        database.write(partial(_change, statement))
    if doomed:
        database.free()
    return len(doomed)


def prunable(
    database: Database, *, keep: int | None, older_than: datetime | None, max_bytes: int | None
) -> list[int]:
    """The ids of those that `prune` would remove, the oldest first."""
    return database.read(
        lambda connection: _doomed(connection, keep=keep, older_than=older_than, max_bytes=max_bytes)
    )


def _change(statement: str, connection: Connection) -> int:
    return connection.change(statement)


def _doomed(
    connection: Connection, *, keep: int | None, older_than: datetime | None, max_bytes: int | None
) -> list[int]:
    """The ids of those that go, the oldest first.

    A job with a time of its own is kept from starting again by its row: as long as its file is there, nothing
    else remembers that it ran.
    """
    rows = connection.rows(
        "SELECT id, ended_at FROM job_invocation WHERE state = 'stopped' AND schedule_key IS NULL "
        "ORDER BY id DESC"
    )
    sizes = _sizes(connection) if max_bytes is not None else {}
    limit = None if older_than is None else microseconds_of(older_than)
    doomed, taken = [], 0
    for position, row in enumerate(rows):
        number, ended_at = row["id"], row["ended_at"]
        taken += sizes.get(number, 0) + _INVOCATION_BYTES
        old = limit is not None and ended_at is not None and ended_at < limit
        many = keep is not None and position >= keep
        large = max_bytes is not None and taken > max_bytes
        if old or many or large:
            doomed.append(number)
    return doomed[::-1]


def _sizes(connection: Connection) -> dict[int, int]:
    """About how many bytes the hosts of each invocation take."""
    return {row["id"]: int(row["bytes"]) + row["shares"] * _SHARE_BYTES for row in connection.rows(_SIZES)}
