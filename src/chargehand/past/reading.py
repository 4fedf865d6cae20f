"""Reading: statements in plain SQL, the same for every database, and the moments at which they are asked."""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from chargehand.frozen import frozen

T = TypeVar("T")
Dialect = Literal["sqlite", "postgresql"]
Row = Mapping[str, Any]


@frozen
class Clause:
    """A condition of a statement.

    Attributes:
        sql: With a name after a colon in place of every value.
        values: By name.
    """

    sql: str
    values: Mapping[str, object] = field(default_factory=dict)


class Rows(Protocol):
    """What statements find."""

    def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """What a statement finds; a name after a colon stands for the value of that name."""


class Reader(Rows, Protocol):
    """The database as it is at one moment."""

    @property
    def dialect(self) -> Dialect:
        """Which kind it is."""

    def now(self) -> datetime:
        """The time by the clock that everybody who uses the database shares, aware, UTC."""


class Source(Protocol):
    """Where readers come from. Safe from many threads."""

    @property
    def dialect(self) -> Dialect:
        """Which kind of database it is."""

    def read(self, step: Callable[[Reader], T]) -> T:
        """Do `step`, which only reads, and sees the database as it is at one moment.

        Raises:
            StoreError: It cannot be read.
        """
