"""Interruption: what signals mean while hosts run - the first stops them, the second leaves them."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Protocol, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stoppable(Protocol):
    """What can be told to stop; a runner."""

    def stop(self, *, now: bool = False) -> None:
        """Stop, or with `now` let go of what does not stop; callable from a signal handler."""


class Interruption:
    """Turns SIGINT, SIGTERM and SIGHUP into a stop while a run goes on.

    Before the run has begun they end the command as they would anywhere else.

    Args:
        tell: Told what was understood.

    Attributes:
        number: The first signal that came; 0 when none has.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.number = 0
        self._tell = tell
        self._running: Stoppable | None = None
        self._before: dict[signal.Signals, object] = {}

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells have it."""
        return 128 + self.number

    def watch(self, running: Stoppable) -> None:
        """From now on signals stop `running`."""
        self._running = running
        for number in _SIGNALS:
            self._before.setdefault(number, signal.signal(number, self._stop))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = None
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # as signal gave it
        self._before.clear()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        again = self.number != 0
        self.number = self.number or number
        if self._running is not None:
            self._running.stop(now=again)
        self._tell(
            "leaving the hosts that have not stopped"
            if again
            else "stopping: waiting for the hosts; press Ctrl-C again to leave them"
        )
