"""PostgreSQL: a history that several machines share."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import URL, Connection, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from chargehand.errors import StoreError
from chargehand.past.columns import kept, moment_of
from chargehand.past.file import Trouble
from chargehand.past.reading import Row
from chargehand.store.engine import Database, Waits
from chargehand.store.migrations import HEAD, migrate, version_of

_LOCK: Final = "SELECT pg_advisory_xact_lock(7163082351321639012)"
"""Whoever migrates holds it; the number says `chargehd`."""

_PASSING: Final = (
    "08",  # the connection is gone
    "40",  # serialization, deadlock
    "53300",  # too many connections
    "57P01",  # the server or an administrator ended the session
    "57P02",
    "57P03",  # the server is starting or stopping
    "57014",  # a statement took too long
    "55P03",  # a lock was held for too long
    "25006",  # read only: a standby that is about to be promoted
)
_TROUBLES: Final = {
    "53100": "the disk of the server is full; make room",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left for us; raise max_connections or run fewer programs",
    "25006": "the server only reads; is it a standby?",
    "28": "the server refuses the user or the password",
    "3D000": "there is no such database; `createdb` makes it",
    "42501": "the user may not do that; grant it the schema and the tables",
    "57014": "the server took too long",
    "55P03": "another program has been holding a lock for too long; end it, or try again later",
    "42P01": "a table is missing; put a backup in place, or use another database",
    "XX001": "the server found damaged data; put a backup in place",
    "XX002": "the server found damaged data; put a backup in place",
}
_SET_UP: Final = (
    "SET lock_timeout = '10s'",
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET client_encoding = 'UTF8'",
    "SELECT set_config(name, 'on', false) FROM pg_settings"  # noqa: ISC004 - one statement
    " WHERE name = 'synchronous_commit' AND setting = 'off'",
)


_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"


def open_server(url: str, *, waits: Waits) -> Database:
    """The database that a URL names, its tables the newest.

    Raises:
        StoreError: It cannot be used, with the reason and what to do.
    """
    server = Server(_parse(url))
    database = Database(server, waits=waits)
    database.open(server.bring_up_to_date)
    return database


def _parse(url: str) -> URL:
    """The parts of a URL. No message shows it: there may be a password in it."""
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        kind = ""
    if kind not in {"postgresql", "postgres"}:
        raise StoreError("the URL of the store is not understood; write postgresql://user@host/database")
    return parsed


class ServerConnection:
    """A transaction on a server."""

    dialect: Final = "postgresql"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """What a statement finds."""
        found = self._connection.execute(text(statement), kept(values or {}))
        names = tuple(found.keys())
        return [dict(zip(names, row, strict=True)) for row in found]

    def change(self, statement: str, values: Mapping[str, object] | None = None) -> int:
        """Do a statement; how many rows it changed."""
        return self._connection.execute(text(statement), kept(values or {})).rowcount

    def change_each(self, statement: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Do a statement for every row of values; how many rows they changed in all."""
        return self._connection.execute(text(statement), [kept(row) for row in rows]).rowcount

    def add(self, statement: str, values: Mapping[str, object]) -> int | None:
        """Insert one row; its id, and None when nothing was done."""
        statement = f"{statement} ON CONFLICT DO NOTHING RETURNING id"
        found: int | None = self._connection.execute(text(statement), kept(values)).scalar()
        return found

    def now(self) -> datetime:
        """By the server's clock."""
        return moment_of(self.rows(_NOW)[0]["now"])


class Server:
    """A database on a PostgreSQL server.

    Attributes:
        name: For messages; holds no password.
        engine: Whose transactions write.
    """

    dialect: Final = "postgresql"

    def __init__(self, url: URL) -> None:
        place = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
        self.name = place.render_as_string()
        try:
            self.engine = create_engine(
                url.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                max_overflow=-1,
                connect_args={"connect_timeout": 10, "application_name": "chargehand", **_keepalives(url)},
            )
        except ImportError as error:
            raise StoreError("PostgreSQL needs a driver: pip install 'chargehand[postgresql]'") from error
        event.listen(self.engine, "connect", _set_up)
        self._reader = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._secret = url.password

    @contextmanager
    def reading(self) -> Iterator[ServerConnection]:
        """A transaction that reads, at one moment."""
        with self._reader.begin() as connection:
            yield ServerConnection(connection)

    @contextmanager
    def writing(self) -> Iterator[ServerConnection]:
        """A transaction that writes: the server keeps what it took."""
        with self.engine.begin() as connection:
            yield ServerConnection(connection)

    def explain(self, error: Exception) -> Trouble | None:
        """What an error means."""
        if not isinstance(error, DBAPIError):
            return Trouble(str(error)) if isinstance(error, SQLAlchemyError) else None
        code = getattr(error.orig, "sqlstate", None) or ""
        detail = " ".join(str(error.orig).split())
        if self._secret:
            detail = detail.replace(str(self._secret), "***")
        lost = error.connection_invalidated or (not code and type(error.orig).__name__ == "OperationalError")
        words = _TROUBLES.get(code) or _TROUBLES.get(code[:2]) or ("the server is gone" if lost else "")
        return Trouble(f"{words}: {detail}" if words else detail, passing=lost or code.startswith(_PASSING))

    def free(self) -> None:
        """Let the space of deleted rows be used again."""
        with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for table in ("output", "template_invocation", "job_invocation"):
                connection.execute(text(f"VACUUM {table}"))

    def bring_up_to_date(self) -> None:
        """Make the tables, or bring them to the newest version; one starter at a time.

        Raises:
            StoreError: They are of a newer Chargehand, or another program's.
        """
        with self.engine.begin() as connection:
            seen = ServerConnection(connection)
            if version_of(seen) == HEAD:
                return
            connection.execute(text(_LOCK))
            if version_of(seen) != HEAD:
                migrate(connection)

    def close(self) -> None:
        """Let go of the server."""
        self.engine.dispose()


def _keepalives(url: URL) -> dict[str, int]:
    """How soon a server is noticed that is gone without a word; not for sockets in the file system."""
    if not url.host or url.host.startswith("/"):
        return {}
    return {
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }


def _set_up(driver: DBAPIConnection, _: object) -> None:
    cursor = driver.cursor()
    for statement in _SET_UP:
        cursor.execute(statement)
    cursor.close()
    driver.commit()
