"""Departure: what signals mean to a scheduler - the first ends it in order, the second at once."""

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Final, Protocol, Self

_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)


class Departing(Protocol):
    """What comes to its end in order; a scheduler."""

    def refrain(self) -> None:
        """Start nothing any more."""

    def stop(self) -> None:
        """Stop what runs."""

    def wait(self, limit_s: float | None = None) -> bool:
        """Wait until nothing runs; False when something still did at the end of that time."""


class Departure:
    """Turns SIGINT and SIGTERM into an orderly end, and SIGHUP into a call; a context manager.

    A signal handler only passes its signal on: whatever takes locks is done by a thread of its own.

    Args:
        scheduler: What is to end.
        grace_s: Seconds in which running hosts may finish; then they are stopped.
        tell: Told what was understood.
        end: Called when the first signal came.
        reload: Called on SIGHUP; None makes that an end as well.

    Attributes:
        number: The signal that ended it; 0 when none has.
    """

    def __init__(
        self,
        scheduler: Departing,
        *,
        grace_s: float,
        tell: Callable[[str], None],
        end: Callable[[], None] = lambda: None,
        reload: Callable[[], None] | None = None,
    ) -> None:
        self.number = 0
        self._scheduler = scheduler
        self._grace_s = grace_s
        self._tell = tell
        self._end = end
        self._reload = reload
        self._came: SimpleQueue[int] = SimpleQueue()
        self._before: dict[int, object] = {}

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells have it; 0 when none came."""
        return 128 + self.number if self.number else 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._heed, name="chargehand-departure", daemon=True).start()
        for number in (*_ENDINGS, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # as signal gave it
        self._came.put(0)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._reload:
            self._came.put(number)
        elif self.number:
            os.write(2, b"leaving at once: what runs is asked for by who comes next\n")
            os._exit(self.exit_code)
        else:
            self.number = number
            self._came.put(number)

    def _heed(self) -> None:
        while number := self._came.get():
            if number == signal.SIGHUP and self._reload:
                self._reload()
            else:
                self._depart()

    def _depart(self) -> None:
        self._scheduler.refrain()
        self._end()
        if self._scheduler.wait(0):
            return
        self._tell(
            f"ending: hosts that run have {self._grace_s:g} s to finish; a second signal leaves them at once"
        )
        if not self._scheduler.wait(self._grace_s):
            self._tell("stopping the hosts that still run")
            self._scheduler.stop()
