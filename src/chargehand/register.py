"""Registers: short YAML files that give things a number and a name, such as bookmarks and locations."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from chargehand.document import Document
from chargehand.errors import InvocationError, Problem, did_you_mean
from chargehand.expression import expression
from chargehand.frozen import frozen

_NUMBER = expression(r"\d{1,18}", re.ASCII)

Path = tuple[str | int, ...]


@frozen(kw_only=False)
class Entry:
    """One line of a register.

    Attributes:
        path: Where it stands in the document.
        id: As written, else its position, from 1.
        name: Its name, unique in the register.
        values: Everything else that is written of it, by key.
    """

    path: Path
    id: int
    name: str
    values: Mapping[str, object]


class Numbered(Protocol):
    """Anything with a name and perhaps a number."""

    @property
    def id(self) -> int | None:
        """The number."""

    @property
    def name(self) -> str:
        """The name."""


N = TypeVar("N", bound=Numbered)


def read_register(
    document: Document, path: Path, *, short: str, keys: Mapping[str, type], rule: str
) -> tuple[list[Entry], list[Problem]]:
    """Read the register at `path`: a list of mappings with a ``name``, or a mapping of names.

    Args:
        document: The file.
        path: Where the register stands in it.
        short: The key whose value the mapping form gives.
        keys: What an entry may say beside its name, and the type of each.
        rule: Of the problems.

    Returns:
        The sound entries, and everything that is wrong with the others.
    """
    reader = _Reader(document, keys, rule)
    register = _value(document, path)
    if isinstance(register, Mapping):
        for position, (name, value) in enumerate(register.items(), start=1):
            reader.read((*path, name), position, {"name": name, short: value})
    elif isinstance(register, list):
        for position, entry in enumerate(register, start=1):
            reader.read((*path, position - 1), position, entry)
    elif register is not None:
        reader.complain(f"expected a list of mappings or a mapping of name to {short}", path)
    return reader.entries, reader.problems


def find_numbered(known: Sequence[N], wanted: int | str, kind: str) -> N:
    """The one with this number or name; a text of digits is a number when no name is like that.

    Raises:
        InvocationError: There is none; names the nearest.
    """
    number = int(wanted) if isinstance(wanted, int) or _NUMBER.fullmatch(wanted) else None
    by_name = next((each for each in known if each.name == wanted), None)
    found = by_name or next((each for each in known if number is not None and each.id == number), None)
    if found is not None:
        return found
    numbered = ", ".join(f"{each.id} {each.name}" for each in known[:12])
    hint = (
        did_you_mean(str(wanted), [each.name for each in known]) if number is None else f"known: {numbered}"
    )
    raise InvocationError(
        Problem(f"there is no {kind} `{wanted}`", hint=hint if known else "none is known", rule=kind)
    )


class _Reader:
    def __init__(self, document: Document, keys: Mapping[str, type], rule: str) -> None:
        self.document = document
        self.keys = {"name": str, **keys}
        self.rule = rule
        self.entries: list[Entry] = []
        self.problems: list[Problem] = []

    def complain(self, message: str, path: Path, hint: str | None = None, *, key: bool = False) -> None:
        self.problems.append(Problem(message, self.document.place(path, key=key), hint, self.rule))

    def read(self, path: Path, position: int, entry: object) -> None:
        if not isinstance(entry, Mapping):
            self.complain(f"expected a mapping with {', '.join(self.keys)}", path)
            return
        before = len(self.problems)
        for key, value in entry.items():
            self._check(key, value, (*path, key))
        name, number = entry.get("name"), entry.get("id", position)
        if name is None:
            self.complain("`name` is missing", path)
        if len(self.problems) > before or not isinstance(name, str) or not isinstance(number, int):
            return
        for other in self.entries:
            if other.name == name:
                self.complain(f"the name `{name}` is used twice", path)
            if other.id == number:
                hint = "give every entry an `id`; without one it is its position in the file"
                self.complain(f"`{name}` has the id {number}, which is that of `{other.name}`", path, hint)
        others = {key: value for key, value in entry.items() if key not in ("name", "id")}
        self.entries.append(Entry(path, number, name, others))

    def _check(self, key: object, value: object, path: Path) -> None:
        expected = self.keys.get(str(key))
        words = {str: "text", int: "a whole number", bool: "true or false"}
        if expected is None:
            self.complain(f"unknown key `{key}`", path, did_you_mean(str(key), self.keys), key=True)
        elif type(value) is not expected:
            self.complain(f"`{key}` is {words[expected]}", path)
        elif value == "":
            self.complain(f"`{key}` is empty", path)
        elif key == "id" and isinstance(value, int) and value < 1:
            self.complain("`id` counts from 1", path)


def _value(document: Document, path: Iterable[str | int]) -> object:
    value = document.data
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
