"""The past: what ran, read.

A list of what ran is to come at once, so nothing here needs a library: statements are plain SQL, and a
SQLite file is read with what Python brings along. `chargehand.store` makes stores, writes into them, and
reaches PostgreSQL.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chargehand.errors import StoreError
from chargehand.past.file import HistoryFile, is_readable
from chargehand.past.folder import check_local, prepare_folder
from chargehand.past.history import History
from chargehand.past.reading import Clause, Reader, Row, Source
from chargehand.past.values import CancelRequest, Page, Share, Stored, StoredChunk, StoredShare, Unfinished

__all__ = [
    "CancelRequest",
    "Clause",
    "History",
    "Page",
    "Past",
    "Reader",
    "Row",
    "Share",
    "Source",
    "Stored",
    "StoredChunk",
    "StoredShare",
    "Unfinished",
    "file_of",
    "open_past",
]

FILE_NAME: Final = "history.db"
_FILE: Final = "sqlite:///"
_BUSY_S: Final = 10.0


class Past:
    """What ran, in a file, to be read; left as a context manager.

    Attributes:
        source: Where it is read from.
        history: What ran.
    """

    def __init__(self, file: HistoryFile) -> None:
        self.source: Final[Source] = file
        self.history: Final = History(file)
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def open_past(url: str, *, state: Path, clock: Callable[[], datetime]) -> Past | None:
    """Open a store to read it.

    Args:
        url: As `open_store` takes it.
        state: The folder for what this machine keeps; made when it is not there.
        clock: The time, aware, UTC.

    Returns:
        None when `open_store` must do it: there is no store yet, its tables are not the newest, something
        is wrong with it, or it is on a server.

    Raises:
        StoreError: It must not be used, with the reason and what to do.
    """
    prepare_folder(state)
    path = file_of(url, state)
    if path is None or not is_readable(path, _BUSY_S):
        return None
    check_local(path.parent)
    return Past(HistoryFile(path, clock=clock, busy_s=_BUSY_S))


def file_of(url: str, state: Path) -> Path | None:
    """The file of a store; None when it is none.

    Raises:
        StoreError: The file has no whole path.
    """
    if not url:
        return state / FILE_NAME
    if not url.startswith("sqlite:"):
        return None
    name = url.removeprefix(_FILE).partition("?")[0]
    if not url.startswith(_FILE) or not name.startswith("/"):
        raise StoreError(
            "the file of the store needs a whole path, such as sqlite:////var/lib/chargehand/history.db"
        )
    return Path(name)
