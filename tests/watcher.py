"""Heard: a Watcher that keeps what it hears, for the tests of providers."""

import threading
from collections.abc import Callable

from chargehand.event import Stream


class Heard:
    """Keeps what a script printed; other threads may wait for it."""

    def __init__(self, on_output: Callable[[], None] = lambda: None) -> None:
        self.began = threading.Event()
        self.starts = 0
        self._streams: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._on_output = on_output

    @property
    def stdout(self) -> bytes:
        return bytes(self._streams["stdout"])

    @property
    def stderr(self) -> bytes:
        return bytes(self._streams["stderr"])

    def started(self) -> None:
        self.starts += 1
        self.began.set()

    def output(self, stream: Stream, chunk: bytes) -> None:
        assert self.starts == 1, "output before the start"
        self._streams[stream] += chunk
        self._on_output()
