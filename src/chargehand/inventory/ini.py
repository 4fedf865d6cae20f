"""Inventories written as INI: ``[group]``, ``[group:vars]``, ``[group:children]``."""

import re
import shlex
from collections.abc import Callable

from chargehand.errors import Place, did_you_mean
from chargehand.expression import expression
from chargehand.inventory.address import split_port
from chargehand.inventory.draft import UNGROUPED, Draft, Layer, Where
from chargehand.inventory.literal import read_literal
from chargehand.inventory.ranges import expand

_HEADER = expression(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = expression(r"([^:\]\s]+)\s*(?:#.*)?")
_COMMENT = ("#", ";")
_QUOTED = expression(r""""[^"]*"|'[^']*'""")


def read_ini(draft: Draft, text: str, file: str) -> None:
    """Add what an INI inventory says to the draft."""
    reader = _Reader(draft, file)
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith(_COMMENT):
            reader.read_line(stripped, number)
    reader.close()


def begins_as_ini(text: str) -> bool:
    """Whether the first line that says something is a section header, which no YAML mapping begins with."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith(_COMMENT):
            return _HEADER.fullmatch(stripped) is not None
    return False


class _Reader:
    """One pass over the lines of one file.

    A group counts as declared by ``[name]`` or ``[name:children]``, here or in an earlier source;
    children may be listed and variables given before that.
    """

    def __init__(self, draft: Draft, file: str) -> None:
        self._draft = draft
        self._file = file
        self._group = UNGROUPED
        self._read: Callable[[str, Place], None] = self._read_host
        self._sections = {"hosts": self._read_host, "vars": self._read_variable, "children": self._read_child}
        self._awaited: dict[str, list[tuple[str, Where]]] = {}
        self._only_vars: dict[str, Place] = {}

    def read_line(self, line: str, number: int) -> None:
        place = Place(self._file, number)
        if not line.startswith("["):
            self._read(line, place)
        elif header := _HEADER.fullmatch(line):
            self._read_header(header[1], header[2] or "hosts", Place(self._file, number, 1, line))
        elif line.endswith("]"):
            self._draft.refuse(
                "this is not a section header",
                Place(self._file, number, 1, line),
                "write [group], [group:vars] or [group:children], without spaces",
            )
        else:
            self._read(line, place)

    def close(self) -> None:
        """Refuse what was mentioned and never declared."""
        for name, parents in self._awaited.items():
            parent, mention = parents[-1]
            hint = did_you_mean(name, self._draft.groups) or f"declare it with [{name}]"
            self._draft.refuse(
                f"[{parent}:children] names group `{name}`, which is not declared", mention(), hint
            )
        for name, place in self._only_vars.items():
            others = [group for group in self._draft.groups if group not in self._only_vars]
            hint = did_you_mean(name, others) or f"declare it with [{name}]"
            self._draft.refuse(f"[{name}:vars] is for group `{name}`, which is not declared", place, hint)

    def _read_header(self, name: str, section: str, place: Place) -> None:
        if section not in self._sections:
            hint = did_you_mean(section, self._sections)
            self._draft.refuse(f"section [{name}:{section}] is of no known kind", place, hint)
            section = "hosts"
        is_new = name not in self._draft.groups
        self._draft.add_group(name)
        if section != "vars":
            self._only_vars.pop(name, None)
            for parent, mention in self._awaited.pop(name, ()):
                self._draft.add_child(parent, name, mention)
        elif is_new and name not in self._awaited:
            self._only_vars[name] = place
        self._group, self._read = name, self._sections[section]

    def _read_child(self, line: str, place: Place) -> None:
        match = _GROUP_NAME.fullmatch(line)
        if not match:
            self._draft.refuse("expected the name of one group", place)
        elif match[1] in self._draft.groups:
            self._draft.add_child(self._group, match[1], lambda: place)
        else:
            self._awaited.setdefault(match[1], []).append((self._group, lambda: place))

    def _read_variable(self, line: str, place: Place) -> None:
        name, equals, value = line.partition("=")
        if not equals:
            self._draft.refuse("expected `name=value`", place)
            return
        values = {name.strip(): read_literal(value.strip())}
        self._draft.add_group_layer(self._group, Layer(values, lambda _: place))

    def _read_host(self, line: str, place: Place) -> None:
        try:
            pattern, *assignments = self._split(line, place)
            names, port = self._expand(pattern)
        except ValueError as error:
            self._draft.refuse(f"this host line is not understood: {error}", place)
            return
        if not names:
            self._draft.warn(f"`{pattern}` stands for no host: the range runs backwards", place)
        values: dict[str, object] = {}
        for position, assignment in enumerate(assignments, start=2):
            name, equals, value = assignment.partition("=")
            if not equals:
                self._draft.refuse(
                    f"word {position} of this host line is not `name=value`",
                    place,
                    'a value with spaces needs quotes: name="a value"',
                )
                return
            values[name] = read_literal(value)
        layer, where = Layer(values, lambda _: place), lambda: place
        for name in names:
            self._draft.add_host(name, self._group, where, port)
            self._draft.add_host_layer(name, layer)

    def _expand(self, pattern: str) -> tuple[list[str], int | None]:
        name, port = split_port(pattern)
        if port is None and pattern.endswith(":"):
            raise ValueError("`:` at the end of a name is for a port")
        return expand(name, self._draft.max_hosts), port

    def _split(self, line: str, place: Place) -> list[str]:
        """Words as a POSIX shell sees them, but `#` begins a comment even inside a word."""
        if (found := _split_simple(line)) is not None:
            return found
        words = shlex.split(line, comments=True)
        if re.search(r"\S#", line) and self._cuts_a_word(line, words):
            self._draft.warn(
                f"`#` inside word {len(words)} begins a comment: the rest of the line is lost",
                place,
                "put the value in quotes",
            )
        return words

    @staticmethod
    def _cuts_a_word(line: str, words: list[str]) -> bool:
        try:
            whole = shlex.split(line)
        except ValueError:
            return True
        return len(whole) < len(words) or whole[len(words) - 1] != words[-1]


def _split_simple(line: str) -> list[str] | None:
    """What shlex does with printable ASCII, ten times as fast; None of a line that needs more of it."""
    if not (line.isascii() and line.isprintable()) or "#" in line or "\\" in line:
        return None
    if "'" not in line and '"' not in line:
        return line.split()
    hidden = _QUOTED.sub(_hide, line)
    if "'" in hidden or '"' in hidden:
        return None
    shown = "\n".join(hidden.split()).replace("\0", " ").replace("\1", '"').replace("\2", "'")
    return shown.replace("\3", "").split("\n")


def _hide(quoted: re.Match[str]) -> str:
    """What stands between quotes, with nothing in it that splits words; what is empty still makes a word."""
    return quoted[0][1:-1].replace(" ", "\0").replace('"', "\1").replace("'", "\2") or "\3"
