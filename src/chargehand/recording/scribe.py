"""Scribe: one thread that writes entries into the store, all that wait in one transaction."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from chargehand.errors import StoreError
from chargehand.event import Stream
from chargehand.failpoint import reach
from chargehand.recording.excerpt import Excerpt
from chargehand.store.entry import Chunk, Entry, Outcome
from chargehand.strand import Condition, Signal

FLUSH_S: Final = 0.25
"""How long output may wait to be written down."""

PULSE_S: Final = 1.0

SHARE: Final = 0.1
"""Of the time, at most so much is for transactions while many hosts wait, so that each takes more."""

_PACE_S: Final = 0.15
"""Transactions never begin further apart than this for that reason."""

_CROWD: Final = 8
_MANY: Final = 64

ROOM_BYTES: Final = 16 << 20
"""Output that waits to be written down; whoever has more waits until there is room."""

log = logging.getLogger(__name__)


class Ticket:
    """Whether an entry is in the store."""

    __slots__ = ("_accepted", "_known")

    def __init__(self) -> None:
        self._known = Signal()
        self._accepted = False

    def tell(self, *, accepted: bool) -> None:
        """Say that it is there for good, or that it never will be."""
        self._accepted = accepted
        self._known.set()

    def wait(self) -> bool:
        """Wait until that is known; whether it is there."""
        self._known.wait()
        return self._accepted


_Line = tuple[Entry, Ticket | None]


class Scribe:
    """Writes entries down in their order; safe from many threads, and nobody waits who does not ask to.

    Args:
        record: Writes entries in one transaction and says which were accepted.
        pulse: Called from the thread every second.
        give_up: Called from the thread once, when something cannot be written.
        kept_bytes: Of the beginning of each stream of each share.
        monotonic: Seconds that never go back.

    Attributes:
        trouble: Why nothing is written any more; None while all is well.
        written: How many entries are in the store.
    """

    def __init__(
        self,
        record: Callable[[Sequence[Entry]], list[bool]],
        *,
        pulse: Callable[[], object],
        give_up: Callable[[], object],
        kept_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trouble: StoreError | None = None
        self.written = 0
        self._record = record
        self._pulse = pulse
        self._give_up = give_up
        self._kept_bytes = kept_bytes
        self._monotonic = monotonic
        self._lines: list[_Line] = []
        self._in_hand: list[_Line] = []
        self._excerpts: dict[int, Excerpt] = {}
        self._waiting_bytes = 0
        self._urgent = False
        self._hurried = False
        self._closed = False
        self._under_way = 0
        self._next_at = -math.inf
        self._flush_at = math.inf
        self._pulse_at = monotonic() + PULSE_S
        self._lock = threading.Lock()
        self._work = Condition(self._lock)
        self._room = Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="chargehand-scribe", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and end; nothing is taken any more."""
        with self._lock:
            self._closed = True
            self._hurry()
        self._thread.join()

    def write(self, entry: Entry, *, urgent: bool = False, last: bool = False) -> Ticket:
        """Take an entry; what is not urgent is written with what is, or a little later.

        Args:
            entry: What to write.
            urgent: Whether a host waits for it.
            last: Whether no other host is about to ask for the same, so that there is nobody to wait for.
        """
        with self._lock:
            self._under_way += urgent
            if last:
                self._hurry()
            return self._take(entry, urgent=urgent)

    def note(self, entry: Entry) -> None:
        """Take an entry that nobody waits for."""
        with self._lock:
            if not (self._closed or self.trouble):
                self._lines.append((entry, None))
                self._soon()

    def hear(self, share_id: int, stream: Stream, content: bytes, at: datetime) -> None:
        """Take what a script printed."""
        with self._lock:
            if self._closed or self.trouble:
                return
            excerpt = self._excerpts.get(share_id)
            if excerpt is None:
                excerpt = self._excerpts[share_id] = Excerpt(share_id, self._kept_bytes)
            self._waiting_bytes += excerpt.hear(stream, content, at)
            self._lines += ((chunk, None) for chunk in excerpt.chunks(full=True))
            self._soon()

    def end(self, outcome: Outcome, at: datetime) -> Ticket:
        """Take what a share came to, after all that its script printed."""
        with self._lock:
            if not (self._closed or self.trouble):
                self._end_output(outcome, at)
            self._under_way -= outcome.token is not None
            if not self._under_way:
                self._hurry()
            return self._take(outcome, urgent=True)

    def wait_for_room(self) -> None:
        """Wait while more output is on its way into the store than memory should hold."""
        with self._lock:
            while self._waiting_bytes >= ROOM_BYTES and not (self._closed or self.trouble):
                self._room.wait()

    def _end_output(self, outcome: Outcome, at: datetime) -> None:
        excerpt = self._excerpts.pop(outcome.share_id, None)
        if excerpt is None:
            if not (outcome.result.stdout.size_bytes or outcome.result.stderr.size_bytes):
                return
            excerpt = Excerpt(outcome.share_id, 0)
        self._lines += ((chunk, None) for chunk in excerpt.chunks())
        self._waiting_bytes += excerpt.end(outcome.result, at)
        self._lines += ((chunk, None) for chunk in excerpt.chunks())

    def _take(self, entry: Entry, *, urgent: bool) -> Ticket:
        ticket = Ticket()
        if self._closed or self.trouble:
            ticket.tell(accepted=False)
            return ticket
        self._lines.append((entry, ticket))
        if urgent and not self._urgent:
            self._urgent = True
            self._work.notify()
        self._soon()
        return ticket

    def _hurry(self) -> None:
        """Have the next transaction begin as soon as there is something for it."""
        self._hurried = True
        self._work.notify()

    def _soon(self) -> None:
        """Have the thread look again when what waits now has waited long enough, or is too much."""
        if self._flush_at == math.inf:
            self._flush_at = self._monotonic() + FLUSH_S
            self._work.notify()
        elif self._waiting_bytes >= ROOM_BYTES // 2 and self._flush_at > -math.inf:
            self._flush_at, self._urgent = -math.inf, True
            self._hurry()

    def _run(self) -> None:
        try:
            while not self._closed or self._lines or self._excerpts:
                self._write(self._await_lines())
                if self._monotonic() >= self._pulse_at:
                    self._pulse_at = self._monotonic() + PULSE_S
                    self._pulse()
        except StoreError as error:
            self._fail(error)
        except BaseException as error:
            log.exception("while a run was written down")
            self._fail(StoreError(f"an error inside Chargehand: {type(error).__name__}"))

    def _await_lines(self) -> list[_Line]:
        """Wait until something is to be written, or a second is over; what is to be written."""
        with self._lock:
            while not (self._urgent or self._closed):
                left_s = min(self._flush_at, self._pulse_at) - self._monotonic()
                if left_s <= 0:
                    break
                self._work.wait(left_s)
            while not self._hurried and (left_s := self._next_at - self._monotonic()) > 0:
                self._work.wait(left_s)
            now = self._monotonic()
            if self._closed or self._flush_at <= now:
                self._drain()
            self._in_hand, self._lines = self._lines, []
            self._urgent = self._hurried = False
            return self._in_hand

    def _drain(self) -> None:
        for excerpt in self._excerpts.values():
            self._lines += ((chunk, None) for chunk in excerpt.chunks())
        if self._closed:
            self._excerpts.clear()
        self._flush_at = math.inf

    def _write(self, lines: Sequence[_Line]) -> None:
        if not lines:
            return
        entries = [entry for entry, _ in lines]
        outcomes = sum(isinstance(entry, Outcome) for entry in entries)
        for _ in range(outcomes):
            reach("before-outcome")
        begun_at = self._monotonic()
        answers = self._record(entries)
        taken_s = self._monotonic() - begun_at
        for _ in range(outcomes):
            reach("after-outcome")
        for (_, ticket), accepted in zip(lines, answers, strict=True):
            if ticket:
                ticket.tell(accepted=accepted)
        with self._lock:
            few = self._under_way < _MANY and len(entries) < _CROWD
            self._next_at = begun_at + (0.0 if few else min(_PACE_S, taken_s / SHARE))
            self._in_hand = []
            self.written += len(entries)
            self._waiting_bytes -= sum(len(each.content) for each in entries if isinstance(each, Chunk))
            self._room.notify_all()

    def _fail(self, error: StoreError) -> None:
        with self._lock:
            self.trouble = error
            lost = [*self._in_hand, *self._lines]
            self._in_hand, self._lines = [], []
            self._excerpts.clear()
            self._room.notify_all()
        for _, ticket in lost:
            if ticket:
                ticket.tell(accepted=False)
        self._give_up()
