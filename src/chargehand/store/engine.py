"""The engine: one database, steps that are done in it as a whole or not at all, and its errors in words.

Statements are plain SQL, the same for every database; a name after a colon stands for the value of that name.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from chargehand.errors import StoreError
from chargehand.frozen import frozen
from chargehand.past.file import Trouble
from chargehand.past.reading import Dialect, Reader

T = TypeVar("T")
_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)


@frozen
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


class Connection(Reader, Protocol):
    """A transaction. Values are given as they are meant, and put into columns as `past.columns` says."""

    def change(self, statement: str, values: Mapping[str, object] | None = None) -> int:
        """Do a statement; how many rows it changed."""

    def change_each(self, statement: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Do a statement for every row of values; how many rows they changed in all."""

    def add(self, statement: str, values: Mapping[str, object]) -> int | None:
        """Insert one row; its id, and None when it was in the way of another one and nothing was done."""


class Backend(Protocol):
    """One kind of database.

    Attributes:
        name: For messages; holds no password.
        dialect: Which kind it is.
    """

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def dialect(self) -> Dialect:
        """Which kind it is."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that reads, and sees the database as it is at one moment."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that writes; raises StoreError when what was written is lost."""

    def explain(self, error: Exception) -> Trouble | None:
        """What an error means; None when it is not one of the database."""

    def free(self) -> None:
        """Give the space back that deleted rows took."""

    def close(self) -> None:
        """Let go of the database."""


class Database:
    """One database. Safe from many threads.

    A step gets a connection inside of a transaction. What it did is durable when `write` returns and
    undone when it raises. A step may be done more than once, when a server went away before it could answer:
    so a step that finds its own work done says so and changes nothing.

    Attributes:
        name: For messages; holds no password.
        dialect: Which kind it is.
    """

    def __init__(self, backend: Backend, *, waits: Waits) -> None:
        self.name = backend.name
        self.dialect: Dialect = backend.dialect
        self._backend = backend
        self._waits = waits
        self._broken = ""

    def write(self, step: Callable[[Connection], T]) -> T:
        """Do `step`, durably.

        Raises:
            StoreError: It cannot be; nothing of it was done, as far as anybody can know.
        """

        def once() -> T:
            if self._broken:
                raise StoreError(self._broken)
            with self._backend.writing() as connection:
                return step(connection)

        return self._patiently(once, self._waits.lost_s)

    def read(self, step: Callable[[Connection], T]) -> T:
        """Do `step`, which only reads, and sees the database as it is at one moment.

        Raises:
            StoreError: It cannot be read.
        """

        def once() -> T:
            try:
                with self._backend.reading() as connection:
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

    def free(self) -> None:
        """Give the space back that deleted rows took."""
        self._patiently(self._backend.free, self._waits.lost_s)

    def close(self) -> None:
        """Let go of the database."""
        self._backend.close()

    def _patiently(self, attempt: Callable[[], T], patience_s: float) -> T:
        """Try until it works or is certain not to; `patience_s` in all."""
        until = time.monotonic() + patience_s
        tries = 0
        while True:
            try:
                return attempt()
            except Exception as error:
                trouble = self._backend.explain(error)
                if trouble is None:
                    if isinstance(error, (OverflowError, UnicodeError)):
                        raise StoreError(f"{self.name}: {error}") from error
                    raise
                pause_s = _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]
                if not trouble.passing or time.monotonic() + pause_s > until:
                    raise self._refusal(trouble) from error
            tries += 1
            time.sleep(pause_s)

    def _refusal(self, trouble: Trouble) -> StoreError:
        words = f"{self.name}: {trouble.words}"
        if trouble.lasting:
            self._broken = words
        return StoreError(words)
