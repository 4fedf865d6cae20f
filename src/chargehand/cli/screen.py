"""Screen: text to stdout and stderr, made safe for a terminal, in colour where that is wanted."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import click

from chargehand.errors import Problem
from chargehand.report.escape import escape, escape_bytes, escape_line
from chargehand.report.forge import forge_of

STDOUT_CLOSED = 141


def say(text: str) -> None:
    """A result, as a line of its own on stdout."""
    click.echo(safe(text))


def say_text(text: str) -> None:
    """A result of several lines, as it is written."""
    click.echo(safe(text), nl=False)


def say_report(text: str) -> None:
    """A document on stdout, in a format that says itself what is safe in it."""
    click.echo(text)


def say_styled(text: str, style: Mapping[str, Any]) -> None:
    """A line of a result, as `click.style` shows it; plain by an empty style."""
    safe = escape(text)
    click.echo(click.style(safe, **style) if style else safe, color=True)


def say_json(value: object) -> None:
    """A result as one JSON document on stdout."""
    click.echo(import_module("chargehand.report.jsontext").dumps(value))


def say_bytes(content: bytes) -> None:
    """Bytes as they are, unless a terminal would read them."""
    if sys.stdout.isatty():
        click.echo(escape_bytes(content), nl=False)
    else:
        click.echo(content, nl=False)


def say_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their heads."""
    for line in table([heads, *rows]):
        click.echo(forge_of(os.environ).inert(line))


def safe(text: str) -> str:
    """`text` with nothing in it that a terminal obeys, or the log of a pipeline."""
    return forge_of(os.environ).inert(escape(text))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, in columns as wide as needed; the last column is not padded."""
    cells = [[escape_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in cells
    ]


def note(text: str) -> None:
    """Anything that is not the result: a line on stderr."""
    click.echo(safe(text), err=True)


def note_problem(problem: Problem) -> None:
    """A problem on stderr, its severity in colour."""
    text = safe(from_here(problem).text())
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


def from_here(problem: Problem, root: Path | None = None) -> Problem:
    """The problem with its file as seen from `root`, the current folder, when it lies there."""
    place = problem.place
    return problem if place is None else replace(problem, place=replace(place, file=seen(place.file, root)))


def seen(file: str, root: Path | None = None) -> str:
    """A file as seen from `root`, the current folder, when it lies there."""
    here = Path.cwd()
    path = Path(os.path.normpath(here / file))
    if root in (None, here):
        return str(path.relative_to(here)) if Path(file).is_absolute() and path.is_relative_to(here) else file
    return str(path.relative_to(root)) if path.exists() and path.is_relative_to(root) else file


def tally(problems: Sequence[Problem]) -> str:
    """``2 errors, 1 warning``."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    said = [count(errors, "error")] if errors or not warnings else []
    return ", ".join(said + ([count(warnings, "warning")] if warnings else []))


def count(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def open_missing() -> None:
    """Whoever started us may have closed a stream: what is written there goes nowhere."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as we run
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as we run


def forget_stdout() -> None:
    """Nobody reads stdout any more: let what is still written, at exit too, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
