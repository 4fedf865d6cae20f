"""The store: what ran, runs and is to run, in SQLite or PostgreSQL."""

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

from chargehand.past import (
    CancelRequest,
    History,
    Page,
    Share,
    Stored,
    StoredChunk,
    StoredShare,
    Unfinished,
    file_of,
)
from chargehand.past.folder import check_local, prepare_folder
from chargehand.store.engine import Database, Waits
from chargehand.store.invocations import Invocations
from chargehand.store.logics import Logics
from chargehand.store.revisions import Revision, Revisions
from chargehand.store.runners import Runner, Runners
from chargehand.store.sqlite import open_file

__all__ = [
    "CancelRequest",
    "Page",
    "Revision",
    "Runner",
    "Share",
    "Store",
    "Stored",
    "StoredChunk",
    "StoredShare",
    "Unfinished",
    "Waits",
    "open_store",
]


class Store:
    """The store; safe from many threads, and left as a context manager.

    Attributes:
        dialect: ``sqlite`` or ``postgresql``.
        name: The file or the server, for messages; holds no password.
        invocations: To write down what runs.
        history: To read what ran.
        logics: The recurring logics.
        revisions: Which commit of a tracked repository is in force.
        runners: Who is alive.
        source: Where all of it is read from.
    """

    def __init__(self, database: Database) -> None:
        self.name = database.name
        self.invocations = Invocations(database)
        self.source = database
        self.history = History(database)
        self.logics = Logics(database)
        self.revisions = Revisions(database)
        self.runners = Runners(database)
        self.dialect = database.dialect
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()


def open_store(url: str, *, state: Path, clock: Callable[[], datetime], waits: Waits | None = None) -> Store:
    """Open the store, made when there is none, its tables brought to the newest version.

    Args:
        url: ``postgresql://...`` or ``sqlite:///...``; an empty one means a file in `state`.
        state: The folder for what this machine keeps; made when it is not there.
        clock: The time, aware, UTC.
        waits: How long the database is waited for.

    Raises:
        StoreError: It cannot be used, with the reason and what to do.
    """
    waits = waits or Waits()
    prepare_folder(state)
    path = file_of(url, state)
    if path is not None:
        check_local(path.parent)
        return Store(Database(open_file(path, clock=clock, busy_s=waits.busy_s), waits=waits))
    # What only a server needs takes long to load.
    return Store(import_module("chargehand.store.postgresql").open_server(url, waits=waits))
