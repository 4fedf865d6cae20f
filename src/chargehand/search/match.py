"""Conditions compiled into predicates over one kind of record.

A missing value meets no comparison, negative ones included; ``not`` is the exact complement. Of a field
with many values a positive comparison asks for any of them, a negative one for none.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Final, Generic

from chargehand.errors import did_you_mean
from chargehand.frozen import frozen
from chargehand.search.compare import Holds, Literal, comparison
from chargehand.search.dates import FORMS, read_span, read_stored, relative_date_after
from chargehand.search.fields import Field, FieldTable, Kind, R
from chargehand.search.query import Fault, Query, QueryError
from chargehand.search.tree import Condition, Word
from chargehand.search.values import read_boolean, read_number

Predicate = Callable[[R], bool]

_POSITIVE: Final = {"ne": "eq", "unlike": "like", "notin": "in"}
_UNFIT: Final[dict[Kind, frozenset[str]]] = {
    "integer": frozenset({"like"}),
    "number": frozenset({"like"}),
    "date": frozenset({"like"}),
    "boolean": frozenset({"like", "gt", "gte", "lt", "lte"}),
}
_EXPECTED: Final[dict[Kind, str]] = {
    "integer": "a whole number",
    "number": "a number",
    "date": "a date",
    "boolean": "true or false",
}


@frozen(kw_only=False)
class Question(Generic[R]):
    """One field asked one thing.

    Attributes:
        field: Which.
        operator: A positive one - eq in like gt gte lt lte - or notnull or null.
        literals: What it is compared with; several for in, none for notnull and null.
        negative: Whether it must have values of which none meets this, in place of one that does.
    """

    field: Field[R]
    operator: str
    literals: tuple[Literal, ...] = ()
    negative: bool = False


@frozen(kw_only=False)
class Compiler(Generic[R]):
    """Turns the conditions of one query into questions to fields, and these into predicates.

    Attributes:
        fields: What the records have.
        query: For the faults.
        now: What relative dates are counted from, aware.
        zone: Of dates and times without an offset.
    """

    fields: FieldTable[R]
    query: Query
    now: datetime
    zone: tzinfo

    def predicate(self, condition: Condition) -> Predicate[R]:
        """The predicate of one condition.

        Raises:
            QueryError: The field is unknown, or the comparison or a value does not fit it.
        """
        asked = [self._predicate(question) for question in self.questions(condition)]
        return asked[0] if len(asked) == 1 else lambda record: any(holds(record) for holds in asked)

    def questions(self, condition: Condition) -> tuple[Question[R], ...]:
        """What one condition asks: it holds when any of these does.

        Raises:
            QueryError: As `predicate`.
        """
        if condition.field is not None:
            return (self._question(self._find(condition.field), condition.operator, condition),)
        if condition.operator == "text":
            return self._word_alone(condition)
        return self._free_text(condition.operator, condition)

    def _word_alone(self, condition: Condition) -> tuple[Question[R], ...]:
        """A word that names a boolean field asks whether that is true; any other is free text."""
        word = condition.values[0]
        field = None if word.quoted else self.fields.find(word.text)
        if field is not None and field.kind == "boolean":
            return (Question(field, "eq", (Literal("true", boolean=True),)),)
        return self._free_text("like", condition)

    def _free_text(self, operator: str, condition: Condition) -> tuple[Question[R], ...]:
        return tuple(self._question(field, operator, condition) for field in self.fields.free_fields())

    def _find(self, word: Word) -> Field[R]:
        field = self.fields.find(word.text)
        if field is None:
            message, hint = self.fields.why_unknown(word.text)
            raise self._refused(word, message, hint)
        return field

    def _question(self, field: Field[R], operator: str, condition: Condition) -> Question[R]:
        if operator in ("notnull", "null"):
            return Question(field, operator)
        positive = _POSITIVE.get(operator, operator)
        if positive in _UNFIT.get(field.kind, ()):
            raise self._refused(condition, *_misfit(field))
        if field.choices and positive in ("eq", "in"):
            self._check_choices(field, condition.values)
        literals = tuple(self._literal(field, word) for word in condition.values)
        return Question(field, positive, literals, negative=positive != operator)

    def _check_choices(self, field: Field[R], words: Sequence[Word]) -> None:
        for word in words:
            if word.text not in field.choices:
                message = f"`{field.name}` is never `{word.text}`"
                hint = did_you_mean(word.text, field.choices)
                raise self._refused(word, message, hint or f"it is one of {', '.join(field.choices)}")

    def _predicate(self, question: Question[R]) -> Predicate[R]:
        read = self._reader(question.field)
        if question.operator in ("notnull", "null"):
            wanted = question.operator == "notnull"
            return lambda record: bool(_members(read(record))) is wanted
        holds = comparison(question.operator, question.literals, self.zone)
        return _predicate(read, holds, negative=question.negative)

    def _reader(self, field: Field[R]) -> Callable[[R], object]:
        """Reads a field; a value that is not of its kind counts as missing."""
        convert: Callable[[object], object]
        if field.kind in ("integer", "number"):
            convert = read_number
        elif field.kind == "boolean":
            convert = read_boolean
        elif field.kind == "date":
            zone = self.zone
            convert = lambda value: read_stored(value, zone)  # noqa: E731 - one of four converters
        else:
            return field.read
        return lambda record: [convert(value) for value in _members(field.read(record))]

    def _literal(self, field: Field[R], word: Word) -> Literal:
        rest = relative_date_after(self.query.text, word.end)
        if rest and word.text.isdecimal() and not word.quoted:
            raise self._refused(word, "a relative date must be quoted", f'write "{word.text}{rest}"')
        if field.kind == "text":
            return Literal(word.text if word.quoted else field.words.get(word.text, word.text))
        number = read_number(word.text)
        span = None if number is not None else read_span(word.text, self.now, self.zone)
        literal = Literal(word.text, number, read_boolean(word.text), span)
        fits: dict[Kind, bool] = {
            "integer": number is not None and number == number.to_integral_value(),
            "number": number is not None,
            "date": span is not None,
            "boolean": literal.boolean is not None,
        }
        if not fits.get(field.kind, True):
            message = f"`{word.text}` is not {_EXPECTED[field.kind]}, which `{field.name}` takes"
            raise self._refused(word, message, f"dates are written {FORMS}" if field.kind == "date" else None)
        return literal

    def _refused(self, at: Word | Condition, message: str, hint: str | None) -> QueryError:
        return QueryError(self.query, [Fault(message, at.start, at.end, hint)])


def _predicate(read: Callable[[R], object], holds: Holds, *, negative: bool) -> Predicate[R]:
    def predicate(record: R) -> bool:
        value = read(record)
        if value is None:
            return False
        if isinstance(value, list | tuple):
            members = _members(value)
            return bool(members) and any(map(holds, members)) is not negative
        return holds(value) is not negative

    return predicate


def _members(value: object) -> Sequence[object]:
    """The present values of a field: none, one, or those of a list."""
    if isinstance(value, list | tuple):
        return [member for member in value if member is not None]
    return () if value is None else (value,)


def _misfit(field: Field[R]) -> tuple[str, str]:
    fitting = "`=`, `!=` and `^`" if field.kind == "boolean" else "`=`, `!=`, `<`, `>`, `<=`, `>=` and `^`"
    message = f"this comparison does not fit `{field.name}`, which is {_EXPECTED[field.kind]}"
    return message, f"`{field.name}` takes {fitting}"
