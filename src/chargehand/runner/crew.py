"""Crew: who serves the hosts of a run, and the hosts they are at."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from chargehand.beside import NoThreadError, elsewhere
from chargehand.event import HostConnecting, HostFinished, Stream
from chargehand.frozen import frozen
from chargehand.limits import Retry
from chargehand.provider import Provider, Unreachable
from chargehand.result import HostResult, Status
from chargehand.runner.herald import Herald
from chargehand.runner.line import Line, Turn
from chargehand.runner.outcome import CANCELLED, NO_THREAD, abandoned, never_started
from chargehand.runner.output import Capture
from chargehand.runner.stage import Stage
from chargehand.runner.tally import Tally
from chargehand.runner.visit import Visit, defect, unreachable, untouched
from chargehand.runner.watch import Watch
from chargehand.share import TemplateInvocation
from chargehand.strand import Hub, Signal

_T = TypeVar("_T")
STACK_BYTES = 512 * 1024
"""For each thread, so that a thousand of them fit into little memory."""
_AGAIN_S: Final = 0.1
"""After so long a thread is asked for again that the system did not start."""


@frozen
class Orders:
    """What a crew goes by.

    Attributes:
        providers: By name, for every share of the run.
        retry: How often an unreachable host is tried again.
        failures_allowed: So many failed hosts, and nobody else gets a turn.
        spool: Folder for output too large for memory.
        kept_bytes: Of the beginning of each stream, and as many of its end, stay in memory.
        clock: The time, aware, UTC.
    """

    providers: Mapping[str, Provider]
    retry: Retry
    failures_allowed: float
    spool: Path
    kept_bytes: int
    clock: Callable[[], datetime]

    def capture(self, stream: Stream) -> Capture:
        """What keeps a stream of one host."""
        return Capture(self.spool, name=stream, head_bytes=self.kept_bytes, tail_bytes=self.kept_bytes)


class Crew:
    """Who serves the hosts of a run, and the hosts they are at.

    Attributes:
        stopped: Why hosts that waited got no turn, though nobody stopped the run: ``stop_after`` or what
            `refrain` was given; else empty.
    """

    def __init__(self, line: Line, tally: Tally, herald: Herald, orders: Orders, stage: Stage) -> None:
        self.stopped = ""
        self._stage = stage
        self._line = line
        self._tally = tally
        self._herald = herald
        self._orders = orders
        self._visits: dict[str, Visit] = {}
        self._halted = ""
        self._held = ""
        self._withdrawn: set[str] = set()
        self._lock = threading.Lock()
        self._beside = 0
        self._crowded = False

    def start(self, slots: int, gone: Callable[[], None]) -> int:
        """Let so many hosts have their turns at once, or as many as the system allows.

        One thread serves all of them when any provider allows it, and has a thread of its own for what others
        do at a host; else each slot has one.

        Args:
            slots: As the line has.
            gone: Called as each thread ends.

        Returns:
            How many threads there are.
        """
        if any(provider.strands for provider in self._orders.providers.values()):
            self._stage.serve(partial(self._serve_on, slots), gone)
            return 1
        with _stack_size(STACK_BYTES):
            for number in range(slots):
                thread = threading.Thread(
                    target=_until_gone,
                    args=(self._serve_all, gone),
                    name=f"chargehand-{number}",
                    daemon=True,
                )
                try:
                    thread.start()
                except RuntimeError:
                    if not number:
                        raise
                    self._herald.notice(f"the system allows only {number} threads: fewer hosts run at once")
                    return number
        return slots

    def finish(self, result: HostResult) -> None:
        """A host is done."""
        if not self._tally.put(result):
            return
        self._herald.tell(HostFinished(at=self._orders.clock(), result=result))
        if self._tally.failed >= self._orders.failures_allowed and self._skip_rest("stop_after"):
            self.stopped = self.stopped or "stop_after"

    def refrain(self, why: str) -> None:
        """Start no more scripts, and let those that run come to their end.

        Args:
            why: One of those that `never_started` has words for.
        """
        with self._lock:
            self._held = self._held or why
            visits = list(self._visits.values())
        for visit in visits:
            visit.held = visit.held or why
        if self._skip_rest(why):
            self.stopped = self.stopped or why

    def stop_hosts(self, hosts: Collection[str], *, now: bool = False) -> None:
        """Give some hosts no turn, and stop them where they are under way; `now` as for `halt`."""
        with self._lock:
            self._withdrawn.update(hosts)
            visits = [visit for host, visit in self._visits.items() if host in hosts]
        waiting = self._line.withdraw(hosts)  # first, as in `halt`
        for visit in visits:
            visit.stop.press(CANCELLED, now=now)
        for turn in waiting:
            self._leave_out(turn, CANCELLED)

    def halt(self, why: str, *, now: bool = False) -> bool:
        """Let nobody else have a turn and stop the hosts under way; whether there was anybody to stop.

        Args:
            why: One of the reasons of `Stop`.
            now: Whether the hosts need not confirm that they stopped.
        """
        with self._lock:
            self._halted = self._halted or why
            visits = list(self._visits.values())
        unfinished = bool(self._tally.missing)
        waiting = self._line.close()  # first: else a host that stops at once gives its turn to the next one
        for visit in visits:
            visit.stop.press(why, now=now)
        for turn in waiting:
            self._leave_out(turn, why)
        return unfinished

    def abandon(self, why: str) -> None:
        """Give every host that has no result one, without waiting for it."""
        with self._lock:
            visits = dict(self._visits)
        for share in self._tally.missing:
            visit = visits.get(share.host)
            self.finish(visit.abandon(why) if visit else untouched(share, abandoned(why, reached=True)))

    def _serve_on(self, slots: int, hub: Hub) -> None:
        for _ in range(slots):
            hub.spawn(partial(self._serve_all, hub))
        hub.run()

    def _serve_all(self, hub: Hub | None = None) -> None:
        """Serve turns; in a strand the next one begins while the host of the last one still cleans up."""
        parted = Signal()
        parted.set()
        while (turn := self._line.take()) is not None:
            try:
                visit = self._serve(turn)
                if hub is None:
                    self._part(turn, visit)
                elif visit is not None:
                    parted.wait()
                    parted = Signal()
                    hub.spawn(partial(self._part, turn, visit, parted))
            finally:
                self._line.leave()

    def _serve(self, turn: Turn) -> Visit | None:
        """Take one turn; whatever we do wrong meets its host and nobody else."""
        try:
            return self._apart(turn, partial(self._visit, turn))
        except NoThreadError:
            self.finish(untouched(turn.share, NO_THREAD))
            return None
        except Exception as error:  # noqa: BLE001 - logged by `defect`, and told
            self._own_up(turn, error)
            return None

    def _part(self, turn: Turn, visit: Visit | None, parted: Signal | None = None) -> None:
        try:
            if visit is not None:
                try:
                    self._apart(turn, visit.part)
                except NoThreadError:  # the script has ended: what is left to do takes not long
                    visit.part()
        except Exception as error:  # noqa: BLE001 - logged by `defect`, and told
            self._own_up(turn, error)
        finally:
            if parted is not None:
                parted.set()

    def _apart(self, turn: Turn, work: Callable[[], _T]) -> _T:
        """Do a part of a turn: in a thread of its own where its provider would keep other strands waiting.

        Raises:
            NoThreadError: The system starts none, and none is under way whose end could change that.
        """
        if self._orders.providers[turn.share.settings.provider].strands:
            return work()
        while True:
            self._beside += 1
            try:
                return elsewhere(work)
            except NoThreadError:
                if self._beside == 1:
                    raise
            finally:
                self._beside -= 1
            if not self._crowded:
                self._crowded = True
                self._herald.notice("the system starts no more threads: fewer hosts run at once")
            Signal().wait(_AGAIN_S)

    def _own_up(self, turn: Turn, error: Exception) -> None:
        outcome = defect(turn.share.host, error)
        self._herald.notice(f"{turn.share.host}: {outcome.reason}")
        self.finish(untouched(turn.share, outcome))

    def _visit(self, turn: Turn) -> Visit:
        """Make one visit, to its result or to another try; its session is still open then."""
        share, retry = turn.share, self._orders.retry
        visit = self._admit(turn)
        try:
            result = visit.make(self._orders.providers[share.settings.provider])
        except Unreachable as trouble:
            again = turn.next_after(trouble)
            self._dismiss(share)
            wanted = turn.attempt <= retry.times and not visit.stop.reason
            if wanted and self._line.rejoin(again, retry.delay_s):
                which = f"try {again.attempt} of {retry.times + 1}"
                self._herald.notice(f"{share.host}: {trouble.reason}; {which} in {retry.delay_s:g} s")
                return visit
            if wanted and self._held:
                self._leave_out(again, self._held)
                return visit
            result = unreachable(share, trouble, turn.attempt)
        self.finish(result)
        self._dismiss(share)
        return visit

    def _admit(self, turn: Turn) -> Visit:
        share, orders = turn.share, self._orders
        assert share.script is not None  # noqa: S101 - such a share never gets into the line
        self._herald.tell(HostConnecting(at=orders.clock(), host=share.host, attempt=turn.attempt))
        watch = Watch(share, capture=orders.capture, herald=self._herald, clock=orders.clock)
        visit = Visit(turn, share.script, watch)
        with self._lock:
            self._visits[share.host] = visit
            halted = self._halted or (CANCELLED if share.host in self._withdrawn else "")
            visit.held = self._held
        if halted:
            visit.stop.press(halted)
        return visit

    def _dismiss(self, share: TemplateInvocation) -> None:
        with self._lock:
            self._visits.pop(share.host, None)

    def _skip_rest(self, why: str) -> bool:
        """Give everybody who waits for a turn a result; whether there was anybody."""
        turns = self._line.close()
        for turn in turns:
            self._leave_out(turn, why)
        return bool(turns)

    def _leave_out(self, turn: Turn, why: str) -> None:
        """Give a host that gets no turn a result; one that stays to be done is not called unreachable."""
        outcome = never_started(why)
        if turn.trouble is None or outcome.status is Status.PENDING:
            self.finish(untouched(turn.share, outcome))
        else:
            remark = f"not tried again: {outcome.reason}"
            self.finish(unreachable(turn.share, turn.trouble, turn.attempt - 1, remark))


def _until_gone(work: Callable[[], None], gone: Callable[[], None]) -> None:
    try:
        work()
    finally:
        gone()


@contextmanager
def _stack_size(size_bytes: int) -> Iterator[None]:
    """Have threads that start meanwhile get stacks of that size."""
    before = threading.stack_size(size_bytes)
    try:
        yield
    finally:
        threading.stack_size(before)
