"""Strands: many hosts served by one thread, each as plain code that waits.

A thread for each host costs memory, and with thousands of them most of the time goes into taking turns. A
strand looks the same to the code it runs - it calls, waits, returns - but a `Hub` runs all of them in one
thread and goes on with another whenever one waits. The waits of this module serve threads and strands alike,
so the code that waits need not know which of them runs it.

A strand must wait in no other way (`elsewhere` is for that), nor while it holds a lock: all would stop.
"""

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import Final

from greenlet import getcurrent, greenlet

log = logging.getLogger(__name__)

HUBS: Final = hasattr(select, "epoll") and hasattr(os, "eventfd")
"""Whether this system can run hubs; where it cannot, threads do the same work."""

_NEWS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET if HUBS else 0
_STALE_TIMERS: Final = 1024
_RESTING: Final = 64
"""Strands without work that are kept, at most: to make one takes as long as to wake ten."""


class Strand(greenlet):
    """One of many lines of work in a hub's thread; when its work is done it may get another.

    Attributes:
        hub: Runs it.
        thread: That of the hub.
        waits: How often it has waited, so that whoever wants to end a wait that is over wakes nobody.
        work: What it does next.
        serves: Whether it only serves others, so that nobody need wait for its end.
    """

    def __init__(self, hub: "Hub") -> None:
        super().__init__(parent=hub.main)
        self.hub = hub
        self.thread = hub.thread
        self.waits = 0
        self.work: Callable[[], object] | None = None
        self.serves = False

    def run(self, _woken: bool) -> None:
        """Do its work, and other work after it."""
        while work := self.work:
            self.work = None
            try:
                work()
            except BaseException:
                log.exception("a strand failed")  # as a thread would end: alone
            del work
            if self.hub.keep(self):
                self.pause(None)

    def pause(self, timeout_s: float | None) -> bool:
        """Let others run until woken; False when the time was up. Called by the strand itself."""
        hub = self.hub
        if timeout_s is not None:
            hub.set_timer(self, timeout_s)
        woken: bool = hub.leave()
        self.waits += 1
        return woken

    def wake(self, wait: int) -> None:
        """Go on, if it is still in that one of its waits; called from other threads."""
        self.hub.call((self, wait, True))


_Entry = tuple[Strand, int, bool]
"""A strand that can go on, in which of its waits, and whether it was woken."""


class _Gate:
    """One wait of a thread; to a `Signal` it is what a `Strand` is."""

    waits = 0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def pause(self, timeout_s: float | None) -> bool:
        """Wait until woken; False when the time was up."""
        return self._lock.acquire(timeout=-1 if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))

    def wake(self, _wait: int) -> None:
        """End the wait."""
        self._lock.release()


_Wait = tuple[Strand | _Gate, int]


class Hub:
    """Runs strands, in the thread that makes it.

    Attributes:
        main: Where strands go when they wait.
        leave: Goes there.
        thread: The one that runs them.
        ready: Strands that can go on.
    """

    def __init__(self) -> None:
        self.main = getcurrent()
        self.leave = self.main.switch
        self.thread = get_ident()
        self._poller = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._bell, select.EPOLLIN)
        self._watched: dict[int, Callable[[int], None]] = {}
        self.ready: deque[_Entry] = deque()
        self._called: deque[_Entry] = deque()
        self._resting: list[Strand] = []
        self._last: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Strand, int]] = []
        self._timers_kept = _STALE_TIMERS
        self._numbers = count()
        self._alive = 0
        self._asleep = False
        self._ended = False
        self._lock = threading.Lock()

    def spawn(self, work: Callable[[], object], *, serves: bool = False) -> None:
        """Run `work` in a strand of its own, soon; called from the hub's thread.

        Args:
            work: What it does.
            serves: Whether it only serves others, so that nobody need wait for its end.
        """
        strand = self._resting.pop() if self._resting else Strand(self)
        strand.work, strand.serves = work, serves
        self._alive += not serves
        self.ready.append((strand, strand.waits, True))

    def keep(self, strand: Strand) -> bool:
        """Take note that a strand has done its work; whether it may get another, for which it waits."""
        self._alive -= not strand.serves
        if len(self._resting) == _RESTING:
            return False
        self._resting.append(strand)
        return True

    def run(self) -> None:
        """Run strands until none is left but such as serve others; may be called again."""
        while self._alive:
            self._turn()
            while self._last:
                self._last.popleft()()
            if self._alive:
                self._look()
                self._ring_timers()

    def close(self) -> None:
        """Let go of what the hub has; strands that are left never go on."""
        with self._lock:
            self._ended = True
            self._resting.clear()
            self._poller.close()
            os.close(self._bell)

    def set_timer(self, strand: Strand, timeout_s: float) -> None:
        """Wake `strand` after so many seconds if it is still in the wait that it begins now."""
        if len(self._timers) > self._timers_kept:
            self._forget_timers()
        heappush(self._timers, (monotonic() + timeout_s, next(self._numbers), strand, strand.waits))

    def call(self, entry: _Entry) -> None:
        """Have a strand go on; called from other threads."""
        self._called.append(entry)
        if self._asleep:
            with self._lock:
                if not self._ended:  # else the number may be that of another descriptor by now
                    os.eventfd_write(self._bell, 1)

    def watch(self, descriptor: int, changed: Callable[[int], None], *, room: bool = True) -> None:
        """Call `changed` with epoll's events whenever there is news of a descriptor, or (`room`) room."""
        self._poller.register(descriptor, _NEWS | select.EPOLLOUT if room else _NEWS)
        self._watched[descriptor] = changed

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer; called before it is closed."""
        if self._watched.pop(descriptor, None) and not self._ended:
            self._poller.unregister(descriptor)

    def call_last(self, work: Callable[[], None]) -> None:
        """Call `work`, which must not wait, when all strands that can go on have done so."""
        self._last.append(work)

    def _turn(self) -> None:
        """Let every strand that can go on do so."""
        ready, called = self.ready, self._called
        while queue := ready or called:
            strand, wait, woken = queue.popleft()
            if strand.waits == wait:
                strand.switch(woken)

    def _look(self) -> None:
        """Sleep until a descriptor is ready, another thread calls, or the next timer is due."""
        patience_s = max(0.0, self._timers[0][0] - monotonic()) if self._timers else None
        self._asleep = True
        if self.ready or self._called:  # a thread may have called before it could know that we sleep
            patience_s = 0.0
        events = self._poller.poll(patience_s, 512)
        self._asleep = False
        for descriptor, event in events:
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
            elif changed := self._watched.get(descriptor):
                changed(event)

    def _ring_timers(self) -> None:
        now = monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, strand, wait = heappop(self._timers)
            self.ready.append((strand, wait, False))

    def _forget_timers(self) -> None:
        """Drop the timers of waits that are over."""
        self._timers = [timer for timer in self._timers if timer[2].waits == timer[3]]
        heapify(self._timers)
        self._timers_kept = max(_STALE_TIMERS, 2 * len(self._timers))


class Signal(threading.Event):
    """An event that threads and strands may wait for."""

    def __init__(self) -> None:  # nothing of the original is used
        self._waiting: list[_Wait] = []
        self._set = False

    def __repr__(self) -> str:
        return f"<Signal {'set' if self._set else 'unset'}>"

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set

    def set(self) -> None:
        """Let everybody go on who waits."""
        self._set = True
        waiting = self._waiting
        while waiting:
            try:
                sleeper, wait = waiting.pop(0)
            except IndexError:  # another thread was faster
                return
            if isinstance(sleeper, Strand) and sleeper.thread == get_ident():
                sleeper.hub.ready.append((sleeper, wait, True))
            else:
                sleeper.wake(wait)

    def clear(self) -> None:
        """Let those wait who come from now on."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most so many seconds; whether it was."""
        already = self._set
        if already:
            return True
        current = getcurrent()
        sleeper = current if isinstance(current, Strand) else _Gate()
        entry = (sleeper, sleeper.waits)
        self._waiting.append(entry)
        # Set by another thread since we looked: then either our entry is still there, or we are woken.
        if self._set and self._withdraw(entry):
            return True
        if sleeper.pause(timeout):
            return True
        self._withdraw(entry)
        return self._set

    def _withdraw(self, entry: _Wait) -> bool:
        """Wait no longer; False when somebody is about to wake us."""
        try:
            self._waiting.remove(entry)
        except ValueError:
            return False
        return True


class Condition:
    """A lock, and a wait for what may change while nobody holds it; see `threading.Condition`.

    Args:
        lock: Shared with other conditions; None makes one.
    """

    def __init__(self, lock: "threading.Lock | None" = None) -> None:
        self._lock = lock or threading.Lock()
        self._waiting: deque[Signal] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let go of the lock, which the caller holds, until notified or so long; whether it was notified."""
        signal = Signal()
        self._waiting.append(signal)
        self._lock.release()
        try:
            notified = signal.wait(timeout_s)
        finally:
            self._lock.acquire()
            if signal in self._waiting:
                self._waiting.remove(signal)
        return notified

    def notify(self) -> None:
        """Wake the one who has waited longest. The caller holds the lock."""
        if self._waiting:
            self._waiting.popleft().set()

    def notify_all(self) -> None:
        """Wake everybody. The caller holds the lock."""
        while self._waiting:
            self.notify()


class Mutex:
    """A lock that its owner may keep while it waits, since a strand that wants it waits as strands do."""

    def __init__(self) -> None:
        self._change = Condition()
        self._taken = False

    def __enter__(self) -> None:
        with self._change:
            while self._taken:
                self._change.wait()
            self._taken = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._taken = False
            self._change.notify()


def hub_here() -> Hub | None:
    """The hub of the strand that calls this; None in a plain thread."""
    current = getcurrent()
    return current.hub if isinstance(current, Strand) else None


def strand_here() -> Strand:
    """The strand that calls this; for those who know that one does."""
    current: Strand = getcurrent()  # type: ignore[assignment]  # they know
    return current
