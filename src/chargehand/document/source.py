"""The text of a file before it is parsed: read within limits, its characters checked, its lines shown."""

import os
import re
import stat
import unicodedata
from dataclasses import field
from itertools import islice
from pathlib import Path

from chargehand.document.dialect import Dialect
from chargehand.errors import DocumentError, Place, Problem
from chargehand.expression import expression
from chargehand.frozen import frozen

PROBLEMS_SHOWN = 100
_LONGEST_SHOWN = 2000
_PART_BYTES = 64 * 1024

# What YAML's parser counts as the end of a line; an editor agrees on the first three.
_LINE_BREAK = expression("\r\n|[\n\r\x85\u2028\u2029]")
_SECRET_KEY = expression(
    r"(?:pass(?:word|wd|phrase)|(?<![a-z])pass(?![a-z])|secret|token|private_?key|api_?key)"
    r"[\w-]{0,40}[\"']?\s{0,8}:",
    re.IGNORECASE,
)


def read_text(path: Path, size_bytes: int) -> str:
    """The text of a regular file of at most `size_bytes`, without a byte order mark.

    Raises:
        DocumentError: It cannot be read, is no regular file, is too big or is not UTF-8.
    """
    place = Place(str(path))
    content = _read_bytes(path, size_bytes, place)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            Problem("the file is not UTF-8", Place(str(path), line), "save it as UTF-8", "encoding")
        ) from None


def _read_bytes(path: Path, size_bytes: int, place: Place) -> bytes:
    try:
        # Without O_NONBLOCK opening a FIFO waits for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DocumentError(Problem("not a regular file", place, rule="file"))
            content = _read_up_to(descriptor, size_bytes + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DocumentError(Problem(f"cannot be read: {reason}", place, rule="file")) from None
    check_size(len(content), size_bytes, place)
    return content


def _read_up_to(descriptor: int, size_bytes: int) -> bytes:
    parts = []
    while part := os.read(descriptor, min(size_bytes, _PART_BYTES)):
        parts.append(part)
        size_bytes -= len(part)
    return b"".join(parts)


def check_size(found_bytes: int, size_bytes: int, place: Place) -> None:
    """Refuse what is bigger than its limit.

    Raises:
        DocumentError: It is.
    """
    if found_bytes > size_bytes:
        raise DocumentError(
            Problem(f"the file is larger than {size_bytes // 1024} KiB", place, "split it", "limit")
        )


@frozen(kw_only=False)
class Source:
    """A text that can show its lines."""

    file: str
    text: str
    lines: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", tuple(_LINE_BREAK.split(self.text)))

    def place(self, line: int, column: int) -> Place:
        """A place, with its line as it may be shown: what follows the key of a secret is ``***``."""
        source = self.lines[line - 1] if line <= len(self.lines) else ""
        shown = _without_secret(source) if len(source) <= _LONGEST_SHOWN else None
        return Place(self.file, line, column, shown)

    def place_at(self, index: int) -> Place:
        """The place of the character at `index`."""
        breaks = list(_LINE_BREAK.finditer(self.text, 0, index))
        return self.place(len(breaks) + 1, index - (breaks[-1].end() if breaks else 0) + 1)


def _without_secret(line: str) -> str:
    found = _SECRET_KEY.search(line)
    return f"{line[: found.end()]} ***" if found else line


def check_characters(source: Source, dialect: Dialect) -> list[Problem]:
    """Find characters that a reader of the file does not see or that no file of ours may hold."""
    problems = [
        Problem(
            f"the character {_character_name(found[0])} is not allowed",
            source.place_at(found.start()),
            "remove it, or write it as an escape in double quotes",
            "encoding",
        )
        for found in islice(dialect.forbidden.finditer(source.text), PROBLEMS_SHOWN)
    ]
    if dialect.suspicious and (found := dialect.suspicious.search(source.text)):
        problems.append(
            Problem(
                f"the invisible character {_character_name(found[0])} can make text look other than it is",
                source.place_at(found.start()),
                rule="encoding",
                severity="warning",
            )
        )
    return problems


def is_secret_key(key: object) -> bool:
    """Whether a key sounds as if a secret followed."""
    return isinstance(key, str) and _SECRET_KEY.search(f"{key}:") is not None


def _character_name(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, 'control character')}"
