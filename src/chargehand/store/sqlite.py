"""SQLite: a history in one file, that nobody but its owner reads.

The file is made under another name and gets its own when it is complete, so one that is empty is damaged.
It is written with nothing but Python's own library, once its tables are the newest.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from chargehand.errors import StoreError
from chargehand.past import file as files
from chargehand.past.columns import kept
from chargehand.past.file import DAMAGED, TROUBLES, FileReader, Trouble, explain
from chargehand.past.folder import check_owner, locked
from chargehand.store.engine import Connection
from chargehand.store.migrations import HEAD, migrate_file, version_of

_WAL_BYTES: Final = 16 << 20
_PAGE_BYTES: Final = 4096
_SET_UP: Final = (
    "foreign_keys=ON",
    "synchronous=FULL",
    f"journal_size_limit={_WAL_BYTES}",
    f"wal_autocheckpoint={_WAL_BYTES // _PAGE_BYTES}",
)


def open_file(path: Path, *, clock: Callable[[], datetime], busy_s: float) -> "SqliteFile":
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
        file = SqliteFile(path, clock=clock, busy_s=busy_s)
        try:
            _bring_up_to_date(file, busy_s)
        except BaseException:
            file.close()
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
    _pragma(draft, busy_s, "auto_vacuum=INCREMENTAL")
    migrate_file(draft, busy_s)
    _pragma(draft, busy_s, "journal_mode=WAL")
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _bring_up_to_date(file: "SqliteFile", busy_s: float) -> None:
    with file.reading() as connection:
        version = version_of(connection)
    if version is None:
        raise StoreError(TROUBLES["SQLITE_CORRUPT"].format(path=file.path))
    if version != HEAD:
        migrate_file(file.path, busy_s)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever goes wrong meanwhile is a StoreError that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {explain(path, error).words}") from error
    except StoreError as error:
        raise error if str(error).startswith("/") else StoreError(f"{path}: {error}") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: {DAMAGED.format(path=path)}") from error


def _pragma(path: Path, busy_s: float, pragma: str) -> None:
    """Set what cannot be set inside of a transaction; a script takes every step of it."""
    driver = connect(path, busy_s)
    try:
        driver.executescript(f"PRAGMA {pragma}")
    finally:
        driver.close()


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection that keeps what it wrote through a loss of power."""
    driver = files.connect(path, busy_s)
    for pragma in _SET_UP:
        driver.execute(f"PRAGMA {pragma}")
    return driver


class FileConnection(FileReader):
    """A transaction in a file.

    Attributes:
        driver: Whose transaction it is.
    """

    def change(self, statement: str, values: Mapping[str, object] | None = None) -> int:
        """Do a statement; how many rows it changed."""
        return self.driver.execute(statement, kept(values or {})).rowcount

    def change_each(self, statement: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Do a statement for every row of values; how many rows they changed in all."""
        return self.driver.executemany(statement, map(kept, rows)).rowcount

    def add(self, statement: str, values: Mapping[str, object]) -> int | None:
        """Insert one row; its id, and None when nothing was done."""
        made = self.driver.execute(f"{statement} ON CONFLICT DO NOTHING", kept(values))
        return made.lastrowid if made.rowcount else None


class SqliteFile:
    """A history in one file.

    Attributes:
        path: Of the file.
        name: For messages.
    """

    dialect: Final = "sqlite"

    def __init__(self, path: Path, *, clock: Callable[[], datetime], busy_s: float) -> None:
        self.path = path
        self.name = str(path)
        self._clock = clock
        self._busy_s = busy_s
        self._turn = threading.Lock()
        self._identity = _identity(path)
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that reads."""
        return self._transaction("BEGIN")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One thread of ours at a time; the file is still the one that was opened, before and after."""
        with self._in_turn(), self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def explain(self, error: Exception) -> Trouble | None:
        """What an error means."""
        return explain(self.path, error) if isinstance(error, sqlite3.Error) else None

    def free(self) -> None:
        """Give the pages of deleted rows back to the disk."""
        with self._in_turn():
            for pragma in ("incremental_vacuum", "wal_checkpoint(TRUNCATE)"):
                _pragma(self.path, self._busy_s, pragma)

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._busy_s):
            raise StoreError(f"{self.name}: {TROUBLES['SQLITE_BUSY']}")
        try:
            self._check()
            yield
            self._check()
        finally:
            self._turn.release()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        """A connection of its own as long as it lasts; one that failed is not used again."""
        try:
            driver = self._idle.pop()
        except IndexError:
            driver = connect(self.path, self._busy_s)
        try:
            driver.execute(begin)
            yield FileConnection(driver, self._clock)
            driver.execute("COMMIT")
        except BaseException:
            driver.close()  # which undoes what was not committed
            raise
        self._idle.append(driver)
        if self._closed:
            self.close()

    def _check(self) -> None:
        if _identity(self.path) != self._identity:
            raise StoreError(
                f"{self.name}: the file was removed or replaced while in use; put it back, start again"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - asked twice in every transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino
