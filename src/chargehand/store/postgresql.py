"""PostgreSQL: a history that several machines share."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    cast,
    create_engine,
    event,
    extract,
    func,
    literal,
    text,
    type_coerce,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from chargehand.errors import StoreError
from chargehand.past.file import Trouble
from chargehand.store.migrations import HEAD, migrate, version_of
from chargehand.store.tables import Moment

_LOCK: Final = text("SELECT pg_advisory_xact_lock(7163082351321639012)")
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


class Server:
    """A database on a PostgreSQL server.

    Attributes:
        name: For messages; holds no password.
        engine: Whose transactions read, each at one moment.
        writer: Whose transactions write.
    """

    def __init__(self, url: URL) -> None:
        place = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
        self.name = place.render_as_string()
        try:
            self.writer = create_engine(
                url.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                max_overflow=-1,
                connect_args={"connect_timeout": 10, "application_name": "chargehand", **_keepalives(url)},
            )
        except ImportError as error:
            raise StoreError("PostgreSQL needs a driver: pip install 'chargehand[postgresql]'") from error
        event.listen(self.writer, "connect", _set_up)
        self.engine = self.writer.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._secret = url.password

    def writing(self) -> AbstractContextManager[object]:
        """Nothing to do: the server keeps what it took."""
        return nullcontext()

    def moment(
        self,
        clock: Callable[[], datetime],  # noqa: ARG002
        ago: timedelta,
    ) -> datetime | ColumnElement[datetime]:
        """The moment so long ago, by the server's clock."""
        microseconds = extract("epoch", func.clock_timestamp()) * 1_000_000
        past = literal(ago // timedelta(microseconds=1), BigInteger)
        return type_coerce(cast(microseconds, BigInteger) - past, Moment)

    def explain(self, error: DBAPIError) -> Trouble:
        """What an error means."""
        code = getattr(error.orig, "sqlstate", None) or ""
        detail = " ".join(str(error.orig).split())
        if self._secret:
            detail = detail.replace(str(self._secret), "***")
        lost = error.connection_invalidated or (not code and type(error.orig).__name__ == "OperationalError")
        words = _TROUBLES.get(code) or _TROUBLES.get(code[:2]) or ("the server is gone" if lost else "")
        return Trouble(f"{words}: {detail}" if words else detail, passing=lost or code.startswith(_PASSING))

    def free(self) -> None:
        """Let the space of deleted rows be used again."""
        with self.writer.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for table in ("output", "template_invocation", "job_invocation"):
                connection.execute(text(f"VACUUM {table}"))

    def bring_up_to_date(self) -> None:
        """Make the tables, or bring them to the newest version; one starter at a time.

        Raises:
            StoreError: They are of a newer Chargehand, or another program's.
        """
        with self.writer.begin() as connection:
            if version_of(connection) == HEAD:
                return
            connection.execute(_LOCK)
            if version_of(connection) != HEAD:
                migrate(connection)


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
