"""The error tree: every refusal of Chargehand, with the exit code it ends the command with.

    ChargehandError                  1  anything of ours; never raised itself
    ├── UsageError                   2  the command line asks for something that does not go together
    │   └── UnknownInvocationError      there is no invocation of that number
    ├── InvalidError                 3  a file is refused; carries every problem found, not the first
    │   ├── DocumentError               the text is not a document: syntax, limits, encoding
    │   ├── SettingsError               chargehand.toml
    │   ├── SchemaError                 a document that is not shaped as its schema says
    │   ├── InvocationError             a well-shaped job that cannot be run as written
    │   ├── TemplateError               a job template that cannot be read or rendered
    │   ├── InventoryError              an inventory source that cannot be read
    │   ├── SearchError                 a search query or host pattern that is not understood
    │   │   └── UnknownHostError     4  a host pattern whose word names no host and no group
    │   └── SecretError                 a secret reference that cannot be resolved
    ├── NoHostMatchedError           4  the targeting is valid and matches nobody
    ├── TrackingError                6  the tracked repository cannot be reached, or does not answer as one
    ├── PolicyError                  12 what is asked is valid and not allowed, such as more than max_targets
    └── StoreError                   14 what happens cannot be recorded, or what happened cannot be read

A host's trouble is no error: it is a `HostResult`.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import ClassVar, Literal

from chargehand.frozen import frozen

Severity = Literal["error", "warning"]


@frozen(kw_only=False)
class Place:
    """Where in a file something stands.

    Attributes:
        file: Path as the user wrote it, or a name such as ``<command line>``.
        line: From 1; None when the problem is the file itself.
        column: From 1, counted in code points; None when only the line is known.
        source: The text of that line, for the caret.
    """

    file: str
    line: int | None = None
    column: int | None = None
    source: str | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@frozen(kw_only=False)
class Problem:
    """One thing that is wrong, where, and what to do about it.

    Attributes:
        message: What is wrong and what was expected, in one line; never the value of a secret.
        place: Where; None when no file is involved.
        hint: The fix, in one line.
        rule: Short name of the rule that was broken, such as ``schema`` or ``search``.
        severity: A warning is printed and stops nothing.
    """

    message: str
    place: Place | None = None
    hint: str | None = None
    rule: str = "invalid"
    severity: Severity = "error"

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The problem as people read it: place, message, the line with a caret, the fix."""
        where = f"{self.place}: " if self.place else ""
        lines = [f"{where}{self.severity}: {self.message}"]
        if self.place and self.place.source is not None and self.place.column is not None:
            shown, caret = _window(self.place.source, self.place.column)
            lines += [f"    {shown}", f"    {caret}"]
        if self.hint:
            lines.append(f"  = {self.hint}")
        return "\n".join(lines)


class ChargehandError(Exception):
    """Something Chargehand refuses or cannot do."""

    exit_code: ClassVar[int] = 1


class UsageError(ChargehandError):
    """The command line asks for something that does not go together."""

    exit_code = 2


class UnknownInvocationError(UsageError):
    """There is no invocation of that number; names the newest ones."""


class InvalidError(ChargehandError):
    """A file is refused; every problem found is in `problems`."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DocumentError(InvalidError):
    """The text is not a document."""


class SettingsError(InvalidError):
    """chargehand.toml is refused."""


class SchemaError(InvalidError):
    """A document is not shaped as its schema says."""


class InvocationError(InvalidError):
    """A well-shaped job cannot be run as written."""


class TemplateError(InvalidError):
    """A job template cannot be read or rendered."""


class InventoryError(InvalidError):
    """An inventory source cannot be read."""


class SearchError(InvalidError):
    """A search query or host pattern is not understood."""


class UnknownHostError(SearchError):
    """A word of a host pattern names no host and no group; names the nearest."""

    exit_code = 4


class SecretError(InvalidError):
    """A secret reference cannot be resolved."""


class NoHostMatchedError(ChargehandError):
    """The targeting is valid and matches nobody."""

    exit_code = 4


class TrackingError(ChargehandError):
    """The tracked repository cannot be reached, or does not answer as one."""

    exit_code = 6


class PolicyError(ChargehandError):
    """What is asked is valid and not allowed."""

    exit_code = 12


class StoreError(ChargehandError):
    """What happens cannot be recorded, or what happened cannot be read."""

    exit_code = 14


def nearest(name: str, known: Iterable[str], limit: int = 1) -> list[str]:
    """The known names most like `name`, best first; none when nothing is close."""
    folded = {candidate.casefold(): candidate for candidate in known}
    alike = import_module("difflib").get_close_matches  # loaded when something is misspelt
    close = alike(name.casefold(), folded, n=limit, cutoff=0.6)
    return [folded[candidate] for candidate in close]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint naming the nearest known name, or the known ones when they are few, or nothing."""
    names = sorted(known)
    close = nearest(name, names)
    if close:
        return f"did you mean `{close[0]}`?"
    if names and len(names) <= 12:
        return "known: " + ", ".join(names)
    return None


def _window(source: str, column: int, width: int = 100) -> tuple[str, str]:
    """Cut a long line around `column` and put a caret under it; tabs and controls take one cell."""
    text = "".join(char if char.isprintable() else " " for char in source)
    start = max(0, column - 1 - width * 3 // 4) if len(text) > width else 0
    return text[start : start + width], " " * (column - 1 - start) + "^"
