"""Upgrade: alembic, told where our migrations are and which connection they use."""

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from chargehand.store.sqlite import connect


def configured(connection: Connection | None = None) -> Config:
    """Alembic's settings; there is no ini file."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version, inside of the transaction of `connection`."""
    command.upgrade(configured(connection), "head")


def upgrade_file(path: Path, busy_s: float) -> None:
    """Bring the tables of a SQLite file to the newest version, in one transaction.

    Raises:
        sqlite3.Error: It cannot be.
    """
    engine = engine_of(path, busy_s)
    try:
        with engine.begin() as connection:
            upgrade(connection)
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def engine_of(path: Path, busy_s: float) -> Engine:
    """An engine for a file that is there, whose transactions write and keep what they wrote."""
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: connect(path, busy_s),
        hide_parameters=True,
        poolclass=NullPool,
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
