"""Interrupt: a host's stop button while its connection is being made."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chargehand.provider import Stop, Unreachable
from chargehand.strand import Signal


class Interrupt:
    """Wakes whoever waits, and shuts what is being opened, when the button is pressed."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []
        stop.listen(self._press)

    @contextmanager
    def calling(self, waker: Callable[[], None]) -> Iterator[None]:
        """Call `waker` when the button is pressed during the block, or was before it.

        Raises:
            Unreachable: It was pressed; told instead of what the block raised.
        """
        with self._lock:
            self._wakers.append(waker)
        if self._stop.reason:
            waker()
        try:
            yield
        except Exception:
            self.check()  # what broke because it was shut is no fault of the host
            raise
        finally:
            with self._lock:
                self._wakers.remove(waker)
        self.check()

    def wait(self, seconds: float) -> None:
        """Wait that long.

        Raises:
            Unreachable: The button was pressed.
        """
        pressed = Signal()
        with self.calling(pressed.set):
            pressed.wait(seconds)

    def check(self) -> None:
        """Raise Unreachable when the button was pressed."""
        if self._stop.reason:
            words = f"stopped before the connection was there: {self._stop.reason}"
            raise Unreachable(self._stop.reason, words)

    def _press(self) -> None:
        with self._lock:
            wakers = list(self._wakers)
        for waker in wakers:
            waker()
