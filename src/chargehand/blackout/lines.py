"""The content lines of a calendar, looked at before a library is: where things stand, and how much it is.

Source: RFC 5545, 3.1 content lines and 3.3.10 recurrence rules.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from chargehand.errors import InvalidError, Place, Problem

MOST_EVENTS: Final = 5000
MOST_RULES: Final = 100
MOST_STARTS_A_DAY: Final = 24
_MOST_DEPTH: Final = 5
_MOST_ZONES: Final = 50
_OLDEST: Final = 1970
_NEWEST: Final = 2099
_FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_LINE: Final = re.compile(
    r'(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:"[^"]*"|[^":])*)?):(?P<value>.*)', re.DOTALL
)
_YEAR: Final = re.compile(r"\d{4}(?=\d{4})")
_ONCE: Final = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE", "STATUS", "SUMMARY", "UID")
_DATES: Final = ("DTSTART", "DTEND", "RDATE", "RECURRENCE-ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Where an event stands.

    Attributes:
        line: Of its beginning, from 1.
        lines: Of its properties, by name.
    """

    line: int
    lines: dict[str, int] = field(default_factory=dict)

    def place(self, file: str, name: str = "") -> Place:
        """Where one of its properties stands, or else the event."""
        return Place(file, self.lines.get(name, self.line))


def find_events(text: str, file: str) -> list[Event]:
    """The places of all events, in their order.

    Raises:
        InvalidError: With every line that is none, or asks for more work than a calendar is worth.
    """
    events: list[Event] = []
    problems: list[Problem] = []
    inside: list[str] = []
    counted = {"dates": 0, "RRULE": 0, "VTIMEZONE": 0}
    for number, line in _unfolded(text):
        match = _LINE.fullmatch(line)
        if match is None:
            problems.append(Problem("no line of a calendar: expected `NAME:value`", Place(file, number)))
            break
        name, value = match["name"].upper(), match["value"]
        if name == "BEGIN":
            inside.append(value.upper())
            if value.upper() == "VEVENT":
                events.append(Event(line=number))
            counted["VTIMEZONE"] += value.upper() == "VTIMEZONE"
        elif name == "END":
            if not inside or inside.pop() != value.upper():
                problems.append(Problem(f"`END:{value[:40]}` ends nothing", Place(file, number)))
                break
        elif inside and inside[-1] == "VEVENT":
            if name in _ONCE and name in events[-1].lines:
                problems.append(Problem(f"the event has two of `{name}`", Place(file, number)))
            events[-1].lines.setdefault(name, number)
        counted["dates"] += value.count(",") if name in ("RDATE", "EXDATE") else 0
        counted["RRULE"] += name == "RRULE"
        if fault := _fault(name, value, inside):
            problems.append(Problem(fault, Place(file, number)))
    problems += _too_many(len(events) + counted["dates"], counted["RRULE"], counted["VTIMEZONE"], file)
    if not problems and not events and "BEGIN:VCALENDAR" not in text.upper():
        problems.append(Problem("this is no iCalendar file: it has no `BEGIN:VCALENDAR`", Place(file)))
    if problems:
        raise InvalidError(problems[:20])
    return events


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


def _fault(name: str, value: str, inside: list[str]) -> str:
    """What is wrong with a line on its own, or nothing."""
    if len(inside) > _MOST_DEPTH:
        return f"components nest deeper than {_MOST_DEPTH}"
    if name == "RRULE":
        return _rule_fault(value.upper(), in_zone="VTIMEZONE" in inside)
    if name in _DATES and inside[-1:] == ["VEVENT"]:
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


def _too_many(dates: int, rules: int, zones: int, file: str) -> Iterator[Problem]:
    for count, most, what in (
        (dates, MOST_EVENTS, "events and dates"),
        (rules, MOST_RULES, "recurrence rules"),
        (zones, _MOST_ZONES, "time zones"),
    ):
        if count > most:
            message = f"the calendar has {count} {what}, more than {most}"
            yield Problem(message, Place(file), "keep the events that matter")
