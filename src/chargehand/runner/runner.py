"""Runner: runs rendered scripts on hosts - in order, at most so many at once, and stops when told to.

One host's trouble is a `HostResult`; it never reaches another host. The strands or threads of a `Crew` take
turns from a `Line`; the thread that called `Runner.run` only waits: for the end, a deadline, or `stop`.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from chargehand.event import Observer, RunFinished, RunStarted
from chargehand.frozen import frozen
from chargehand.limits import Limits, split_waves
from chargehand.moment import utc_now
from chargehand.provider import Provider, find_provider
from chargehand.result import JobResult, Status
from chargehand.runner.crew import Crew, Orders
from chargehand.runner.descriptors import affordable
from chargehand.runner.herald import Herald
from chargehand.runner.line import Line
from chargehand.runner.outcome import CANCELLED, DEADLINE, Outcome
from chargehand.runner.output import HEAD_BYTES
from chargehand.runner.stage import Stage
from chargehand.runner.tally import Tally
from chargehand.runner.visit import untouched
from chargehand.share import TemplateInvocation

DEFAULT_CONCURRENCY = 50
OUTPUT_BYTES = 256 << 20
"""Output of all hosts together that stays in memory; what is longer lies in the spool."""
SIGNAL_LATENCY_S = 0.5
"""A signal that comes in the instant before a wait does not end it, so no wait is longer than this."""


@frozen(kw_only=False)
class _ThreadGone:
    """A thread of the crew has ended."""


@frozen(kw_only=False)
class _Stop:
    """Somebody wants the run stopped, or some hosts of it."""

    now: bool
    hosts: frozenset[str] | None = None


@frozen(kw_only=False)
class _Refrain:
    """No more hosts are to be started."""

    why: str


_News = _ThreadGone | _Stop | _Refrain


_Find = Callable[[str], Callable[[], Provider]]


class Runner:
    """Runs one job on its hosts, once.

    Args:
        limits: How many hosts at once, in which waves, and when to go no further.
        observers: Told of every event, one at a time.
        spool: Folder for output too large for memory; it must exist.
        find_provider: Gives what makes a provider, by its name.
        default_concurrency: Hosts at once when `limits` leaves it open.
        clock: The time, aware, UTC.
        monotonic: Seconds that never go back.
        patience_s: Seconds the hosts may take to confirm that they stopped: after the first
            `stop` or the deadline, and after ``stop(now=True)``.
    """

    def __init__(
        self,
        limits: Limits,
        observers: Sequence[Observer] = (),
        *,
        spool: Path,
        find_provider: _Find = find_provider,
        default_concurrency: int = DEFAULT_CONCURRENCY,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        patience_s: tuple[float, float] = (60.0, 2.0),
    ) -> None:
        self._limits = limits
        self._spool = spool
        self._find_provider = find_provider
        self._concurrency = limits.concurrency_level or default_concurrency
        self._clock = clock
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._herald = Herald(observers, clock)
        self._news: SimpleQueue[_News] = SimpleQueue()

    def stop(self, *, now: bool = False) -> None:
        """Start no more hosts and stop the running ones; with `now`, leave those that do not let go.

        Safe from any thread, from an observer and from a signal handler: `SimpleQueue.put` is
        reentrant.
        """
        self._news.put(_Stop(now))

    def stop_hosts(self, hosts: Iterable[str], *, now: bool = False) -> None:
        """Cancel some hosts: those that wait are withdrawn, those that run are stopped.

        Args:
            hosts: Their names; those that are done or not of this run are passed over.
            now: Whether they need not confirm that they stopped.
        """
        self._news.put(_Stop(now, frozenset(hosts)))

    def refrain(self, why: str) -> None:
        """Start no more hosts, and let the running ones come to their end.

        Args:
            why: ``could-not-record``, ``taken-over`` or ``told-to-end``; after the last two, hosts that were
                not started stay ``pending``.
        """
        self._news.put(_Refrain(why))

    def run(self, shares: Sequence[TemplateInvocation], stage: Stage | None = None) -> JobResult:
        """Run every share; one result for each, in their order.

        Args:
            shares: What runs on each host.
            stage: Shared with the runs before and after, and then `find_provider` asks it; None is one for
                this run alone.

        Raises:
            UsageError: A provider is not installed. Nothing was started then.
            ValueError: A host comes twice.
        """
        if stage:
            return self._run(shares, stage, self._find_provider)
        with Stage(self._find_provider) as alone:
            alone.begin_last()
            return self._run(shares, alone, alone.find)

    def _run(self, shares: Sequence[TemplateInvocation], stage: Stage, find: _Find) -> JobResult:
        tally = Tally(shares)
        ready = [share for share in shares if share.trouble is None]
        names = sorted({share.settings.provider for share in ready})
        providers = {name: factory() for name, factory in [(name, find(name)) for name in names]}
        started_at = self._clock()
        self._herald.tell(RunStarted(at=started_at, hosts=tuple(share.host for share in shares)))
        orders, slots = self._give_orders(ready, providers, len(shares))
        line = Line(
            split_waves(ready, self._limits.waves),
            slots,
            pause_s=self._limits.wave_pause_s,
            monotonic=self._monotonic,
        )
        crew = Crew(line, tally, self._herald, orders, stage)
        try:
            for share in shares:
                if share.trouble is not None:
                    outcome = Outcome(Status.NOT_STARTED, share.trouble.code, share.trouble.reason)
                    crew.finish(untouched(share, outcome))
            stopped = self._conduct(crew, slots)
        except BaseException:  # KeyboardInterrupt, where nobody calls `stop` instead
            crew.halt(CANCELLED)
            raise
        finally:
            for provider in providers.values():
                provider.close()
        result = JobResult(
            results=tally.results(),
            started_at=started_at,
            ended_at=self._clock(),
            cancelled=stopped == CANCELLED,
            stopped=DEADLINE if stopped == DEADLINE else crew.stopped,
        )
        self._herald.tell(RunFinished(at=result.ended_at, result=result))
        self._herald.fall_silent()
        return result

    def _give_orders(
        self, ready: Sequence[TemplateInvocation], providers: dict[str, Provider], total: int
    ) -> tuple[Orders, int]:
        """What the crew goes by, and how many hosts it is at together."""
        wanted = min(self._concurrency, len(ready))
        slots = affordable(wanted)
        if slots < wanted:
            self._herald.notice(
                f"{slots} instead of {wanted} hosts at once: this process may open few files (`ulimit -n`)"
            )
        orders = Orders(
            providers=providers,
            retry=self._limits.retry_unreachable,
            failures_allowed=self._limits.failures_allowed(total),
            spool=self._spool,
            kept_bytes=_kept_bytes(len(ready)),
            clock=self._clock,
        )
        return orders, slots

    def _conduct(self, crew: Crew, slots: int) -> str:
        """Wait until every thread is gone or left behind; why the run was stopped, if it was."""
        while not self._news.empty():  # said before it began
            early = self._news.get()
            if not self._obey(crew, early):
                crew.halt(CANCELLED)
                return CANCELLED
        why, halted, limit = "", False, math.inf
        if self._limits.deadline_s is not None:
            limit = self._monotonic() + self._limits.deadline_s
        alive = crew.start(slots, lambda: self._news.put(_ThreadGone()))
        while alive:
            news = self._hear(limit)
            if isinstance(news, _ThreadGone):
                alive -= 1
            elif news is None and halted:
                crew.abandon(why)
                break
            elif news is None or not self._obey(crew, news):
                reason, now = (CANCELLED if news else DEADLINE), isinstance(news, _Stop) and news.now
                if crew.halt(reason, now=now):
                    why = why or reason
                limit = min(limit if halted else math.inf, self._patience_ends(now=now))
                halted = True
        return why

    def _obey(self, crew: Crew, news: _News) -> bool:
        """Do what is asked for while the run goes on; False when it is the end of the run."""
        match news:
            case _Refrain(why):
                crew.refrain(why)
            case _Stop(now, hosts) if hosts is not None:
                crew.stop_hosts(hosts, now=now)
            case _:
                return False
        return True

    def _patience_ends(self, *, now: bool = False) -> float:
        return self._monotonic() + self._patience_s[now]

    def _hear(self, until: float) -> _News | None:
        """The next news; None when there was none until then."""
        while True:
            left_s = max(0.0, until - self._monotonic())
            try:
                return self._news.get(timeout=min(left_s, SIGNAL_LATENCY_S))
            except Empty:
                if left_s <= SIGNAL_LATENCY_S:
                    return None


def _kept_bytes(hosts: int) -> int:
    """How much of the beginning, and of the end, of each of two streams of each host stays in memory."""
    return min(HEAD_BYTES, max(4096, OUTPUT_BYTES // (4 * max(1, hosts))))
