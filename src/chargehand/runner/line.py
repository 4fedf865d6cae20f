"""Line: hosts waiting for their turn - in order, at most so many at once, wave after wave."""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from chargehand.frozen import frozen
from chargehand.provider import Unreachable
from chargehand.share import TemplateInvocation
from chargehand.strand import Condition


@frozen
class Turn:
    """One try at one host.

    Attributes:
        share: The host's share of the run.
        attempt: From 1.
        trouble: What the try before came to; None on the first.
    """

    share: TemplateInvocation
    attempt: int = 1
    trouble: Unreachable | None = None

    def next_after(self, trouble: Unreachable) -> "Turn":
        """The next try, after this one came to `trouble`."""
        return replace(self, attempt=self.attempt + 1, trouble=trouble)


class Line:
    """Hosts waiting for their turn.

    Whoever takes a turn holds one of the slots until it leaves, and somebody waiting gets the slot at
    that instant. A wave begins when everybody of the one before has left. Safe to use from
    many threads and strands.
    """

    def __init__(
        self,
        waves: Iterable[Sequence[TemplateInvocation]],
        slots: int,
        *,
        pause_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._waves = deque(deque(Turn(share=share) for share in wave) for wave in waves)
        self._free = self._slots = slots
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._ready: deque[Turn] = deque()
        self._later: list[tuple[float, int, Turn]] = []
        self._rejoined = 0
        self._wave_at = monotonic()
        self._open = True
        self._lock = threading.Lock()
        self._change = Condition(self._lock)

    def take(self) -> Turn | None:
        """Wait for a turn and a slot; None when nobody will get a turn any more."""
        with self._lock:
            while self._open:
                now = self._monotonic()
                if self._later or not self._ready:
                    self._call_up(now)
                if self._ready and self._free:
                    self._free -= 1
                    return self._ready.popleft()
                if not (self._ready or self._later or self._waves):
                    break  # whoever is to have another try is at a host now, and takes it after leaving
                self._change.wait(self._patience(now))
            return None

    def leave(self) -> None:
        """Give the slot back."""
        with self._lock:
            self._free += 1
            if not self._ready and self._idle():
                self._wave_at = self._monotonic() + self._pause_s
                self._change.notify_all()
            else:
                self._change.notify()

    def rejoin(self, turn: Turn, delay_s: float) -> bool:
        """Ask for `turn` in `delay_s` seconds, before leaving; False, and nothing more, when closed."""
        with self._lock:
            if not self._open:
                return False
            self._rejoined += 1
            heapq.heappush(self._later, (self._monotonic() + delay_s, self._rejoined, turn))
            return True

    def close(self) -> list[Turn]:
        """Let nobody else have a turn; those who would have had one, in their order."""
        with self._lock:
            self._open = False
            left = [turn for *_, turn in sorted(self._later, key=lambda entry: entry[1])]
            left += self._ready
            left += [turn for wave in self._waves for turn in wave]
            self._later, self._ready, self._waves = [], deque(), deque()
            self._change.notify_all()
            return left

    def withdraw(self, hosts: Collection[str]) -> list[Turn]:
        """Let some hosts not have a turn; those of them who would have had one."""
        with self._lock:
            later = [entry for entry in self._later if entry[2].share.host not in hosts]
            gone = [entry[2] for entry in self._later if entry[2].share.host in hosts]
            heapq.heapify(later)
            self._later = later
            for turns in (self._ready, *self._waves):
                gone += [turn for turn in turns if turn.share.host in hosts]
                left = [turn for turn in turns if turn.share.host not in hosts]
                turns.clear()
                turns.extend(left)
            self._change.notify_all()
            return gone

    def _call_up(self, now: float) -> None:
        """Move whoever is due to the front: a host to be tried again, or the next wave."""
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        if self._waves and not self._ready and self._idle() and now >= self._wave_at:
            self._ready = self._waves.popleft()
            self._change.notify_all()

    def _idle(self) -> bool:
        """Whether everybody of this wave who had a turn has left."""
        return self._free == self._slots and not self._later

    def _patience(self, now: float) -> float | None:
        """Seconds until something is due by itself; None when only a change can help."""
        if not self._free:
            return None
        if self._later:
            return self._later[0][0] - now
        return max(0.0, self._wave_at - now) if self._waves and self._idle() else None
