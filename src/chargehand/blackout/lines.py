"""The content lines of a calendar, looked at before a library is: where things stand, and how much it is.

Source: RFC 5545, 3.1 content lines and 3.3.10 recurrence rules.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from chargehand.errors import InvalidError, Place, Problem
from chargehand.expression import expression
from chargehand.frozen import frozen

MOST_EVENTS: Final = 5000
MOST_RULES: Final = 100
MOST_STARTS_A_DAY: Final = 24
_MOST_DEPTH: Final = 5
_MOST_PROBLEMS: Final = 20
_MOST_ZONES: Final = 50
_OLDEST: Final = 1970
_NEWEST: Final = 2099
_FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_LINE: Final = expression(
    r'(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:"[^"]*"|[^":])*)?):(?P<value>.*)', re.DOTALL
)
_YEAR: Final = expression(r"\d{4}(?=\d{4})")
_ONCE: Final = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE", "STATUS", "SUMMARY", "UID")
_DATES: Final = ("DTSTART", "DTEND", "RDATE", "RECURRENCE-ID")


@frozen
class Event:
    """Where an event stands.

    Attributes:
        line: Of its beginning, from 1.
        lines: Of its properties, by name.
    """

    line: int
    lines: dict[str, int] = field(default_factory=dict)

    def place(self, file: str, *names: str) -> Place:
        """Where the first of these properties stands that it has, or else the event."""
        return Place(file, next((self.lines[name] for name in names if name in self.lines), self.line))


def find_events(text: str, file: str) -> list[Event]:
    """The places of all events, in their order.

    Raises:
        InvalidError: With every line that is none, or asks for more work than a calendar is worth.
    """
    scan = _Scan(file)
    for number, line in _unfolded(text):
        if not scan.take(number, line):
            break
    problems = scan.conclude()
    if not problems and "VCALENDAR" not in scan.begun:
        problems = [Problem("this is no iCalendar file: it has no `BEGIN:VCALENDAR`", Place(file))]
    if problems:
        raise InvalidError(problems[:_MOST_PROBLEMS])
    return scan.events


class _Scan:
    """What is known of a calendar up to a line."""

    def __init__(self, file: str) -> None:
        self.events: list[Event] = []
        self.begun: Counter[str] = Counter()
        self._file = file
        self._problems: list[Problem] = []
        self._inside: list[tuple[str, int]] = []
        self._dates = self._rules = 0

    def take(self, number: int, line: str) -> bool:
        """Look at a line; False when there is no sense in the next ones."""
        match = _LINE.fullmatch(line)
        if match is None:
            return self._broken("no line of a calendar: expected `NAME:value`", number)
        name, value = match["name"].upper(), match["value"]
        if name == "BEGIN":
            return self._begin(value.upper(), number)
        if name == "END":
            ends = bool(self._inside) and self._inside.pop()[0] == value.upper()
            return ends or self._broken(f"`END:{value[:40]}` ends nothing", number)
        self._dates += value.count(",") if name in ("RDATE", "EXDATE") else 0
        self._rules += name == "RRULE"
        self._note(_fault(name, value, {each for each, _ in self._inside}), number)
        if self._inside and self._inside[-1][0] == "VEVENT":
            lines = self.events[-1].lines
            self._note(f"the event has two of `{name}`" if name in _ONCE and name in lines else "", number)
            lines.setdefault(name, number)
        return True

    def conclude(self) -> list[Problem]:
        """Everything that is wrong, now that there are no more lines."""
        if self._inside and not self._problems:
            name, number = self._inside[-1]
            self._note(f"`{name[:40]}` is begun and not ended", number)
        for count, most, what in (
            (len(self.events) + self._dates, MOST_EVENTS, "events and dates"),
            (self._rules, MOST_RULES, "recurrence rules"),
            (self.begun["VTIMEZONE"], _MOST_ZONES, "time zones"),
        ):
            if count > most:
                message, hint = f"the calendar has {count} {what}, more than {most}", "keep what matters"
                self._problems.append(Problem(message, Place(self._file), hint))
        return self._problems

    def _begin(self, name: str, number: int) -> bool:
        self._inside.append((name, number))
        self.begun[name] += 1
        if name == "VEVENT":
            self.events.append(Event(line=number))
        fine = len(self._inside) <= _MOST_DEPTH
        return fine or self._broken(f"components nest deeper than {_MOST_DEPTH}", number)

    def _broken(self, message: str, number: int) -> bool:
        self._note(message, number)
        return False

    def _note(self, message: str, number: int) -> None:
        if message:
            self._problems.append(Problem(message, Place(self._file, number)))


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Every content line with the number of its first line; one that begins with a blank goes on."""
    first, pieces = 0, list[str]()
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line[:1] in (" ", "\t") and pieces:
            pieces.append(line[1:])
            continue
        if pieces:
            yield first, "".join(pieces)
        first, pieces = number, [line] if line else []
    if pieces:
        yield first, "".join(pieces)


def _fault(name: str, value: str, inside: set[str]) -> str:
    """What is wrong with a line on its own, or nothing."""
    if name == "RRULE":
        return _rule_fault(value.upper(), in_zone="VTIMEZONE" in inside)
    if name in _DATES and "VEVENT" in inside:
        years = [int(year) for year in _YEAR.findall(value)]
        if any(not _OLDEST <= year <= _NEWEST for year in years):
            return f"`{name}` lies outside the years {_OLDEST} to {_NEWEST}"
    return ""


def _rule_fault(rule: str, *, in_zone: bool) -> str:
    parts = dict(part.partition("=")[::2] for part in rule.split(";"))
    frequency = parts.get("FREQ", "")
    if in_zone and frequency != "YEARLY":
        return "a time zone changes its clocks by `FREQ=YEARLY` rules"
    if frequency not in _FREQUENCIES:
        return f"a window recurs by one of FREQ={', '.join(_FREQUENCIES)}, not by `{frequency[:20]}`"
    if not re.fullmatch("[1-9][0-9]{0,3}", parts.get("INTERVAL", "1"), re.ASCII):
        return "`INTERVAL` is not a number from 1 to 9999"
    starts = 1
    for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        starts *= len(parts.get(part, "").split(","))
    if starts > MOST_STARTS_A_DAY:
        return f"a window that begins more than {MOST_STARTS_A_DAY} times a day"
    return ""
