"""Stand-ins for tests, users' and ours: a provider whose hosts act by a script, and a clock that stands.

    provider = ScriptedProvider({"web1": Act(exit_status=3), "web2": Act(hang=True)})
    runner = Runner(Limits(), spool=tmp_path, find_provider=provider.find)

A `ScriptedProvider` honours the whole contract of `chargehand.provider`; it only reaches nobody.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.frozen import frozen
from chargehand.provider import Ending, NotStarted, Provider, Session, Stop, Unreachable, Watcher
from chargehand.script import RenderedScript
from chargehand.strand import HUBS, Signal


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time it shows."""
        return self.now

    def move(self, seconds: float) -> None:
        """Put it forward."""
        self.now += timedelta(seconds=seconds)


@frozen
class Act:
    """What one host does when it is visited.

    Attributes:
        output: What the script prints, in this order.
        exit_status: How it ends.
        signal: Ends it instead, when there is one.
        unreachable: What reaching it comes to, one for each attempt; after the last it is reachable.
        not_started: Raised instead of starting the script.
        lost: The reason for which its end is never learned.
        hang: Whether the script runs until it is stopped.
        deaf: Whether it ignores being stopped, until told not to wait.
        until: The script runs until this is pressed, with whatever reason.
        takes_s: Seconds the script runs.
        parting_s: Seconds it takes to close the session.
        defect: Raised from within the provider, against its contract.
    """

    output: Sequence[tuple[Stream, bytes]] = ()
    exit_status: int = 0
    signal: str | None = None
    unreachable: Sequence[Unreachable] = ()
    not_started: NotStarted | None = None
    lost: str = ""
    hang: bool = False
    deaf: bool = False
    until: Stop | None = None
    takes_s: float = 0.0
    parting_s: float = 0.0
    defect: BaseException | None = None


class Doors:
    """Counts who goes in and out of hosts.

    Attributes:
        at_once: The largest number of visits that were under way together.
        opened: Sessions that were opened.
        closed: Sessions that were closed again.
    """

    def __init__(self) -> None:
        self.at_once = 0
        self.opened = 0
        self.closed = 0
        self._under_way = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        """A visit begins."""
        with self._lock:
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)

    def leave(self) -> None:
        """A visit is over: no session came of it, or its script has ended."""
        with self._lock:
            self._under_way -= 1

    def count(self, *, opened: int = 0, closed: int = 0) -> None:
        """A session was opened or closed."""
        with self._lock:
            self.opened += opened
            self.closed += closed


class ScriptedProvider:
    """A provider whose hosts act as told.

    Attributes:
        visited: Addresses in the order in which they were asked for, every attempt.
        scripts: What ran, by address.
        settled: Addresses whose scripts' folders were let go.
        doors: How many were visited at once, and which sessions are still open.
        strands: Whether one thread serves all hosts, or each has its own.
    """

    def __init__(
        self, acts: Mapping[str, Act] | None = None, *, otherwise: Act | None = None, strands: bool = True
    ) -> None:
        self.visited: list[str] = []
        self.scripts: dict[str, list[RenderedScript]] = {}
        self.settled: list[str] = []
        self.doors = Doors()
        self.strands = strands and HUBS
        self._acts = dict(acts or {})
        self._otherwise = otherwise or Act()
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def find(self, name: str) -> Callable[[], Provider]:
        """Stands in for `chargehand.provider.find_provider`: every name gives this provider."""
        del name
        return lambda: self

    def open(
        self,
        settings: ConnectionSettings,
        stop: Stop,
        script: RenderedScript | None = None,  # noqa: ARG002 - nothing goes ahead of anything
    ) -> Session:
        """Reach one host, or not."""
        address = settings.address
        act = self._acts.get(address, self._otherwise)
        with self._lock:
            attempt = self._attempts[address]
            self._attempts[address] += 1
            self.visited.append(address)
        self.doors.enter()
        if stop.reason or attempt < len(act.unreachable):
            self.doors.leave()
            raise (
                Unreachable("stopped", "stopped while connecting")
                if stop.reason
                else act.unreachable[attempt]
            )
        self.doors.count(opened=1)
        return _ScriptedSession(self, address, act)

    def close(self) -> None:
        """Nothing is shared."""


class _ScriptedSession:
    """One way to one host of a `ScriptedProvider`."""

    def __init__(self, provider: ScriptedProvider, address: str, act: Act) -> None:
        self._provider = provider
        self._address = address
        self._act = act
        self._inside = True

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        try:
            return self._run(script, watcher, stop)
        finally:
            self._leave()

    def settle(self) -> None:
        self._provider.settled.append(self._address)

    def close(self) -> None:
        self._leave()
        Signal().wait(self._act.parting_s)
        self._provider.doors.count(closed=1)

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._provider.doors.leave()

    def _run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        act, start = self._act, time.monotonic()
        if act.not_started:
            raise act.not_started
        self._provider.scripts.setdefault(self._address, []).append(script)
        watcher.started()
        for stream, chunk in act.output:
            watcher.output(stream, chunk)
        if act.defect:
            raise act.defect
        halted = self._wait(script, stop)
        duration_s = time.monotonic() - start
        if act.lost or (halted and act.deaf):
            code = "connection-lost" if act.lost else "cancel-unconfirmed"
            return Ending(lost=act.lost or "its end was not confirmed", code=code, duration_s=duration_s)
        if halted:
            return Ending(halted=halted, signal="TERM", duration_s=duration_s)
        return Ending(
            exit_status=None if act.signal else act.exit_status, signal=act.signal, duration_s=duration_s
        )

    def _wait(self, script: RenderedScript, stop: Stop) -> str:
        """Let the script take its time; why it was stopped, if it was."""
        act, change = self._act, Signal()
        for button in (stop, act.until):
            if button is not None:
                button.listen(change.set)
        endless = act.hang or act.until is not None
        limit_s = script.timeout_s if endless else act.takes_s
        end = None if limit_s is None else time.monotonic() + limit_s
        while True:
            change.clear()  # before the look: what comes after it ends the wait
            if stop.now if act.deaf else stop.reason:
                return stop.reason
            if act.until is not None and act.until.reason:
                return ""
            left_s = None if end is None else max(0.0, end - time.monotonic())
            if left_s == 0.0:
                return "timed_out" if endless else ""
            change.wait(left_s)
