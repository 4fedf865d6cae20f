"""Screen: text to stdout and stderr, made safe for a terminal, in colour where that is wanted."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import IO

import click

from chargehand.errors import Problem

# Everything a terminal obeys instead of showing: C0 without tab and line feed, DEL, C1, and the marks
# that reorder text.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def say(text: str) -> None:
    """A result, as a line of its own on stdout."""
    click.echo(safe(text))


def say_json(value: object) -> None:
    """A result as one JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say_bytes(content: bytes) -> None:
    """Bytes as they are, unless a terminal would read them."""
    if sys.stdout.isatty():
        click.echo(safe(content.decode("utf-8", "backslashreplace")), nl=False)
    else:
        click.echo(content, nl=False)


def say_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their heads in columns as wide as needed; the last column is not padded."""
    cells = [list(map(safe, row)) for row in (list(heads), *map(list, rows))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        click.echo("  ".join([*padded, row[-1]]).rstrip())


def note(text: str) -> None:
    """Anything that is not the result: a line on stderr."""
    click.echo(safe(text), err=True)


def note_problem(problem: Problem) -> None:
    """A problem on stderr, its severity in colour."""
    text = safe(problem.text())
    if colour_wanted(sys.stderr, os.environ):
        shade = "red" if problem.severity == "error" else "yellow"
        text = text.replace(f"{problem.severity}:", click.style(f"{problem.severity}:", fg=shade, bold=True), 1)
    click.echo(text, err=True, color=True)


def safe(text: str) -> str:
    r"""The text with everything a terminal would obey written out, as ``\x1b``."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def colour_wanted(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether to colour `stream`.

    ``NO_COLOR`` beats ``FORCE_COLOR`` and ``CLICOLOR_FORCE``, and these beat the look at the terminal.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def tally(problems: Sequence[Problem]) -> str:
    """``2 errors, 1 warning``."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    said = [count(errors, "error")] if errors or not warnings else []
    return ", ".join(said + ([count(warnings, "warning")] if warnings else []))


def count(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
