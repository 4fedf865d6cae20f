"""When a cron line occurs: wall clock times mapped to instants, the only package that calls croniter.

A line with fixed minute and hour runs once on every day it matches: a time that clocks skip runs right
after the jump, a time they show twice runs the first time. A line with ``*`` in minute or hour follows
the clock as it is. Source: cronie 1.7.2 and Debian's cron, whose rule this is.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib import import_module
from typing import Final

from chargehand.cronline import CronError, CronField, CronLine, read_cron_line
from chargehand.errors import Problem

__all__ = [
    "CronError",
    "CronField",
    "CronLine",
    "clock_change_warnings",
    "in_words",
    "next_occurrence",
    "occurrences",
    "read_cron_line",
]

_MADE_UP: Final = timedelta(hours=3)
"""A jump of this length or more is a change of calendar: its times are not made up for (cronie)."""
_HORIZON: Final = timedelta(hours=26)
_SECOND: Final = timedelta(seconds=1)
_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def next_occurrence(line: CronLine, zone: tzinfo, after: datetime) -> datetime:
    """The first instant, in UTC, strictly later than `after` at which the line occurs.

    Args:
        line: What to follow.
        zone: Whose wall clock it is read against.
        after: Aware.
    """
    after = after.astimezone(UTC)
    return _by_the_clock(line, zone, after) if line.follows_clock else _once_a_day(line, zone, after)


def occurrences(line: CronLine, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """All of them, without end, ascending."""
    while True:
        after = next_occurrence(line, zone, after)
        yield after


def clock_change_warnings(line: CronLine, zone: tzinfo, now: datetime) -> list[Problem]:
    """Warnings of fixed times that a change of clocks within a year skips or repeats."""
    if line.follows_clock:
        return []
    found = [problem for change in _changes(zone, now) for problem in _change_warning(line, zone, change)]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _changes(zone: tzinfo, now: datetime) -> tuple[datetime, ...]:
    """The changes of clocks within a year, looked for once for all lines of a zone."""
    found: list[datetime] = []
    day, end = now.astimezone(UTC), now.astimezone(UTC) + timedelta(days=366)
    while day < end:
        change = _next_change(zone, day)
        if change is not None:
            found.append(change)
        day += _HORIZON - timedelta(hours=1)
    return tuple(found)


def in_words(line: CronLine) -> str:
    """The line in plain English: ``at 03:00 on Sunday``."""
    return " ".join(
        part for part in (_time_in_words(line), _day_in_words(line), _month_in_words(line)) if part
    )


def _once_a_day(line: CronLine, zone: tzinfo, after: datetime) -> datetime:
    for wall in _walls(line, _wall(after, zone)):
        instant = _instant_of(wall, zone)
        if instant is not None and instant > after:
            return instant
    raise AssertionError("a cron line never ends")


def _by_the_clock(line: CronLine, zone: tzinfo, after: datetime) -> datetime:
    """Walk the stretches between clock changes; in each the clock simply runs."""
    wall = _wall(after, zone)
    while True:
        change = _next_change(zone, after)
        candidate = (next(_walls(line, wall)) - _offset(zone, after)).replace(tzinfo=UTC)
        if candidate < (change or after + _HORIZON):
            return candidate
        if change is None:
            break
        after, wall = change, _wall(change, zone) - _SECOND
    shown = (wall for wall in _walls(line, wall) if _exists(wall, zone))
    return next(shown).replace(tzinfo=zone).astimezone(UTC)


def _walls(line: CronLine, after: datetime) -> Iterator[datetime]:
    """The wall clock times of a line, later than `after`, as if clocks never changed."""
    walker: Iterator[datetime] = import_module("chargehand.recurrence.walk").walk(line, after)
    return walker


def _instant_of(wall: datetime, zone: tzinfo) -> datetime | None:
    """When clocks first show `wall`, or the moment they jump over it; None after a jump too long."""
    if _exists(wall, zone):
        return wall.replace(tzinfo=zone).astimezone(UTC)
    after_jump = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    before_jump = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if after_jump - before_jump >= _MADE_UP:
        return None
    return _change_between(zone, before_jump - _SECOND, after_jump)


def _exists(wall: datetime, zone: tzinfo) -> bool:
    return _wall(wall.replace(tzinfo=zone, fold=0).astimezone(UTC), zone) == wall


def _wall(instant: datetime, zone: tzinfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _next_change(zone: tzinfo, after: datetime) -> datetime | None:
    """The next change of offset, when it comes within a day or so."""
    after = after.replace(microsecond=0)
    if _offset(zone, after) == _offset(zone, after + _HORIZON):
        return None
    return _change_between(zone, after, after + _HORIZON)


def _change_between(zone: tzinfo, early: datetime, late: datetime) -> datetime:
    """The first second with the offset of `late`; `early` has another one."""
    offset = _offset(zone, late)
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        middle = middle.replace(microsecond=0)
        if _offset(zone, middle) == offset:
            late = middle
        else:
            early = middle
    return late


def _change_warning(line: CronLine, zone: tzinfo, change: datetime) -> list[Problem]:
    before, after = _wall(change - _SECOND, zone) + _SECOND, _wall(change, zone)
    first, last = min(before, after), max(before, after)
    wall = next(_walls(line, first - _SECOND))
    if wall >= last:
        return []
    skipped = before < after
    outcome = f"it runs at {after:%H:%M}" if skipped else "it runs the first time only"
    shown = "not shown" if skipped else "shown twice"
    message = f"{wall:%H:%M} is {shown} by the clocks of {zone} on {wall:%Y-%m-%d}; {outcome}"
    return [Problem(message, rule="cron_line", severity="warning")]


def _time_in_words(line: CronLine) -> str:
    minute, hour = line.minute, line.hour
    if hour.is_any and minute.is_any:
        return "every minute"
    if hour.is_any and minute.follows_clock and "," not in minute.written:
        return f"every {minute.written.removeprefix('*/')} minutes"
    if hour.is_any:
        return f"every hour at minute {_series(minute.values)}"
    if len(minute.values) * len(hour.values) <= 4:
        return "at " + _series([f"{h:02d}:{m:02d}" for h in hour.values for m in minute.values])
    minutes = "every minute" if minute.is_any else f"minute {_series(minute.values)}"
    return f"at {minutes} of hour {_series(hour.values)}"


def _day_in_words(line: CronLine) -> str:
    days = f"on day {_series(line.day.values)} of the month"
    weekdays = f"on {_series([_WEEKDAYS[day] for day in line.weekday.values])}"
    if line.either_day:
        return f"{days} or {weekdays}"
    if not line.weekday.is_any:
        return weekdays
    if not line.day.is_any:
        return days
    return "" if line.hour.is_any else "every day"


def _month_in_words(line: CronLine) -> str:
    return "" if line.month.is_any else f"in {_series([_MONTHS[month - 1] for month in line.month.values])}"


def _series(values: Sequence[object]) -> str:
    """``1, 2 and 5``."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
