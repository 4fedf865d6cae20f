"""Backlog: an observer that may be slow, or stuck, told of a run without holding the run up."""

import logging
import threading
from collections import Counter, deque
from types import TracebackType
from typing import Final

from chargehand.event import Event, HostFinished, HostOutput, Notice, Observer

log = logging.getLogger(__name__)

LIMIT_BYTES: Final = 16 << 20
PATIENCE_S: Final = 5.0
GATHER_S: Final = 0.02
"""How long events are gathered: a thread that is woken for each of them keeps the others from their work."""


class Backlog:
    """Tells an observer of events from a thread of its own.

    A stopped terminal or a full pipe holds up whoever writes to it; a run must go on. Every event waits for
    its turn, but output beyond `limit_bytes` is left out, and that is told with the host's end: the result
    has all of it. To be entered before the run and left after it; leaving waits until the rest is told.

    Args:
        observer: Who is told.
        limit_bytes: Of output that may wait.
        patience_s: Seconds without any progress after which the rest is given up.
    """

    def __init__(
        self, observer: Observer, *, limit_bytes: int = LIMIT_BYTES, patience_s: float = PATIENCE_S
    ) -> None:
        self._observer = observer
        self._limit_bytes = limit_bytes
        self._patience_s = patience_s
        self._events: deque[Event] = deque()
        self._waiting_bytes = 0
        self._told = 0
        self._left_out: Counter[str] = Counter()
        self._over = False
        self._resting = False
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._change = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._work, name="chargehand-backlog", daemon=True)

    def __enter__(self) -> "Backlog":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._over = True
            self._change.notify_all()
            told = -1
            while self._events and told != self._told:
                told = self._told
                self._change.wait(self._patience_s)
        self._thread.join(0.0 if self._events else self._patience_s)
        if self._error is not None:
            log.error("an observer failed at the end of a run", exc_info=self._error)

    def __call__(self, event: Event) -> None:
        """Take an event; never waits for the observer.

        Raises:
            Exception: What the observer raised before, once.
        """
        with self._lock:
            if isinstance(event, HostOutput):
                if self._waiting_bytes + len(event.chunk) > self._limit_bytes:
                    self._left_out[event.host] += len(event.chunk)
                    return
                self._waiting_bytes += len(event.chunk)
            elif self._left_out and isinstance(event, HostFinished):
                self._tell_missed(event)
            self._events.append(event)
            if self._resting:
                self._change.notify_all()
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _tell_missed(self, event: HostFinished) -> None:
        if missed := self._left_out.pop(event.result.host, 0):
            why = f"{missed} bytes of output are not shown here: nobody read fast enough"
            self._events.append(Notice(at=event.at, message=f"{event.result.host}: {why}"))

    def _work(self) -> None:
        while self._await_events():
            while self._events:
                self._tell(self._events[0])  # which stays in its place until it is told

    def _tell(self, event: Event) -> None:
        try:
            self._observer(event)
        except Exception as error:  # noqa: BLE001 - raised at the next event, where the run hears of it
            self._error = error
        with self._lock:
            self._events.popleft()
            self._told += 1
            if isinstance(event, HostOutput):
                self._waiting_bytes -= len(event.chunk)
            if self._over:
                self._change.notify_all()

    def _await_events(self) -> bool:
        """Wait until there are some, and a little for others; False when none will come."""
        with self._change:
            self._resting = True
            while not (self._events or self._over):
                self._change.wait()
            self._resting = False
            if not self._over:
                self._change.wait(GATHER_S)
            return bool(self._events)
