"""Tables that are made by what alembic sent when it made the first ones, without alembic.

Only empty databases are filled so; one of an older version is brought up to date by alembic.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection, event, inspect

from chargehand.store.migrations import upgrade

Migrate = Callable[[Connection], None]
_sent: dict[str, list[str]] = {}
"""By dialect; no statement has parameters."""


def remember() -> None:
    """Have the stores of this process, and of those it forks, make their tables so from now on."""
    upgrade.upgrade = partial(_migrate, upgrade.upgrade)


def _migrate(migrate: Migrate, connection: Connection) -> None:
    dialect = connection.dialect.name
    if inspect(connection).has_table("alembic_version"):
        migrate(connection)
    elif dialect in _sent:
        for statement in _sent[dialect]:
            connection.exec_driver_sql(statement)
    else:
        with _overheard(connection) as statements:
            migrate(connection)
        _sent[dialect] = statements


@contextmanager
def _overheard(connection: Connection) -> Iterator[list[str]]:
    """What is sent meanwhile, save what only asks."""
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if not statement.lstrip().startswith(("PRAGMA", "SELECT")):
            assert not parameters, statement
            heard.append(statement)

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(connection, "before_cursor_execute", hear)
