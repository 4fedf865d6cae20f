"""The engine: one database, steps that are done in it as a whole or not at all, and its errors in words."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from chargehand.errors import StoreError
from chargehand.past.file import Trouble
from chargehand.past.reading import Dialect, Reader, Row

T = TypeVar("T")
_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long a database is waited for, in seconds.

    Attributes:
        busy_s: For another writer.
        opening_s: For a server that does not answer when the store is opened.
        lost_s: For a server that went away.
    """

    busy_s: float = 10
    opening_s: float = 5
    lost_s: float = 60


class Backend(Protocol):
    """One kind of database.

    Attributes:
        name: For messages; holds no password.
        engine: Whose connections begin a transaction that reads.
        writer: The same, for transactions that write.
    """

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def engine(self) -> Engine:
        """For transactions that read."""

    @property
    def writer(self) -> Engine:
        """For transactions that write."""

    def writing(self) -> AbstractContextManager[object]:
        """Around every transaction that writes; raises StoreError when what was written is lost."""

    def moment(self, clock: Callable[[], datetime], ago: timedelta) -> datetime | ColumnElement[datetime]:
        """The moment so long ago, by the clock that everybody who uses the database shares."""

    def explain(self, error: DBAPIError) -> Trouble:
        """What an error means."""

    def free(self) -> None:
        """Give the space back that deleted rows took."""


class Database:
    """One database. Safe from many threads.

    A step gets a connection inside of a transaction. What it did is durable when `write` returns and
    undone when it raises. A step may be done more than once, when a server went away before it could answer:
    so a step that finds its own work done says so and changes nothing.

    Attributes:
        name: For messages; holds no password.
        dialect: Which kind it is.
        clock: The time, aware, UTC.
        source: The same, for statements in plain SQL.
    """

    def __init__(self, backend: Backend, *, clock: Callable[[], datetime], waits: Waits) -> None:
        self.name = backend.name
        self.dialect: Dialect = "sqlite" if backend.engine.dialect.name == "sqlite" else "postgresql"
        self.clock = clock
        self._backend = backend
        self._waits = waits
        self._broken = ""
        self.source: Final = DatabaseSource(self)

    def write(self, step: Callable[[Connection], T]) -> T:
        """Do `step`, durably.

        Raises:
            StoreError: It cannot be; nothing of it was done, as far as anybody can know.
        """

        def once() -> T:
            if self._broken:
                raise StoreError(self._broken)
            with self._backend.writing(), self._backend.writer.begin() as connection:
                return step(connection)

        return self._patiently(once, self._waits.lost_s)

    def read(self, step: Callable[[Connection], T]) -> T:
        """Do `step`, which only reads, and sees the database as it is at one moment.

        Raises:
            StoreError: It cannot be read.
        """

        def once() -> T:
            try:
                with self._backend.engine.begin() as connection:
                    return step(connection)
            except (ValueError, KeyError) as error:
                what = f"holds what Chargehand never wrote ({error!r})"
                raise StoreError(f"{self.name}: {what}; put a backup in place") from error

        return self._patiently(once, self._waits.lost_s)

    def open(self, attempt: Callable[[], None]) -> None:
        """Do what makes the database ready; less patient with a server that does not answer.

        Raises:
            StoreError: It cannot be used.
        """
        try:
            self._patiently(attempt, self._waits.opening_s)
        except StoreError as error:
            self.close()
            raise (
                error if str(error).startswith(self.name) else StoreError(f"{self.name}: {error}")
            ) from error

    def now(self, ago: timedelta = timedelta()) -> datetime | ColumnElement[datetime]:
        """The moment so long ago, as a value of a `Moment` column, by the server's clock if there is one."""
        return self._backend.moment(self.clock, ago)

    def free(self) -> None:
        """Give the space back that deleted rows took."""
        self._patiently(self._backend.free, self._waits.lost_s)

    def close(self) -> None:
        """Let go of the database."""
        self._backend.engine.dispose()

    def _patiently(self, attempt: Callable[[], T], patience_s: float) -> T:
        """Try until it works or is certain not to; `patience_s` in all."""
        until = time.monotonic() + patience_s
        tries = 0
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                trouble = self._backend.explain(error)
                pause_s = _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]
                if not trouble.passing or time.monotonic() + pause_s > until:
                    raise self._refusal(trouble) from error
            except (SQLAlchemyError, OverflowError, UnicodeDecodeError) as error:
                raise StoreError(f"{self.name}: {error}") from error
            tries += 1
            time.sleep(pause_s)

    def _refusal(self, trouble: Trouble) -> StoreError:
        words = f"{self.name}: {trouble.words}"
        if trouble.lasting:
            self._broken = words
        return StoreError(words)


class ConnectionRows:
    """A database as a transaction sees it, for statements in plain SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """What a statement finds; a name after a colon stands for the value of that name."""
        found = self._connection.execute(text(statement), dict(values or {}))
        names = tuple(found.keys())
        return [dict(zip(names, row, strict=True)) for row in found]


class _DatabaseReader(ConnectionRows):
    """The same, with what all who read need to know."""

    def __init__(self, database: Database, connection: Connection) -> None:
        super().__init__(connection)
        self.dialect = database.dialect
        self._database = database

    def now(self) -> datetime:
        """The time by the clock that everybody who uses the database shares."""
        now = self._database.now()
        if isinstance(now, datetime):
            return now
        told: datetime = self._connection.execute(select(now)).scalar_one()
        return told


class DatabaseSource:
    """A database, for statements in plain SQL."""

    def __init__(self, database: Database) -> None:
        self.dialect: Final = database.dialect
        self._database = database

    def read(self, step: Callable[[Reader], T]) -> T:
        """Do `step`, which only reads, and sees the database as it is at one moment."""
        return self._database.read(lambda connection: step(_DatabaseReader(self._database, connection)))
