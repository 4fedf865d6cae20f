"""The search language that targets hosts: Foreman's, with every guess turned into an error.

`compile_query` reads a query once; the `Search` it returns is asked about hosts. History and other
records are searched in the same language with a `FieldTable` of their own (`compile_with`).
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Generic

from chargehand.errors import Place, Problem
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.search.doubt import doubts
from chargehand.search.fields import Field, FieldTable, R
from chargehand.search.hostfields import host_fields
from chargehand.search.match import Compiler
from chargehand.search.parse import parse
from chargehand.search.program import lay_out
from chargehand.search.query import Fault, Query, QueryError
from chargehand.search.tree import Condition, Node, notation, spelled

__all__ = [
    "Fault",
    "Field",
    "FieldTable",
    "Query",
    "QueryError",
    "Search",
    "compile_query",
    "compile_with",
    "host_fields",
]


@frozen(kw_only=False)
class Search(Generic[R]):
    """A query that was understood.

    Attributes:
        query: As written.
        matches: Whether a record meets it.
        warnings: What its author may have meant otherwise.
        root: The tree it was read into.
    """

    query: str
    matches: Callable[[R], bool]
    warnings: tuple[Problem, ...]
    root: Node

    @property
    def tree(self) -> str:
        """The tree in prefix form: ``(and (eq os Debian) (not (in name "a,b")))``."""
        return notation(self.root)

    @property
    def canonical(self) -> str:
        """The query again, with every grouping written out."""
        return spelled(self.root)

    def select(self, records: Iterable[R]) -> list[R]:
        """Those that meet the query, in their order."""
        return list(filter(self.matches, records))


def compile_query(
    query: str, *, now: datetime, time_zone: tzinfo = UTC, place: Place | None = None
) -> Search[Host]:
    """Read a query over hosts. The empty query and ``*`` mean every host.

    Args:
        query: In the search language.
        now: What ``today`` and ``"2 hours ago"`` are counted from, aware.
        time_zone: Of dates and times without an offset.
        place: Where the query stands in a file, for its errors and warnings.

    Raises:
        QueryError: Anything in it is not understood, names no field or does not fit its field.
    """
    return compile_with(host_fields(now), query, now=now, time_zone=time_zone, place=place)


def compile_with(
    fields: FieldTable[R], query: str, *, now: datetime, time_zone: tzinfo = UTC, place: Place | None = None
) -> Search[R]:
    """Read a query over records with these fields; else as `compile_query`."""
    source = Query(query, place)
    reading = parse(source)
    compiler = Compiler(fields, source, now, time_zone)
    faults: list[Fault] = []

    def predicate(condition: Condition) -> Callable[[R], bool]:
        try:
            return compiler.predicate(condition)
        except QueryError as error:
            faults.extend(error.faults)
            return lambda _: False

    matches = lay_out(reading.tree, predicate)
    if faults:
        raise QueryError(source, faults)
    return Search(query, matches, (*reading.warnings, *doubts(source, reading.tree, fields)), reading.tree)
