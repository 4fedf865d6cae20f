"""Walk: the wall clock times of a cron line, from croniter, which is not loaded as long as nothing recurs."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from croniter import croniter

from chargehand.cronline import CronLine


def walk(line: CronLine, after: datetime) -> Iterator[datetime]:
    """The wall clock times of a line, later than `after`, as if clocks never changed."""
    walker = croniter(_for_croniter(line), after, ret_type=datetime)
    while True:
        wall = walker.get_next()
        yield wall.replace(tzinfo=None)


def _for_croniter(line: CronLine) -> str:
    """The line as plain lists of values, so that no grammar but ours is ever applied."""
    day, weekday = _listed(line.day.values, 31), _listed(line.weekday.values, 7)
    if line.either_day and "*" in (day, weekday):
        day = weekday = "*"
    elif line.either_day and not line.has_dates:
        day = "*"
    return " ".join(
        (
            _listed(line.minute.values, 60),
            _listed(line.hour.values, 24),
            day,
            _listed(line.month.values, 12),
            weekday,
        )
    )


def _listed(values: Sequence[int], all_of_them: int) -> str:
    return "*" if len(values) == all_of_them else ",".join(map(str, values))
