"""Migrations: which version of the tables a database has, and how it gets the newest.

Alembic does it, and is not even loaded as long as there is nothing to do.
"""

from importlib import import_module
from pathlib import Path
from typing import Final

from chargehand.errors import StoreError
from chargehand.past.file import VERSION
from chargehand.past.reading import Reader

HEAD: Final = VERSION

_KNOWN: Final = ("0001", HEAD)
_TABLES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ({})",
    "postgresql": "SELECT name FROM unnest(ARRAY[{}]) AS name WHERE to_regclass(name) IS NOT NULL",
}


def version_of(reader: Reader) -> str | None:
    """The version of the tables of a database; None when it has none.

    Raises:
        StoreError: It is not one of ours, or of a newer Chargehand.
    """
    asked = _TABLES[reader.dialect].format("'alembic_version', 'job_invocation'")
    tables = {row["name"] for row in reader.rows(asked)}
    if "alembic_version" not in tables:
        if tables:
            raise StoreError("there are tables without a version; is it another program's database?")
        return None
    found = [row["version_num"] for row in reader.rows("SELECT version_num FROM alembic_version")]
    if len(found) != 1 or found[0] not in _KNOWN:
        raise StoreError(
            f"its tables have version {', '.join(map(str, found)) or 'none'}, "
            f"this Chargehand knows up to {HEAD}; update Chargehand, or use another database"
        )
    return str(found[0])


def migrate(connection: object) -> None:
    """Bring the tables to the newest version, inside of the transaction of a connection of SQLAlchemy."""
    import_module("chargehand.store.migrations.upgrade").upgrade(connection)


def migrate_file(path: Path, busy_s: float) -> None:
    """Bring the tables of a SQLite file to the newest version, in one transaction."""
    import_module("chargehand.store.migrations.upgrade").upgrade_file(path, busy_s)
