"""Retention: what is old enough to go."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, select

from chargehand.store.engine import Database
from chargehand.store.tables import job_invocation, output, template_invocation

_AT_ONCE: Final = 20
"""Invocations removed in one transaction, so that nobody who writes waits for long."""

_INVOCATION_BYTES: Final = 2048
_SHARE_BYTES: Final = 512
_INVOCATION: Final = job_invocation.c


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
        some = _INVOCATION.id.in_(doomed[start : start + _AT_ONCE])
        database.write(lambda connection, some=some: connection.execute(delete(job_invocation).where(some)))  # type: ignore[misc]
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


def _doomed(
    connection: Connection, *, keep: int | None, older_than: datetime | None, max_bytes: int | None
) -> list[int]:
    """The ids of those that go, the oldest first.

    A job with a time of its own is kept from starting again by its row: as long as its file is there, nothing
    else remembers that it ran.
    """
    over = select(_INVOCATION.id, _INVOCATION.ended_at).where(
        _INVOCATION.state == "stopped", _INVOCATION.schedule_key.is_(None)
    )
    rows = connection.execute(over.order_by(_INVOCATION.id.desc())).all()
    sizes = _sizes(connection) if max_bytes is not None else {}
    doomed, taken = [], 0
    for position, (number, ended_at) in enumerate(rows):
        taken += sizes.get(number, 0) + _INVOCATION_BYTES
        old = older_than is not None and ended_at is not None and ended_at < older_than
        many = keep is not None and position >= keep
        large = max_bytes is not None and taken > max_bytes
        if old or many or large:
            doomed.append(number)
    return doomed[::-1]


def _sizes(connection: Connection) -> dict[int, int]:
    """About how many bytes the hosts of each invocation take."""
    share = template_invocation.c
    printed = (
        select(output.c.template_invocation_id, func.sum(func.length(output.c.content)).label("bytes"))
        .group_by(output.c.template_invocation_id)
        .subquery()
    )
    statement = (
        select(share.job_invocation_id, func.count(), func.coalesce(func.sum(printed.c.bytes), 0))
        .outerjoin(printed, printed.c.template_invocation_id == share.id)
        .group_by(share.job_invocation_id)
    )
    return {
        number: int(size) + shares * _SHARE_BYTES for number, shares, size in connection.execute(statement)
    }
