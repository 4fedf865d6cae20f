"""Windows of time, and what they say of a moment."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from chargehand.frozen import frozen

_MOST_WINDOWS_ON_END: Final = 1000


@frozen
class Window:
    """A stretch of time in which nothing starts by itself.

    Attributes:
        start_at: Its first moment, aware, UTC.
        end_at: The first moment after it, aware, UTC.
        name: What its calendar calls it.
    """

    start_at: datetime
    end_at: datetime
    name: str


WindowsOf = Callable[[int], Sequence[Window]]
"""The windows that touch a year, UTC."""


class Blackout:
    """All windows of some calendars together."""

    def __init__(self, calendars: Sequence[WindowsOf] = ()) -> None:
        self._calendars = tuple(calendars)

    def __bool__(self) -> bool:
        return bool(self._calendars)

    def window_at(self, moment: datetime) -> Window | None:
        """The window that covers an aware moment; of several the one that ends last."""
        year = moment.astimezone(UTC).year
        covering = [
            window
            for windows_of in self._calendars
            for window in windows_of(year)
            if window.start_at <= moment < window.end_at
        ]
        return max(covering, key=lambda window: (window.end_at, window.name), default=None)

    def at(self, moment: datetime) -> str:
        """The name of the window that covers an aware moment, or an empty text."""
        window = self.window_at(moment)
        return window.name if window else ""

    def next_free(self, moment: datetime) -> datetime | None:
        """The first moment from `moment` on that no window covers; None when windows follow without end."""
        free = moment.astimezone(UTC)
        for _ in range(_MOST_WINDOWS_ON_END):
            window = self.window_at(free)
            if window is None:
                return free
            free = max(window.end_at, free + timedelta(microseconds=1))
        return None


NO_BLACKOUT: Final = Blackout()
