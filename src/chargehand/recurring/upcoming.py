"""When a recurring logic starts next: what is shown of it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from chargehand.recurring.logic import RecurringLogic, current, nominal_times

_MOST_COVERED: Final = 2000

Blackout = Callable[[datetime], str]
"""The name of the window in which nothing starts at that moment; empty outside of all."""


def no_blackout(_moment: datetime) -> str:
    """No window at all."""
    return ""


def upcoming_starts(
    logic: RecurringLogic, now: datetime, blackout: Blackout = no_blackout
) -> Iterator[datetime]:
    """The moments later than `now` at which it starts, as far as that is known today; ascending.

    Raises:
        InvocationError: Cron line or time zone are no longer understood.
    """
    logic = current(logic, now)
    if logic.state == "disabled" and logic.paused_until is not None:
        now = max(now, logic.paused_until)
    elif logic.state != "active":
        return
    left = None if logic.max_iteration is None else max(0, logic.max_iteration - logic.iteration)
    after = max(now, logic.since) - logic.delay
    starts = (nominal + logic.delay for nominal in nominal_times(logic, after))
    yield from islice(_free(starts, blackout), left)


def next_occurrence(
    logic: RecurringLogic, now: datetime, blackout: Blackout = no_blackout
) -> datetime | None:
    """The next moment at which it starts; None when there is none.

    Raises:
        InvocationError: Cron line or time zone are no longer understood.
    """
    return next(upcoming_starts(logic, now, blackout), None)


def _free(starts: Iterator[datetime], blackout: Blackout) -> Iterator[datetime]:
    """Those that no window covers, until so many are covered in a row that the end is not in sight."""
    covered = 0
    for start in starts:
        covered = covered + 1 if blackout(start) else 0
        if not covered:
            yield start
        elif covered > _MOST_COVERED:
            return
