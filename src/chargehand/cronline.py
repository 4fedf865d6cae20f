"""Cron lines: five fields as Vixie cron wrote them; where respected crons disagree, refused with advice.

Source: crontab(5) of cronie 1.7 for the grammar; what cronie, Quartz, fugit, robfig/cron and croniter read
differently (six fields, ``?``, ``22-2``, ``59/15``, steps larger than their range) has no meaning here.
"""

import itertools
import re
from collections.abc import Mapping
from typing import Final

from chargehand.errors import InvocationError, Problem
from chargehand.expression import expression
from chargehand.frozen import frozen

_MACROS: Final = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_MONTHS: Final = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
)}  # fmt: skip
_WEEKDAYS: Final = {
    name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
}
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MAX_LENGTH: Final = 200
_ITEM = expression(
    r"(?P<star>\*)(?:/(?P<star_step>\d{1,4}))?|(?P<first>\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,4}))?"
)
_ADVICE: Final = (
    (r"\?", "`?` is Quartz's", "write `*`"),
    (r"\b[hr]\b|~|h\(", "random times differ at every reading", "use `jitter`"),
    (
        r"[#w]|\bl|l\b|last|%|&",
        "`L`, `W`, `#`, `%` and `&` mean different things in different crons",
        "run on every candidate day and let the script check the date",
    ),
)


class CronError(InvocationError):
    """A cron line that is refused: what is wrong and what to write; the caller adds the place."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(Problem(message, hint=hint, rule="cron_line"))


@frozen(kw_only=False)
class CronField:
    """One field of a line.

    Attributes:
        written: In numbers, without needless zeros: ``*/15``, ``1-5``.
        values: What it stands for, ascending; Sunday is 0.
        follows_clock: Whether it begins with ``*``.
    """

    written: str
    values: tuple[int, ...]
    follows_clock: bool

    @property
    def is_any(self) -> bool:
        """Whether it is plainly ``*``."""
        return self.written == "*"


@frozen
class CronLine:
    """A line that was understood.

    Attributes:
        text: As the user wrote it.
        minute: 0 to 59.
        hour: 0 to 23.
        day: 1 to 31.
        month: 1 to 12.
        weekday: 0 to 6 from Sunday.
        warnings: What the author may not expect.
    """

    text: str
    minute: CronField
    hour: CronField
    day: CronField
    month: CronField
    weekday: CronField
    warnings: tuple[Problem, ...] = ()

    @property
    def canonical(self) -> str:
        """The five fields in numbers."""
        return " ".join(
            field.written for field in (self.minute, self.hour, self.day, self.month, self.weekday)
        )

    @property
    def follows_clock(self) -> bool:
        """Whether it runs by what the clock shows; else it runs once on each of its days."""
        return self.minute.follows_clock or self.hour.follows_clock

    @property
    def either_day(self) -> bool:
        """Whether both day fields are given, so that either of them makes it run."""
        return not self.day.is_any and not self.weekday.is_any

    @property
    def has_dates(self) -> bool:
        """Whether any of its months ever has one of its days."""
        return bool(_dates(self.day, self.month))


@frozen(kw_only=False)
class _Range:
    name: str
    low: int
    high: int
    names: Mapping[str, int]
    example: str


_RANGES: Final = (
    _Range("minute", 0, 59, {}, "*/15"),
    _Range("hour", 0, 23, {}, "8-17"),
    _Range("day", 1, 31, {}, "1,15"),
    _Range("month", 1, 12, _MONTHS, "jan-mar"),
    _Range("weekday", 0, 7, _WEEKDAYS, "mon-fri"),
)


def read_cron_line(text: str) -> CronLine:
    """Read a cron line.

    Raises:
        CronError: It is not of the grammar, never occurs, or is one on which crons disagree.
    """
    fields = [_read_field(field, span) for field, span in zip(_split(text), _RANGES, strict=True)]
    minute, hour, day, month, weekday = fields
    _check_days(day, month, weekday)
    warnings = tuple(
        Problem(message, rule="cron_line", severity="warning")
        for message in _doubts(day, month, weekday, fields)
    )
    return CronLine(
        text=text, minute=minute, hour=hour, day=day, month=month, weekday=weekday, warnings=warnings
    )


def _split(text: str) -> list[str]:
    if len(text) > _MAX_LENGTH:
        raise CronError(f"a cron line has at most {_MAX_LENGTH} characters, this one has {len(text)}")
    if not text.isascii() or not text.strip("\n").replace("\t", " ").isprintable():
        raise CronError("a cron line is made of ASCII characters on one line", "copy it as plain text")
    line = text.strip()
    if line.startswith("@"):
        line = _macro(line)
    if "=" in line:
        raise CronError("a cron line names no time zone", "write it as `time_zone` of the job")
    fields = line.split()
    if len(fields) != 5:
        raise _wrong_count(fields)
    return fields


def _macro(line: str) -> str:
    known = ", ".join(_MACROS)
    hints = {
        "@reboot": "a job runs on many hosts, none of whose boots is meant",
        "@every": "write `*/15 * * * *` for every 15 minutes",
        "@noon": "write `0 12 * * *`",
    }
    if line.lower() not in _MACROS:
        raise CronError(
            f"`{line}` is no name of a cron line",
            hints.get(line.lower().partition(" ")[0], f"known: {known}"),
        )
    return _MACROS[line.lower()]


def _wrong_count(fields: list[str]) -> CronError:
    message = f"a cron line has five fields, minute hour day month weekday; this one has {len(fields)}"
    if len(fields) < 6:
        return CronError(message, "for example `0 3 * * sun`")
    if re.fullmatch(r"[A-Za-z_]+/\S+|UTC|[+-]\d\d:?\d\d", fields[-1]):
        return CronError(message, f"write `time_zone: {fields[-1]}` in the job instead")
    if len(fields) > 6:
        return CronError(
            message, f"if the first are seconds and the last are years: `{' '.join(fields[1:6])}`"
        )
    first, last = " ".join(fields[1:]), " ".join(fields[:5])
    return CronError(
        message, f"with seconds first (Quartz, fugit) it is `{first}`, with seconds last (croniter) `{last}`"
    )


def _read_field(text: str, span: _Range) -> CronField:
    items = [_read_item(item, text, span) for item in text.split(",")]
    written = ",".join(dict.fromkeys(item for item, _ in items))
    values = {value % 7 if span.name == "weekday" else value for _, item in items for value in item}
    if len(items) > 1 and any(item == "*" for item, _ in items):
        raise CronError(f"`{text}` in the {span.name} field: `*` already is every value", "write `*` alone")
    return CronField(written, tuple(sorted(values)), written.startswith("*"))


def _read_item(item: str, field: str, span: _Range) -> tuple[str, range]:
    """One part of a list: how it is written in numbers, and the values it stands for."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _malformed(item, field, span)
    if match["star"]:
        low, high, step = span.low, 6 if span.name == "weekday" else span.high, match["star_step"]
        return ("*" if step in (None, "1") else f"*/{int(step)}"), _stepped(low, high, step, field, span)
    low = _number(match["first"], field, span)
    step = match["step"]
    if match["last"] is None and step is None:
        return str(low % 7 if span.name == "weekday" else low), range(low, low + 1)
    if match["last"] is None and span.name == "weekday":
        raise CronError(
            f"`{item}` in the weekday field: crons disagree on its last day", "write the days: mon,wed,fri"
        )
    high = span.high if match["last"] is None else _number(match["last"], field, span)
    if high < low:
        raise _wrapping(item, low, high, span)
    written = f"{low}" if match["last"] is None else f"{low}-{high}"
    return written + (f"/{int(step)}" if step else ""), _stepped(low, high, step, field, span)


def _number(text: str, field: str, span: _Range) -> int:
    number = span.names.get(text.lower())
    if number is None and not text.isdecimal():
        raise _malformed(text, field, span)
    number = int(text) if number is None else number
    if not span.low <= number <= span.high:
        hint = "midnight is hour 0" if span.name == "hour" and number == 24 else None
        raise CronError(f"`{text}` in the {span.name} field: values are {span.low} to {span.high}", hint)
    return number


def _stepped(low: int, high: int, step: str | None, field: str, span: _Range) -> range:
    stride = 1 if step is None else int(step)
    if stride == 0:
        raise CronError(f"`{field}` in the {span.name} field: a step of 0 never ends")
    if step is not None and stride > high - low:
        message = (
            f"`{field}` in the {span.name} field: the step {stride} leads out of {low}-{high}; crons disagree"
        )
        raise CronError(message, f"write `{low}` if only that is meant")
    return range(low, high + 1, stride)


def _wrapping(item: str, low: int, high: int, span: _Range) -> CronError:
    message = f"`{item}` in the {span.name} field ends before it begins; crons disagree on it"
    if span.name == "weekday":
        days = ("6" if low == 6 else f"{low}-6") + ",0" + ("" if high == 0 else f"-{high}")
        return CronError(message, f"write `{days}`" + (f" or `{low}-7`" if high == 0 else ""))
    before = f"{low}-{span.high}" if low < span.high else f"{low}"
    return CronError(
        message, f"write `{before},{span.low}-{high}`" if high > span.low else f"write `{before},{span.low}`"
    )


def _malformed(part: str, field: str, span: _Range) -> CronError:
    for pattern, message, hint in _ADVICE:
        if re.search(pattern, part, re.IGNORECASE):
            return CronError(f"`{field}` in the {span.name} field: {message}", hint)
    return CronError(
        f"`{field}` in the {span.name} field is not understood",
        f"write numbers, for example `{span.example}`",
    )


def _check_days(day: CronField, month: CronField, weekday: CronField) -> None:
    stepped = next((field for field in (day, weekday) if field.follows_clock and not field.is_any), None)
    other = weekday if stepped is day else day
    if stepped is not None and not other.is_any:
        label = "day" if stepped is day else "weekday"
        spelled = ",".join(map(str, stepped.values))
        message = f"`{stepped.written}` in the {label} field beside a second day field: crons disagree"
        raise CronError(
            message, f"write `{spelled}` if either is enough; if both must match, let the script check one"
        )
    if weekday.is_any and not _dates(day, month):
        raise CronError(
            f"day {day.written} of month {month.written} never occurs", "the longest February has 29 days"
        )


def _dates(day: CronField, month: CronField) -> list[tuple[int, int]]:
    """The (month, day) pairs that some year has."""
    pairs = itertools.product(month.values, day.values)
    return [(month, day) for month, day in pairs if day <= _LONGEST_MONTHS[month - 1]]


def _doubts(day: CronField, month: CronField, weekday: CronField, fields: list[CronField]) -> list[str]:
    doubts: list[str] = []
    if not day.is_any and not weekday.is_any:
        never = "" if _dates(day, month) else ", and that day never occurs"
        doubts.append(
            f"with day {day.written} and weekday {weekday.written} it runs when either matches{never}"
        )
    elif weekday.is_any and _dates(day, month) == [(2, 29)]:
        doubts.append("29 February comes every 4 years")
    for field, span in zip(fields, _RANGES, strict=True):
        if (
            "/" in field.written
            and "," not in field.written
            and "-" not in field.written
            and _is_uneven(field, span)
        ):
            doubts.append(
                f"`{field.written}` is uneven: the {span.name} starts again at {field.values[0]} each time"
            )
    return doubts


def _is_uneven(field: CronField, span: _Range) -> bool:
    """Whether the gap over the end of the hour, day, month, year or week differs from the others."""
    if span.name == "day":
        return True
    period = {"minute": 60, "hour": 24, "month": 12, "weekday": 7}[span.name]
    step = field.values[1] - field.values[0]
    return field.values[0] + period - field.values[-1] != step
