"""Screen: text to stdout and stderr, made safe for a terminal, in colour where that is wanted."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import IO

import click

from chargehand.errors import Problem
from chargehand.escape import escape, escape_bytes, escape_line


def say(text: str) -> None:
    """A result, as a line of its own on stdout."""
    click.echo(escape(text))


def say_json(value: object) -> None:
    """A result as one JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say_bytes(content: bytes) -> None:
    """Bytes as they are, unless a terminal would read them."""
    if sys.stdout.isatty():
        click.echo(escape_bytes(content), nl=False)
    else:
        click.echo(content, nl=False)


def say_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their heads in columns as wide as needed; the last column is not padded."""
    cells = [[escape_line(cell) for cell in row] for row in (list(heads), *map(list, rows))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        click.echo("  ".join([*padded, row[-1]]).rstrip())


def note(text: str) -> None:
    """Anything that is not the result: a line on stderr."""
    click.echo(escape(text), err=True)


def note_problem(problem: Problem) -> None:
    """A problem on stderr, its severity in colour."""
    text = escape(problem.text())
    if colour_wanted(sys.stderr, os.environ):
        shade = "red" if problem.severity == "error" else "yellow"
        text = text.replace(
            f"{problem.severity}:", click.style(f"{problem.severity}:", fg=shade, bold=True), 1
        )
    click.echo(text, err=True, color=True)


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
