"""WorkersProvider: has hosts reached by workers; hosts that share something on the way share a worker."""

import os
import threading
from itertools import count
from time import monotonic
from typing import Final

from chargehand.connection import ConnectionSettings, title
from chargehand.provider import Stop, Unreachable
from chargehand.script import RenderedScript
from chargehand.strand import HUBS, strand_here
from chargehand.workers.process import WorkerProcess
from chargehand.workers.session import WorkerSession

CROWD: Final = 16
"""Hosts at once that each worker has before there is another one."""
MOST: Final = 4
"""Workers, however many cores there are: what is left to this process is a third of the work."""
LEAVING_S: Final = 5.0


class WorkersProvider:
    """Reaches hosts by the provider ``ssh`` in worker processes.

    Hosts of one *place* - an address, or the first jump host on the way to them - are always reached by the
    same worker: it counts the connections there that are not logged in yet, and keeps those that may be used
    again. What place a host has, ssh_config may say, which takes time to read: so a host goes to the worker
    of the place that its settings alone let expect, and that one gives it back if it belongs elsewhere.

    Args:
        most: Workers, at most; None leaves one core to us.
        crowd: Hosts at once that each has before there is another one.
    """

    strands = HUBS

    def __init__(self, *, most: int | None = None, crowd: int = CROWD) -> None:
        self._most = most or max(1, min(MOST, _cores() - 1))
        self._crowd = crowd
        self._keeps = 0
        self._numbers = count()
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []
        self._places: dict[str, int] = {}
        self._moved: dict[str, str] = {}

    @property
    def keeps(self) -> int:
        """How many connections are kept when their script has ended, for the next run."""
        return self._keeps

    @keeps.setter
    def keeps(self, most: int) -> None:
        with self._lock:
            self._keeps = most
            for worker in self._workers:
                worker.keep(self._share)

    def open(
        self, settings: ConnectionSettings, stop: Stop, script: RenderedScript | None = None
    ) -> WorkerSession:
        """Reach one host; see `chargehand.provider.Provider`.

        Raises:
            Unreachable: No session, and why.
        """
        expected = _expect_place(settings)
        place = self._moved.get(expected, expected)
        session = self._session(settings, place)
        other = session.open(stop, script, place)
        if other is not None:
            self._moved[expected] = other
            session = self._session(settings, other)
            session.open(stop, script, None)
        return session

    def close(self) -> None:
        """End the workers, one after the other: they save what they learned in the same file."""
        with self._lock:
            workers, self._workers, self._places = self._workers, [], {}
        until = monotonic() + LEAVING_S
        for worker in workers:
            worker.leave(max(0.0, until - monotonic()))
        for worker in workers:
            worker.fetch()

    @property
    def _share(self) -> int:
        return -(-self._keeps // self._most)

    def _session(self, settings: ConnectionSettings, place: str) -> WorkerSession:
        try:
            return WorkerSession(next(self._numbers), settings, lambda session: self._find(place, session))
        except OSError as error:
            words = f"{settings.address}: no worker process can be started: {error.strerror}"
            raise Unreachable("worker", words, again=True) from error

    def _find(self, place: str, session: WorkerSession) -> WorkerProcess:
        """The worker of a place, which has admitted the session."""
        with self._lock:
            hub = strand_here().hub
            number = self._places.get(place)
            if number is None:
                number = self._places[place] = self._choose()
            if number == len(self._workers):
                try:
                    self._workers.append(WorkerProcess(hub, self._share))
                except OSError:
                    if not self._workers:
                        raise
                    self._most = len(self._workers)  # those that there are serve all
                    number = self._places[place] = self._choose()
            worker = self._workers[number]
            while not worker.admit(session.number, session.hear):
                worker = self._workers[number] = WorkerProcess(hub, self._share)
            return worker

    def _choose(self) -> int:
        """The number of the worker for a new place."""
        number, busy = min(
            ((number, worker.busy) for number, worker in enumerate(self._workers)),
            key=lambda each: each[1],
            default=(0, self._crowd),
        )
        return len(self._workers) if busy >= self._crowd and len(self._workers) < self._most else number


def _expect_place(settings: ConnectionSettings) -> str:
    """Where a host belongs if ssh_config says nothing about it."""
    if settings.proxy_jump:
        first = settings.proxy_jump[0]
        return title(first.address, first.port)
    return title(settings.address, settings.port)


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
