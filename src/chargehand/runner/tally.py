"""Tally: the results of a run as they come in, one for every host."""

import threading
from collections.abc import Sequence

from chargehand.result import HostResult, Status
from chargehand.share import TemplateInvocation

_NO_FAILURE = {Status.SUCCEEDED, Status.CANCELLED, Status.SKIPPED, Status.PENDING}


class Tally:
    """Results by host; the first one of a host stands."""

    def __init__(self, shares: Sequence[TemplateInvocation]) -> None:
        self._missing = {share.host: share for share in shares}
        if len(self._missing) < len(shares):
            raise ValueError("a host comes twice in one run")
        self._order = tuple(self._missing)
        self._results: dict[str, HostResult] = {}
        self._failed = 0
        self._lock = threading.Lock()

    def put(self, result: HostResult) -> bool:
        """Keep `result`; False when the host has one already."""
        with self._lock:
            if self._missing.pop(result.host, None) is None:
                return False
            self._results[result.host] = result
            self._failed += result.status not in _NO_FAILURE
            return True

    @property
    def failed(self) -> int:
        """How many hosts did not succeed, other than by being cancelled or skipped."""
        return self._failed

    @property
    def missing(self) -> list[TemplateInvocation]:
        """The shares without a result, in their order."""
        with self._lock:
            return list(self._missing.values())

    def results(self) -> tuple[HostResult, ...]:
        """All results, in the order of the hosts."""
        with self._lock:
            return tuple(self._results[host] for host in self._order if host in self._results)
