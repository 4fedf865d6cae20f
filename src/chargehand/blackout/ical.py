"""iCalendar: the windows that a calendar's events mean, by icalendar and recurring_ical_events.

Every event counts unless its status is CANCELLED. A whole day, and a time without a zone, is one of the
zone that the calendar names (``X-WR-TIMEZONE``), else of the zone of whoever asks.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import recurring_ical_events
from dateutil.rrule import rrulestr
from icalendar import Calendar as Root
from icalendar import Component
from icalendar import Event as Entry

from chargehand.blackout.lines import Event, find_events
from chargehand.blackout.window import Window
from chargehand.errors import InvalidError, Place, Problem

MOST_WINDOWS_A_YEAR: Final = 5000
_CHECK_S: Final = 3.0
_LONGEST: Final = timedelta(days=366)
_YEAR: Final = timedelta(days=366)
_MARGIN: Final = timedelta(days=2)  # more than any two zones are apart
_LATE: Final = 400 * 19  # years; the calendar of a year comes back after 400
_NAME: Final = 80


class Calendar:
    """The events of one file."""

    def __init__(self, roots: Sequence[Component], file: str) -> None:
        self._file = file
        with _told_of(file):
            self._series = [(recurring_ical_events.of(root), _own_zone(root)) for root in roots]
        self._known: dict[tuple[str, int], tuple[Window, ...]] = {}

    def windows(self, zone: tzinfo, year: int) -> tuple[Window, ...]:
        """The windows that touch a year, UTC, in order; `zone` is for what has none of its own."""
        key = str(zone), year
        if key not in self._known:
            with _told_of(self._file):
                found = [each for series, own in self._series for each in _windows(series, own or zone, year)]
            self._known[key] = tuple(sorted(found, key=lambda each: (each.start_at, each.end_at, each.name)))
        return self._known[key]


def read_calendar(text: str, file: str) -> Calendar:
    """Read an iCalendar file, and see that every event means a bounded number of windows.

    Raises:
        InvalidError: With everything that is wrong with it.
    """
    events = find_events(text, file)
    with _told_of(file):
        roots = Root.from_ical(text, multiple=True)
    entries = [entry for root in roots for entry in root.walk("VEVENT") if isinstance(entry, Entry)]
    problems = [problem for root in roots for problem in _zone_problems(root, file)]
    until, starts_a_year = time.monotonic() + _CHECK_S, 0
    for entry, event in zip(entries, events, strict=True):
        try:
            starts_a_year += _check(entry, event, file)
        except InvalidError as error:
            problems += error.problems
        if starts_a_year > MOST_WINDOWS_A_YEAR or time.monotonic() > until:
            message = "the events up to this one recur too often, or too rarely, to be worked out"
            problems.append(Problem(message, event.place(file, "RRULE")))
            break
    if problems:
        raise InvalidError(problems[:20])
    return Calendar(roots, file)


@contextmanager
def _told_of(file: str) -> Iterator[None]:
    """Turn what the libraries raise of a calendar that is odd in some other way into our own error."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"the calendar is not understood: {_one_line(str(error))}"
        raise InvalidError(Problem(message, Place(file))) from None


def _zone_problems(root: Component, file: str) -> Iterator[Problem]:
    if "X-WR-TIMEZONE" in root and _own_zone(root) is None:
        name = _one_line(str(root["X-WR-TIMEZONE"]))
        yield Problem(f"`X-WR-TIMEZONE` names no time zone: `{name}`", Place(file))


def _own_zone(root: Component) -> ZoneInfo | None:
    """The zone that a calendar names for all of its times."""
    try:
        return ZoneInfo(str(root.get("X-WR-TIMEZONE", "")))
    except (KeyError, OSError, ValueError):  # a name that is none
        return None


def _check(entry: Entry, event: Event, file: str) -> int:
    """Refuse an event with problems; how often it begins in a year."""
    problems = list(_problems(entry, event, file))
    if problems:
        raise InvalidError(problems)
    return _starts_a_year(entry, event, file)


def _problems(entry: Entry, event: Event, file: str) -> Iterator[Problem]:
    """What is wrong with an event; what the library passes over is told as well."""
    if entry.errors:
        name, said = entry.errors[0]
        message = f"`{name}` is not understood: {_one_line(str(said))}"
        yield Problem(message, event.place(file, str(name)))
        return
    if "DTSTART" not in entry:
        yield Problem("an event needs a `DTSTART`", event.place(file))
        return
    for name, zone in _unknown_zones(entry):
        message = f"there is no time zone `{_one_line(zone)}`, and no VTIMEZONE describes it"
        yield Problem(message, event.place(file, name), "names look like `Europe/Berlin`")
        return
    start, end = _value(entry, "DTSTART"), _end(entry)
    if isinstance(start, datetime) != isinstance(end, datetime):
        yield Problem("`DTSTART` and `DTEND` are not both days or both times", event.place(file, "DTEND"))
    elif _is_floating(start) != _is_floating(end):
        yield Problem("only one of `DTSTART` and `DTEND` has a time zone", event.place(file, "DTEND"))
    elif end <= start:
        message = "the event has no length: it does not end after it begins"
        yield Problem(message, event.place(file, "DTEND", "DURATION", "DTSTART"), "give it a later `DTEND`")
    elif end - start > _LONGEST and "RRULE" in entry:
        yield Problem(f"a window that recurs is at most {_LONGEST.days} days long", event.place(file))


def _unknown_zones(entry: Entry) -> Iterator[tuple[str, str]]:
    """Properties whose zone the library did not find, and so dropped without a word."""
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE"):
        for given in _listed(entry, name):
            moments = [each.dt for each in given.dts] if hasattr(given, "dts") else [given.dt]
            if "TZID" in given.params and any(map(_is_floating, moments)):
                yield name, str(given.params["TZID"])


def _listed(entry: Entry, name: str) -> list[Any]:
    """Every value of a property that may be given more than once."""
    given = entry.get(name, [])
    return given if isinstance(given, list) else [given]


def _value(entry: Component, name: str) -> Any:  # noqa: ANN401 - a day, a time or a length of time
    return cast("Any", entry[name]).dt


def _end(entry: Entry) -> Any:  # noqa: ANN401 - a day or a time, as the start is
    """When an event ends, as the library has it."""
    start = _value(entry, "DTSTART")
    if "DTEND" in entry:
        return _value(entry, "DTEND")
    if "DURATION" in entry:
        return start + _value(entry, "DURATION")
    return start if isinstance(start, datetime) else start + timedelta(days=1)


def _is_floating(moment: object) -> bool:
    return isinstance(moment, datetime) and moment.tzinfo is None


def _starts_a_year(entry: Entry, event: Event, file: str) -> int:
    """How often an event begins in a year; a rule is tried where few years are left to follow it through.

    The library follows a rule that matches no day to the year 9999. 7600 years later the calendar is the
    same, since 400 years are a whole number of weeks.

    Raises:
        InvalidError: A rule is none, or matches no day.
    """
    start = _value(entry, "DTSTART")
    late = datetime(start.year + _LATE, start.month, start.day, tzinfo=None)  # noqa: DTZ001 - a wall clock
    starts = 1
    for rule in _listed(entry, "RRULE"):
        endless = type(rule)({name: rule[name] for name in rule if name not in ("UNTIL", "COUNT")})
        try:
            tried = rrulestr(endless.to_ical().decode(), dtstart=late)
            first = next(iter(tried), None)
        except (ValueError, TypeError) as error:
            message = f"`RRULE` is not understood: {_one_line(str(error))}"
            raise InvalidError(Problem(message, event.place(file, "RRULE"))) from None
        if first is None:
            raise InvalidError(Problem("`RRULE` matches no day", event.place(file, "RRULE")))
        starts += len(tried.between(first, first + _YEAR, inc=True))
    return starts


def _windows(series: recurring_ical_events.CalendarQuery, zone: tzinfo, year: int) -> Iterator[Window]:
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    for entry in series.between(begin - _MARGIN, end + _MARGIN):
        start_at, end_at = (_instant(_value(entry, name), zone) for name in ("DTSTART", "DTEND"))
        if str(entry.get("STATUS", "")).upper() != "CANCELLED" and start_at < end and end_at > begin:
            yield Window(
                start_at=start_at, end_at=end_at, name=_one_line(str(entry.get("SUMMARY", ""))) or "blackout"
            )


def _instant(moment: date, zone: tzinfo) -> datetime:
    """When it is; a day is its first moment."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=zone)
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def _one_line(text: str) -> str:
    """A text of the file's, short and safe to print."""
    printable = "".join(char if char.isprintable() else " " for char in text[: _NAME + 1])
    return printable.strip() if len(text) <= _NAME else f"{printable[:_NAME].strip()}..."
