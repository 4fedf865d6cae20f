"""A history in a SQLite file, read with nothing but Python's own library."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from chargehand.errors import StoreError
from chargehand.frozen import frozen
from chargehand.past.columns import kept
from chargehand.past.folder import check_owner
from chargehand.past.reading import Dialect, Reader, Row, T

VERSION: Final = "0002"
"""Of the tables that this module reads, the newest; a test holds it against the migrations."""

DAMAGED: Final = (
    "the file is damaged or no history; move it away and put a backup in its place, or save what "
    "`sqlite3 {path} .recover` can read"
)
TROUBLES: Final = {
    "SQLITE_BUSY": "another program has been writing to it for too long; end it, or try again later",
    "SQLITE_LOCKED": "another program has been writing to it for too long; end it, or try again later",
    "SQLITE_FULL": "the disk is full; make room",
    "SQLITE_READONLY": "it cannot be written; check the owner and the mode of the file and its folder",
    "SQLITE_PERM": "it cannot be written; check the owner and the mode of the file and its folder",
    "SQLITE_CANTOPEN": "it cannot be opened; check the owner and the mode of the file and its folder",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_NOTADB": DAMAGED,
    "SQLITE_IOERR": "the disk does not work: {detail}",
}


@frozen(kw_only=False)
class Trouble:
    """What an error of a database means.

    Attributes:
        words: What is wrong and how to put it right, in one line.
        passing: Whether the same step may succeed a little later.
        lasting: Whether nothing may be written any more.
    """

    words: str
    passing: bool = False
    lasting: bool = False


class FileReader:
    """A file as it is at one moment.

    Attributes:
        driver: Inside of a transaction.
    """

    dialect: Final[Dialect] = "sqlite"

    def __init__(self, driver: sqlite3.Connection, clock: Callable[[], datetime]) -> None:
        self.driver = driver
        self.now = clock

    def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """What a statement finds; a name after a colon stands for the value of that name."""
        cursor = self.driver.execute(statement, kept(values or {}))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


class HistoryFile:
    """A history in one file, to be read by one thread.

    Args:
        path: Of a file with the newest tables.
        clock: The time, aware, UTC.
        busy_s: How long another program is waited for.
    """

    dialect: Final[Dialect] = "sqlite"

    def __init__(self, path: Path, *, clock: Callable[[], datetime], busy_s: float) -> None:
        self._path = path
        self._clock = clock
        self._driver = connect(path, busy_s)

    def read(self, step: Callable[[Reader], T]) -> T:
        """Do `step`, which sees the file as it is at one moment.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            self._driver.execute("BEGIN")
            try:
                return step(FileReader(self._driver, self._clock))
            finally:
                self._driver.rollback()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {explain(self._path, error).words}") from error
        except (ValueError, KeyError, OverflowError) as error:
            what = f"holds what Chargehand never wrote ({error!r})"
            raise StoreError(f"{self._path}: {what}; put a backup in place") from error

    def close(self) -> None:
        """Let go of the file."""
        self._driver.close()


def is_readable(path: Path, busy_s: float) -> bool:
    """Whether there is a history of ours in a file, and its tables are the newest.

    Raises:
        StoreError: Others may write into the file.
    """
    try:
        if not path.stat().st_size:
            return False
        check_owner(path)
        driver = connect(path, busy_s)
        try:
            return driver.execute("SELECT version_num FROM alembic_version").fetchall() == [(VERSION,)]
        finally:
            driver.close()
    except (OSError, sqlite3.Error):  # whoever opens the store to write says what is wrong with it
        return False


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection to a file that is there; it makes none, and transactions are begun by hand."""
    driver = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
    )
    driver.execute("PRAGMA trusted_schema=OFF")
    driver.create_function("casefold", 1, _casefold, deterministic=True)
    return driver


def explain(path: Path, error: BaseException | None) -> Trouble:
    """What an error of SQLite means; the longer names of errors begin with the shorter ones."""
    name = getattr(error, "sqlite_errorname", None) or ""
    short = "_".join(name.split("_")[:2])
    if short == "SQLITE_IOERR" and _is_full(path):
        short = "SQLITE_FULL"
    words = TROUBLES.get(short, "{detail}").format(path=path, detail=f"{error} ({name or 'no code'})")
    return Trouble(words, lasting=short in {"SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB"})


def _is_full(path: Path) -> bool:
    """Whether the disk is; SQLite calls it an I/O error where it maps memory."""
    try:
        return os.statvfs(path.parent).f_bavail == 0
    except OSError:
        return False


def _casefold(text: str | None) -> str | None:
    """For searches; SQLite by itself folds ASCII only."""
    return text and text.casefold()
