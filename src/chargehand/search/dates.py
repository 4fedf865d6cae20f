"""Dates as search queries write them: a value means a span of time, by its smallest written unit.

Source: scoped_search 4.3.0's date values, without the forms it misreads: words must be the whole value,
years have four digits, no weekday names, no day-first or month-first slashes.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from importlib import import_module

from chargehand.frozen import frozen
from chargehand.moment import MomentError, local_moment, parse_moment

FORMS = '2024-03-15, 2024-03-15T10:30Z, 15 March 2024, today, yesterday, "2 hours ago", "1 week from now"'

_UNITS = r"(?P<unit>second|minute|hour|day|week|month|year)s?"
_RELATIVE = rf"(?ai)(?P<count>\d{{1,6}})\s+{_UNITS}\s+(?P<way>ago|from\s+now)"
_REST_OF_RELATIVE = rf"(?ai)\s+{_UNITS}\s+(?:ago|from\s+now)\b"
_TIME = (
    r"(?:[T ]\s*(?P<hour>\d\d?)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d{1,9})?)?)"
    r"(?:\s*(?:(?P<utc>Z|UTC)|(?P<sign>[+-])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d)?))?)?"
)
_DAYS = [
    f"(?ai){form}{_TIME}"
    for form in (
        r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
        r"(?P<year>\d{4})/(?P<month>\d\d?)/(?P<day>\d\d?)",
        r"(?P<day>\d\d?)(?:\s+|-)(?P<name>[a-z]{3,9})(?:\s+|-)(?P<year>\d{4})",
        r"(?P<name>[a-z]{3,9})\s+(?P<day>\d\d?),?\s+(?P<year>\d{4})",
    )
]
_MONTHS = [r"(?ai)(?P<year>\d{4})-(?P<month>\d\d)", r"(?ai)(?P<name>[a-z]{3,9})\s+(?P<year>\d{4})"]
"""Compiled by `re` when a value is to be read; most queries have no date."""
_MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DAY_WORDS = {"yesterday": -1, "today": 0, "tomorrow": 1}


@frozen(kw_only=False)
class Span:
    """From `start_at` until just before `end_at`.

    Attributes:
        start_at: First instant, UTC.
        end_at: First instant after it, UTC.
        whole_days: Whether it is a day or longer; then "after" means after its end.
    """

    start_at: datetime
    end_at: datetime
    whole_days: bool

    def holds(self, operator: str, instant: datetime) -> bool:
        """Whether ``instant operator value`` holds: eq, gt, gte, lt or lte."""
        if operator == "eq":
            return self.start_at <= instant < self.end_at
        if operator == "gt":
            return instant >= self.end_at if self.whole_days else instant > self.start_at
        if operator == "lte":
            return instant < self.end_at if self.whole_days else instant <= self.start_at
        return instant < self.start_at if operator == "lt" else instant >= self.start_at


def read_span(text: str, now: datetime, zone: tzinfo) -> Span | None:
    """The span a query value means, or None when it is no date.

    Minutes and hours ago count from `now`, days and longer from the midnight of that day in `zone`.
    """
    try:
        return _word(text, now, zone) or _relative(text, now, zone) or _day(text, zone) or _month(text, zone)
    except (ValueError, OverflowError):  # a 30th of February, a year 10000, a local time that is skipped
        return None


def read_stored(value: object, zone: tzinfo) -> datetime | None:
    """The instant a variable or fact holds, or None when it holds no date.

    ISO 8601 text, with an offset or of `zone`; a date alone is the beginning of that day.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else local_moment(value, zone)
    if isinstance(value, date):
        return _midnight(value, zone)
    if not isinstance(value, str) or not value[:4].isdigit():
        return None
    try:
        return parse_moment(value, zone)
    except MomentError:
        return None


def relative_date_after(text: str, end: int) -> str | None:
    """What follows a bare number when its author forgot the quotes: `` hours ago``."""
    match = re.match(_REST_OF_RELATIVE, text[end:])
    return match[0] if match else None


def _word(text: str, now: datetime, zone: tzinfo) -> Span | None:
    shift = _DAY_WORDS.get(text.lower())
    return None if shift is None else _one_day(_today(now, zone) + timedelta(days=shift), zone)


def _relative(text: str, now: datetime, zone: tzinfo) -> Span | None:
    match = re.fullmatch(_RELATIVE, text.strip())
    if match is None:
        return None
    unit = match["unit"].lower()
    count = int(match["count"]) * (-1 if match["way"].lower() == "ago" else 1)
    if unit in ("second", "minute", "hour"):
        start_at = now.astimezone(UTC) + timedelta(**{unit + "s": count})
        return Span(start_at, start_at + timedelta(seconds=1 if unit == "second" else 60), whole_days=False)
    day = _today(now, zone)
    if unit in ("day", "week"):
        return _one_day(day + timedelta(**{unit + "s": count}), zone)
    return _one_day(_months_later(day, count * (12 if unit == "year" else 1)), zone)


def _day(text: str, zone: tzinfo) -> Span | None:
    match = next((match for form in _DAYS if (match := re.fullmatch(form, text.strip()))), None)
    if match is None:
        return None
    day = date(int(match["year"]), _month_number(match), int(match["day"]))
    if match["hour"] is None:
        return _one_day(day, zone)
    wall = datetime.combine(day, time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0)))
    length = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    start_at = _at_offset(wall, match) or local_moment(wall, zone)
    return Span(start_at, start_at + length, whole_days=False)


def _at_offset(wall: datetime, match: re.Match[str]) -> datetime | None:
    if match["utc"]:
        return wall.replace(tzinfo=UTC)
    if match["sign"] is None:
        return None
    offset = timedelta(hours=int(match["zone_hour"]), minutes=int(match["zone_minute"] or 0))
    return wall.replace(tzinfo=UTC) - (offset if match["sign"] == "+" else -offset)


def _month(text: str, zone: tzinfo) -> Span | None:
    match = next((match for form in _MONTHS if (match := re.fullmatch(form, text.strip()))), None)
    if match is None:
        return None
    first = date(int(match["year"]), _month_number(match), 1)
    return Span(_midnight(first, zone), _midnight(_months_later(first, 1), zone), whole_days=True)


def _month_number(match: re.Match[str]) -> int:
    if "month" in match.re.groupindex:
        return int(match["month"])
    name = match["name"].lower()
    for number, month in enumerate(_MONTH_NAMES, start=1):
        if name in (month, month[:3]):
            return number
    raise ValueError(name)


def _months_later(day: date, months: int) -> date:
    """The same day of another month, or the last one of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    last = import_module("calendar").monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def _today(now: datetime, zone: tzinfo) -> date:
    return now.astimezone(zone).date()


def _one_day(day: date, zone: tzinfo) -> Span:
    return Span(_midnight(day, zone), _midnight(day + timedelta(days=1), zone), whole_days=True)


def _midnight(day: date, zone: tzinfo) -> datetime:
    """The beginning of a day; where clocks skip midnight, the moment they do."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
