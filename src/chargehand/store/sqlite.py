"""SQLite: a history in one file, that nobody but its owner reads.

The file is made under another name and gets its own when it is complete, so one that is empty is damaged.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from chargehand.errors import StoreError
from chargehand.past import file as files
from chargehand.past.file import DAMAGED, TROUBLES, Trouble, explain
from chargehand.past.folder import check_owner, locked
from chargehand.store.migrations import HEAD, migrate, version_of

_WAL_BYTES: Final = 16 << 20


def open_file(path: Path, *, busy_s: float) -> "SqliteFile":
    """The history in the file at `path`, made when it is not there, its tables the newest.

    Raises:
        StoreError: The file is damaged or not ours, or its place is not safe.
    """
    with _told(path), locked(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            _make(path, busy_s)
        if not path.stat().st_size:
            raise StoreError(TROUBLES["SQLITE_CORRUPT"].format(path=path))
        check_owner(path)
        file = SqliteFile(path, busy_s=busy_s)
        try:
            _bring_up_to_date(file)
        except BaseException:
            file.engine.dispose()
            raise
        return file


def _make(path: Path, busy_s: float) -> None:
    """Make the file, which gets its name when it is complete; what an earlier try left is dropped."""
    for ending in ("-wal", "-journal"):
        if path.with_name(path.name + ending).exists():
            raise StoreError(
                f"the file is gone, but {path.name}{ending} is there; put it back, or remove both"
            )
    draft = path.with_name(f"{path.name}.new")
    for ending in ("", "-wal", "-shm", "-journal"):
        draft.with_name(draft.name + ending).unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    engine = connect(draft, busy_s)
    try:
        _pragma(engine, "auto_vacuum=INCREMENTAL")
        with engine.begin() as connection:
            migrate(connection)
        _pragma(engine, "journal_mode=WAL")
    finally:
        engine.dispose()
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _bring_up_to_date(file: "SqliteFile") -> None:
    with file.engine.begin() as connection:
        version = version_of(connection)
    if version is None:
        raise StoreError(TROUBLES["SQLITE_CORRUPT"].format(path=file.path))
    if version != HEAD:
        with file.writer.begin() as connection:
            migrate(connection)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever goes wrong meanwhile is a StoreError that names the file."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(f"{path}: {explain(path, error.orig).words}") from error
    except StoreError as error:
        raise error if str(error).startswith("/") else StoreError(f"{path}: {error}") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: {DAMAGED.format(path=path)}") from error


def _pragma(engine: Engine, pragma: str) -> None:
    """Set what cannot be set inside of a transaction."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.executescript(f"PRAGMA {pragma}")


class SqliteFile:
    """A history in one file.

    Attributes:
        path: Of the file.
        name: For messages.
        engine: Whose transactions read.
        writer: Whose transactions write.
    """

    def __init__(self, path: Path, *, busy_s: float) -> None:
        self.path = path
        self.name = str(path)
        self._busy_s = busy_s
        self._turn = threading.Lock()
        self._identity = _identity(path)
        self.engine = connect(path, busy_s)
        self.writer = self.engine.execution_options(begin="BEGIN IMMEDIATE")

    def writing(self) -> AbstractContextManager[object]:
        """One thread of ours at a time; the file is still the one that was opened, before and after."""
        return self._writing()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._busy_s):
            raise StoreError(f"{self.name}: {TROUBLES['SQLITE_BUSY']}")
        try:
            self._check()
            yield
            self._check()
        finally:
            self._turn.release()

    def moment(self, clock: Callable[[], datetime], ago: timedelta) -> datetime | ColumnElement[datetime]:
        """The moment so long ago; who uses a file shares a machine's clock."""
        return clock() - ago

    def explain(self, error: DBAPIError) -> Trouble:
        """What an error means."""
        return explain(self.path, error.orig)

    def free(self) -> None:
        """Give the pages of deleted rows back to the disk."""
        with self._writing():
            _pragma(self.engine, "incremental_vacuum")  # a page a step, and a script takes every step
            _pragma(self.engine, "wal_checkpoint(TRUNCATE)")

    def _check(self) -> None:
        if _identity(self.path) != self._identity:
            raise StoreError(
                f"{self.name}: the file was removed or replaced while in use; put it back, start again"
            )


def connect(path: Path, busy_s: float) -> Engine:
    """An engine for a file that is there; it makes none."""
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: files.connect(path, busy_s),
        hide_parameters=True,
        poolclass=QueuePool,
        max_overflow=-1,
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(driver: sqlite3.Connection, _: object) -> None:
    for pragma in ("foreign_keys=ON", "synchronous=FULL", f"journal_size_limit={_WAL_BYTES}"):
        driver.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
