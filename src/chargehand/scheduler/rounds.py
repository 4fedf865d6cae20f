"""Rounds: passes for ever, each at the moment something is due and otherwise every few seconds.

Sleep is measured on the monotonic clock, in steps after which the wall clock is read again: it may be set
forward or back, or have slept with the machine.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Final

SANE: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A clock that shows less has not been set since the machine was started; it decides nothing."""
STEP_S: Final = 0.5
"""The longest sleep: a signal that comes in the instant before one does not end it."""


def is_sane(now: datetime) -> bool:
    """Whether the clock can be believed."""
    return now >= SANE


def sleep_s(now: datetime, due: datetime | None, left_s: float) -> float:
    """How long to sleep before the clocks are read again; 0 when it is time for a pass.

    Args:
        now: By the wall clock.
        due: When something is due by the same clock; None when nothing is.
        left_s: Seconds until there is to be a pass in any case.
    """
    until_due_s = left_s if due is None else (due - now).total_seconds()
    return max(0.0, min(left_s, until_due_s, STEP_S))


class Rounds:
    """Makes passes until it is told to end.

    Args:
        make_pass: Starts what is due; gives the moment of the next thing due, None when there is none.
        interval_s: Seconds between two passes at most: how soon a changed file is seen.
        clock: The time, aware, UTC.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        make_pass: Callable[[], datetime | None],
        *,
        interval_s: float,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_pass = make_pass
        self._interval_s = interval_s
        self._clock = clock
        self._monotonic = monotonic
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._ended = False
        self._awake_at = monotonic()

    @property
    def silence_s(self) -> float:
        """Seconds since it last did something; more than a pass can take when one is stuck."""
        return self._monotonic() - self._awake_at

    def call(self) -> None:
        """Have a pass made soon; from any thread and from a signal handler."""
        self._calls.put(True)

    def end(self) -> None:
        """Make no further pass; from any thread and from a signal handler."""
        self._ended = True
        self.call()

    def go(self) -> None:
        """Make passes until `end`; whatever a pass raises ends them too."""
        while not self._ended:
            due = self._make_pass()
            self._rest(due)

    def _rest(self, due: datetime | None) -> None:
        """Sleep until something is due, somebody calls, or the interval is over."""
        until = self._monotonic() + self._interval_s
        while not self._ended:
            self._awake_at = self._monotonic()
            step_s = sleep_s(self._clock(), due, until - self._awake_at)
            try:
                self._calls.get(timeout=step_s)
            except Empty:
                if not step_s:
                    return
            else:
                self._hear_all()
                return

    def _hear_all(self) -> None:
        """One pass answers all who called by now."""
        while not self._calls.empty():
            self._calls.get()
