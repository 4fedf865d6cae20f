"""Interrupt: a host's stop button while its connection is being made."""

from collections.abc import Callable
from types import TracebackType

from chargehand.provider import Stop, Unreachable
from chargehand.strand import Signal


class Interrupt:
    """Wakes whoever waits, and shuts what is being opened, when the button is pressed."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._wakers: list[Callable[[], None]] = []
        stop.listen(self._press)

    def calling(self, waker: Callable[[], None]) -> "_Calling":
        """Call `waker` when the button is pressed during the block, or was before it.

        Raises:
            Unreachable: It was pressed; told instead of what the block raised.
        """
        return _Calling(self, waker)

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

    def begin(self, waker: Callable[[], None]) -> None:
        """Have `waker` called when the button is pressed, or was."""
        self._wakers.append(waker)
        if self._stop.reason:
            waker()

    def end(self, waker: Callable[[], None]) -> None:
        """Have it called no more."""
        self._wakers.remove(waker)

    def _press(self) -> None:
        for waker in tuple(self._wakers):
            waker()


class _Calling:
    """One block of `Interrupt.calling`."""

    def __init__(self, interrupt: Interrupt, waker: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._waker = waker

    def __enter__(self) -> None:
        self._interrupt.begin(self._waker)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interrupt.end(self._waker)
        if error is None or isinstance(error, Exception):
            self._interrupt.check()  # what broke because it was shut is no fault of the host
