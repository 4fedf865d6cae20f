"""Tally: the results of a run as they come in, one for every host."""

import threading
from collections.abc import Sequence

from chargehand.result import HostResult, Status

_NO_FAILURE = {Status.SUCCEEDED, Status.CANCELLED, Status.SKIPPED, Status.PENDING}


class Tally:
    """Results by host; the first one of a host stands."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._results: dict[str, HostResult | None] = dict.fromkeys(hosts)
        if len(self._results) < len(hosts):
            raise ValueError("a host comes twice in one run")
        self._failed = 0
        self._lock = threading.Lock()

    def put(self, result: HostResult) -> bool:
        """Keep `result`; False when the host has one already."""
        with self._lock:
            if self._results[result.host] is not None:
                return False
            self._results[result.host] = result
            self._failed += result.status not in _NO_FAILURE
            return True

    @property
    def failed(self) -> int:
        """How many hosts did not succeed, other than by being cancelled or skipped."""
        with self._lock:
            return self._failed

    def results(self) -> tuple[HostResult, ...]:
        """All results, in the order of the hosts."""
        with self._lock:
            return tuple(result for result in self._results.values() if result is not None)
