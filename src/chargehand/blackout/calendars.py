"""The calendars of a project: files, each read once, and only when somebody names one."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from chargehand.blackout.window import NO_BLACKOUT, Blackout, Window
from chargehand.errors import InvalidError, Place, Problem

RULE: Final = "blackout"
MOST_BYTES: Final = 1024 * 1024


class _Calendar(Protocol):
    def windows(self, zone: tzinfo, year: int) -> Sequence[Window]: ...


class _Reader(Protocol):
    def read_calendar(self, text: str, file: str) -> _Calendar: ...


class Calendars:
    """Every calendar that some job or setting names, read once."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._read: dict[str, _Calendar] = {}

    def blackout(self, files: Mapping[str, Place], zone: tzinfo) -> Blackout:
        """The windows of some files.

        Args:
            files: Paths relative to the project, each with the place that names it.
            zone: For days and times that the calendar itself gives no zone.

        Raises:
            InvalidError: With everything that is wrong with any of them.
        """
        problems: list[Problem] = []
        found = []
        for name, place in files.items():
            try:
                found.append(partial(self._calendar(name).windows, zone))
            except InvalidError as error:
                problems += [replace(each, place=each.place or place, rule=RULE) for each in error.problems]
        if problems:
            raise InvalidError(problems)
        return Blackout(found) if found else NO_BLACKOUT

    def _calendar(self, name: str) -> _Calendar:
        if name not in self._read:
            path = self._base / name
            self._read[name] = _reader(name).read_calendar(_text(path, name), str(path))
        return self._read[name]


def load_blackout(files: Sequence[Path], *, zone: tzinfo) -> Blackout:
    """The windows of some iCalendar files; days and times without a zone are read in `zone`.

    Raises:
        InvalidError: With everything that is wrong with any of them.
    """
    return Calendars(Path()).blackout({str(file): Place(str(file)) for file in files}, zone)


def _reader(name: str) -> _Reader:
    """The module that reads calendars; its libraries are an extra."""
    try:
        return cast("_Reader", import_module("chargehand.blackout.ical"))
    except ModuleNotFoundError as error:
        message = f"the calendar `{name}` cannot be read: the package `{error.name}` is not installed"
        raise InvalidError(Problem(message, hint="pip install 'chargehand[calendar]'")) from None


def _text(path: Path, name: str) -> str:
    """The text of a regular file that is not too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidError(f"the calendar `{name}` is not a regular file")
            content = file.read(MOST_BYTES + 1)
    except IsADirectoryError:
        raise InvalidError(f"the calendar `{name}` is a folder; name its files") from None
    except OSError as error:
        hint = "paths are relative to the project"
        message = f"the calendar `{name}` cannot be read: {error.strerror}"
        raise InvalidError(Problem(message, hint=hint)) from None
    place = Place(str(path))
    if len(content) > MOST_BYTES:
        message = f"the calendar is larger than {MOST_BYTES // 1024} KiB"
        raise InvalidError(Problem(message, place, "keep the events that matter"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidError(Problem("the calendar is not UTF-8 text", place)) from None
