"""Watchdog: ends the calls of libssh that do not come back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 2.0


class Watchdog:
    """Looks once in a while from a thread of its own whether a call takes too long, and shuts its connection.

    ssh-python's write does not return while the host exchanges keys anew, and whoever waits in it is the
    thread that serves all hosts. Such an exchange takes a moment, unless the host stops in the middle of it.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._calls: dict[object, tuple[float, Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def watching(self, shut: Callable[[], None]) -> Iterator[None]:
        """Call `shut` when the block takes too long."""
        if self._thread is None:
            self._begin()
        mark = object()
        self._calls[mark] = (time.monotonic(), shut)
        try:
            yield
        finally:
            del self._calls[mark]

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="chargehand-watchdog", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while not self._closed.wait(self._patience_s / 2):
            overdue = time.monotonic() - self._patience_s
            for since, shut in list(self._calls.values()):
                if since < overdue:
                    shut()
