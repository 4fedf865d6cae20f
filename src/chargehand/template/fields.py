"""Fields: one mapping of a document, read value by value; what is wrong is collected, not raised."""

from collections.abc import Collection, Mapping
from typing import cast

from chargehand.document import Document
from chargehand.errors import Place, Problem, TemplateError, did_you_mean

Path = tuple[str | int, ...]
RULE = "template"


class Fields:
    """One mapping of a document.

    Attributes:
        problems: Everything wrong that was met so far; shared by all `Fields` of a document.
    """

    def __init__(self, document: Document, path: Path, problems: list[Problem]) -> None:
        self._document = document
        self._path = path
        self.problems = problems
        self._values = cast("Mapping[str, object]", _value_at(document.data, path))

    def complain(self, message: str, *steps: str | int, hint: str | None = None) -> None:
        """Note a problem with the value at `steps`."""
        self.problems.append(Problem(message, self.place(*steps), hint, RULE))

    def finish(self) -> None:
        """Raise a `TemplateError` with every problem, in the order of the file, if there is any."""
        if self.problems:
            raise TemplateError(sorted(self.problems, key=_position))

    def place(self, *steps: str | int, key: bool = False) -> Place:
        """Where the value at `steps` stands, or this mapping."""
        return self._document.place((*self._path, *steps), key=key)

    def only(self, known: Collection[str]) -> None:
        """Complain of every key that is not known."""
        for key in self._values:
            if key not in known:
                place = self.place(key, key=True)
                self.problems.append(Problem(f"unknown key `{key}`", place, did_you_mean(key, known), RULE))

    def has(self, key: str) -> bool:
        """Whether something other than null stands there."""
        return self._values.get(key) is not None

    def text(self, key: str) -> str | None:
        """A scalar as its author wrote it."""
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, (str, int, float)):
            return self._written(key)
        self.complain(f"`{key}` must be text", key)
        return None

    def word(self, key: str) -> str | None:
        """A text on one line, not blank at either end."""
        value = self.text(key)
        if value is not None and (not value or value != value.strip() or not value.isprintable()):
            self.complain(f"`{key}` must be one line of text without blanks at its ends", key)
            return None
        return value

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """One of `choices`."""
        value = self.text(key)
        if value is None or value in choices:
            return value or default
        known = ", ".join(choices)
        self.complain(
            f"`{key}` must be one of {known}; it is `{value}`", key, hint=did_you_mean(value, choices)
        )
        return default

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._values.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.complain(f"`{key}` must be true or false", key)
        return default

    def number(self, key: str) -> int | None:
        """A whole number from 1."""
        value = self._values.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
            return value
        self.complain(f"`{key}` must be a whole number, at least 1", key)
        return None

    def words(self, key: str, separator: str) -> tuple[str, ...]:
        """A list of texts, or one text with `separator` between them; trimmed, empty ones left out."""
        value = self._values.get(key)
        if isinstance(value, list):
            if any(isinstance(item, (list, Mapping)) or item is None for item in value):
                self.complain(f"`{key}` must hold nothing but text", key)
                return ()
            items = [self._written(key, number) for number in range(len(value))]
        else:
            items = (self.text(key) or "").split(separator)
        return tuple(item.strip() for item in items if item.strip())

    def mapping(self, key: str) -> "Fields | None":
        """A mapping."""
        value = self._values.get(key)
        if isinstance(value, Mapping):
            return Fields(self._document, (*self._path, key), self.problems)
        if value is not None:
            self.complain(f"`{key}` must be a mapping", key)
        return None

    def mappings(self, key: str) -> list["Fields"]:
        """A list of mappings."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.complain(f"`{key}` must be a list", key)
            return []
        found = []
        for number, item in enumerate(value):
            if isinstance(item, Mapping):
                found.append(Fields(self._document, (*self._path, key, number), self.problems))
            else:
                self.complain(f"every item of `{key}` must be a mapping", key, number)
        return found

    def _written(self, *steps: str | int) -> str:
        return self._document.written((*self._path, *steps))


def _position(problem: Problem) -> tuple[int, int]:
    place = problem.place
    return (0, 0) if place is None else (place.line or 0, place.column or 0)


def _value_at(data: object, path: Path) -> object:
    for step in path:
        data = cast("Mapping[str | int, object]", data)[step]
    return data
