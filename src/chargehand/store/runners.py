"""Runners: who carries invocations out, and whether they are alive."""

import fcntl
import os
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chargehand.errors import StoreError
from chargehand.past.folder import prepare_folder
from chargehand.past.runners import KnownRunners, is_locked, this_machine
from chargehand.store.engine import Connection, Database
from chargehand.store.statements import inserting

_FOLDER: Final = "runners"
_DRAFT: Final = ".new-"
FORGOTTEN: Final = timedelta(days=1)
"""After so long in silence nothing is kept of a runner."""


class Runner:
    """This process, as one that carries invocations out; holds its lock as long as it lives.

    Attributes:
        id: Of the runner.
    """

    def __init__(self, database: Database, number: str, lock: int, path: Path) -> None:
        self.id = number
        self._database = database
        self._lock = lock
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Be a runner no longer."""
        lock, self._lock = self._lock, -1
        if lock < 0:
            return
        with suppress(OSError):
            self._path.unlink()
        os.close(lock)
        with suppress(StoreError):  # it is silent from now on, which says the same a little later
            self._database.write(lambda connection: _forget(connection, self.id))


class Runners(KnownRunners):
    """Who carries invocations out, and becomes one of them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._machine = this_machine()

    def register(self, state: Path) -> Runner:
        """Become a runner; a context manager.

        Args:
            state: The folder for what this machine keeps.

        Raises:
            StoreError: It cannot be written down.
        """
        number = uuid.uuid4().hex
        path, lock = _take_lock(state, number)
        dead = [each for each in path.parent.iterdir() if is_locked(each) is False]

        def step(connection: Connection) -> None:
            now = connection.now()
            connection.change("DELETE FROM runner WHERE seen_at < :silent", {"silent": now - FORGOTTEN})
            for each in (*(each.name for each in dead), number):
                _forget(connection, each)
            row = {"id": number, "machine": self._machine, "pid": os.getpid(), "lock_file": str(path)}
            connection.change(inserting("runner", (*row, "seen_at")), {**row, "seen_at": now})

        try:
            self._database.write(step)
        except BaseException:
            os.close(lock)
            raise
        for each in dead:
            each.unlink(missing_ok=True)
        return Runner(self._database, number, lock, path)

    def beat(self, runner_id: str) -> None:
        """Say that a runner is alive; to be said more often than once in 60 s."""
        statement = "UPDATE runner SET seen_at = :now WHERE id = :this"
        self._database.write(
            lambda connection: connection.change(statement, {"now": connection.now(), "this": runner_id})
        )


def _take_lock(state: Path, number: str) -> tuple[Path, int]:
    """The lock file of a new runner, locked before it has its name."""
    folder = state / _FOLDER
    prepare_folder(state)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = folder / f"{_DRAFT}{number}"
        lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return draft.rename(folder.absolute() / number), lock
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise StoreError(f"{folder}: no runner can be registered: {error.strerror}") from error


def _forget(connection: Connection, runner_id: str) -> None:
    connection.change("DELETE FROM runner WHERE id = :this", {"this": runner_id})
