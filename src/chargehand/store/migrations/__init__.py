"""Migrations: which version of the tables a database has, and how it gets the newest.

Alembic does it, and is not even loaded as long as there is nothing to do.
"""

from importlib import import_module
from typing import Final

from sqlalchemy import Connection, inspect, text

from chargehand.errors import StoreError
from chargehand.past.file import VERSION

HEAD: Final = VERSION

_KNOWN: Final = ("0001", HEAD)


def version_of(connection: Connection) -> str | None:
    """The version of the tables of a database; None when it has none.

    Raises:
        StoreError: It is not one of ours, or of a newer Chargehand.
    """
    tables = inspect(connection)
    if not tables.has_table("alembic_version"):
        if tables.has_table("job_invocation"):
            raise StoreError("there are tables without a version; is it another program's database?")
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if len(found) != 1 or found[0] not in _KNOWN:
        raise StoreError(
            f"its tables have version {', '.join(found) or 'none'}, this Chargehand knows up to {HEAD}; "
            "update Chargehand, or use another database"
        )
    return str(found[0])


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest version, inside of the transaction of `connection`."""
    import_module("chargehand.store.migrations.upgrade").upgrade(connection)
