"""Runners: who carries invocations out, and whether they are alive."""

import fcntl
import os
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import Connection, delete, insert, select, update

from chargehand.errors import StoreError
from chargehand.store import tables
from chargehand.store.engine import Database
from chargehand.store.folder import prepare_folder

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_FOLDER: Final = "runners"
_DRAFT: Final = ".new-"
SILENCE: Final = timedelta(seconds=60)
"""A runner of another machine that was not heard of for longer is taken for dead."""

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


class Runners:
    """Who carries invocations out."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._machine = _machine()

    def register(self, state: Path) -> Runner:
        """Become a runner; a context manager.

        Args:
            state: The folder for what this machine keeps.

        Raises:
            StoreError: It cannot be written down.
        """
        number = uuid.uuid4().hex
        path, lock = _take_lock(state, number)
        dead = [each for each in path.parent.iterdir() if _is_locked(each) is False]

        def step(connection: Connection) -> None:
            silent = tables.runner.c.seen_at < self._database.now(FORGOTTEN)
            names = [each.name for each in dead]
            connection.execute(delete(tables.runner).where(silent | tables.runner.c.id.in_(names)))
            _forget(connection, number)
            row = {"id": number, "machine": self._machine, "pid": os.getpid(), "lock_file": str(path)}
            connection.execute(insert(tables.runner).values(**row, seen_at=self._database.now()))

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
        statement = update(tables.runner).where(tables.runner.c.id == runner_id)
        self._database.write(
            lambda connection: connection.execute(statement.values(seen_at=self._database.now()))
        )

    def is_alive(self, runner_id: str | None) -> bool:
        """Whether a runner is: it holds its lock, or is of another machine and was heard of lately."""
        if runner_id is None:
            return False
        columns = tables.runner.c
        heard = columns.seen_at > self._database.now(SILENCE)
        statement = select(columns.machine, columns.lock_file, heard).where(columns.id == runner_id)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        if row is None:
            return False
        machine, lock_file, heard_lately = row
        locked = _is_locked(Path(lock_file)) if machine == self._machine else None
        return bool(heard_lately) if locked is None else locked


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


def _is_locked(path: Path) -> bool | None:
    """Whether somebody holds a lock; None when there is none that can be seen from here."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def _forget(connection: Connection, runner_id: str) -> None:
    connection.execute(delete(tables.runner).where(tables.runner.c.id == runner_id))


def _machine() -> str:
    """Names this boot of this machine: after the next one, nobody of before is alive."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return f"{os.uname().nodename}"
