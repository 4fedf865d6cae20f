"""The text of a search query, and how its faults are told."""

import unicodedata
from collections.abc import Sequence

from chargehand.errors import Place, Problem, SearchError, Severity
from chargehand.frozen import frozen


@frozen(kw_only=False)
class Fault:
    """One thing that is wrong with a query.

    Attributes:
        message: What is wrong and what was expected.
        start: First code point it is about, from 0.
        end: Just past the last one.
        hint: The fix.
    """

    message: str
    start: int
    end: int
    hint: str | None = None


@frozen(kw_only=False)
class Query:
    """A query's text and where it stands.

    Attributes:
        text: As written.
        place: The value's place in a file; None on a command line or in an API call.
    """

    text: str
    place: Place | None = None

    def line_and_column(self, start: int) -> tuple[int, int]:
        """Line and column, both from 1, of the code point at `start`."""
        before = self.text[:start]
        return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1

    def line_text(self, line: int) -> str:
        """The text of a line, counted from 1."""
        return self.text.split("\n")[line - 1]

    def problem(self, fault: Fault, severity: Severity = "error") -> Problem:
        """The fault as a problem: at its column of the file where the query stands there word for word."""
        line, column = self.line_and_column(fault.start)
        message, place = fault.message, Place("<search query>", line, column, self.line_text(line))
        if self.place is not None:
            exact = self._in_file(line, column)
            message += "" if exact else f" (line {line}, column {column} of the query)"
            place = exact or self.place
        return Problem(message, place, fault.hint, rule="search", severity=severity)

    def _in_file(self, line: int, column: int) -> Place | None:
        """The column of the file, if the query was written there on one line and without escapes."""
        place = self.place
        if place is None or place.source is None or place.column is None or "\n" in self.text or line != 1:
            return None
        begins = place.source.find(self.text, place.column - 1)
        if begins < 0:
            return None
        return Place(place.file, place.line, begins + column, place.source)


class QueryError(SearchError):
    """A query that is not understood.

    Attributes:
        faults: All of them; the other attributes are those of the first.
        message: What is wrong.
        query: The query.
        start: Where it is wrong: first code point, from 0.
        end: Just past the last one.
        line: The line of `start`, from 1.
        column: Its column, from 1, in code points.
    """

    def __init__(self, query: Query, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        first = faults[0]
        self.message = first.message
        self.query = query.text
        self.start, self.end = first.start, first.end
        self.line, self.column = query.line_and_column(first.start)
        self._shown = [_shown(query, fault) for fault in faults] if query.place is None else []
        super().__init__([query.problem(fault) for fault in faults])

    def __str__(self) -> str:
        return "\n".join(self._shown) or super().__str__()


def _shown(query: Query, fault: Fault) -> str:
    line, column = query.line_and_column(fault.start)
    text = query.line_text(line)
    lines = [
        f"search error at line {line}, column {column}: {fault.message}",
        "  " + "".join(char if char.isprintable() else " " for char in text),
        "  " + " " * sum(_cells(char) for char in text[: column - 1]) + "^",
    ]
    return "\n".join([*lines, f"  = {fault.hint}"] if fault.hint else lines)


def _cells(char: str) -> int:
    """How many cells of a terminal a character takes (Unicode Annex 11)."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf") and char.isprintable():
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
