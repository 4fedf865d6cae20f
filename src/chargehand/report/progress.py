"""Progress: where a run stands, kept up by its events."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from chargehand.event import Event, HostConnecting, HostFinished, RunStarted
from chargehand.frozen import frozen
from chargehand.result import Status


@frozen(kw_only=False)
class Running:
    """A host under way, and for how long it has been."""

    host: str
    seconds: float


class Progress:
    """Where a run stands. Safe to ask from any thread.

    Args:
        monotonic: Seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._total = 0
        self._counts: Counter[Status] = Counter()
        self._since: dict[str, float] = {}
        self._begun = monotonic()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        with self._lock:
            if isinstance(event, RunStarted):
                self._total = len(event.hosts)
            elif isinstance(event, HostConnecting):
                self._since.setdefault(event.host, self._monotonic())
            elif isinstance(event, HostFinished):
                self._counts[event.result.status] += 1
                self._since.pop(event.result.host, None)

    @property
    def total(self) -> int:
        """Hosts of the run."""
        return self._total

    @property
    def done(self) -> int:
        """Hosts with a result."""
        with self._lock:
            return self._counts.total()

    @property
    def failed(self) -> int:
        """Hosts that are done and did not succeed."""
        with self._lock:
            return self._counts.total() - self._counts[Status.SUCCEEDED]

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._monotonic() - self._begun

    def longest(self, most: int | None = None) -> list[Running]:
        """The hosts under way, those that take longest first."""
        with self._lock:
            now = self._monotonic()
            # A dictionary keeps the order in which hosts took their slots.
            hosts = list(self._since.items())[:most]
        return [Running(host, now - since) for host, since in hosts]

    def words(self) -> str:
        """``12/97 done, 1 failed, 10 running``."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done}/{self.total} done{failed}, {len(self.longest())} running"
