"""Comparing one present value with the values of a query."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from decimal import Decimal
from functools import partial
from typing import TypeVar

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.search.dates import Span, read_stored
from chargehand.search.values import read_number, read_text
from chargehand.secret import Secret

Holds = Callable[[object], bool]
Ordered = TypeVar("Ordered", Decimal, str)

_PATTERN_PART = expression(r"\\([*%\\])|([*%])|([^*%\\]+|\\)", re.DOTALL)


@frozen(kw_only=False)
class Literal:
    """A value of a query, with everything it reads as for its field.

    Attributes:
        text: As written.
        number: None when it is not to be compared as a number.
        boolean: Likewise for truth values.
        span: Likewise for dates.
    """

    text: str
    number: Decimal | None = None
    boolean: bool | None = None
    span: Span | None = None


def comparison(operator: str, literals: Sequence[Literal], zone: tzinfo) -> Holds:
    """Whether one present value meets eq, in, like, gt, gte, lt or lte.

    Args:
        operator: A positive one.
        literals: One; several for in.
        zone: Of stored dates without an offset.
    """
    if operator in ("eq", "in"):
        return _equals_any(literals, zone)
    if operator == "like":
        return _like(literals[0].text)
    return _ordered(operator, literals[0], zone)


def _equals_any(literals: Sequence[Literal], zone: tzinfo) -> Holds:
    texts = {literal.text for literal in literals}
    numbers = {literal.number for literal in literals if literal.number is not None}
    booleans = {literal.boolean for literal in literals if literal.boolean is not None}
    spans = [literal.span for literal in literals if literal.span is not None]

    def holds(value: object) -> bool:
        if isinstance(value, bool):
            return value in booleans if booleans else read_text(value) in texts
        if numbers and (number := read_number(value)) is not None:
            return number in numbers
        if spans and (instant := read_stored(value, zone)) is not None:
            return any(span.holds("eq", instant) for span in spans)
        return _scalar_text(value) in texts

    return holds


def _ordered(operator: str, literal: Literal, zone: tzinfo) -> Holds:
    """Ordering as numbers, else as dates, else by code points; never across them."""

    def holds(value: object) -> bool:
        if literal.number is not None:
            number = read_number(value)
            return number is not None and _compare(operator, number, literal.number)
        if literal.span is not None:
            instant = read_stored(value, zone)
            return instant is not None and literal.span.holds(operator, instant)
        return isinstance(value, str) and _compare(operator, value, literal.text)

    return holds


def _compare(operator: str, left: Ordered, right: Ordered) -> bool:
    if operator == "gt":
        return left > right
    if operator == "lt":
        return left < right
    return left >= right if operator == "gte" else left <= right


def _like(pattern: str) -> Holds:
    """Contains, in any case; with a ``*`` or ``%`` the pattern covers the whole value."""
    pieces = pieces_of(pattern.casefold())
    if len(pieces) == 1:
        return partial(_contains, pieces[0])
    return lambda value: (
        not isinstance(value, Secret) and _covers(pieces, (read_text(value) or "").casefold())
    )


def _contains(piece: str, value: object) -> bool:
    if type(value) is str:  # most are
        return piece in value.casefold()
    return piece in (read_text(value) or "").casefold() and not isinstance(value, Secret)


def pieces_of(pattern: str) -> list[str]:
    r"""The texts between the wildcards; ``\*``, ``\%`` and ``\\`` stand for themselves."""
    pieces = [""]
    for escaped, wildcard, plain in _PATTERN_PART.findall(pattern):
        if wildcard:
            pieces.append("")
        else:
            pieces[-1] += escaped or plain
    return pieces


def _covers(pieces: Sequence[str], text: str) -> bool:
    """Whether the pieces stand in `text` in order, the first at its beginning, the last at its end."""
    first, *middle, last = pieces
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and text.endswith(last)


def _scalar_text(value: object) -> str | None:
    """The text form of what can be equal to a text at all."""
    if type(value) is str:  # most are
        return value
    return None if isinstance(value, Mapping | list | tuple) else read_text(value)
