"""Scheduler: starts what is due, once, and carries it out.

Every start is claimed in the store before anything is done for it, so schedulers on one store share the work
and never double it; what a dead one had claimed, the others take over.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

from chargehand.errors import ChargehandError, StoreError
from chargehand.frozen import frozen
from chargehand.layout import PLAYBOOKS
from chargehand.past import Unfinished
from chargehand.project import Project
from chargehand.reconcile import reconcile
from chargehand.recurring.decision import Action
from chargehand.recurring.logic import RecurringLogic
from chargehand.recurring.upcoming import next_occurrence
from chargehand.scheduler import wording
from chargehand.scheduler.drafts import Drafts
from chargehand.scheduler.errand import Errand
from chargehand.scheduler.rounds import is_sane
from chargehand.scheduler.stamps import Stamps, stamps_of
from chargehand.store.logics import Decided

TAKEN_OVER_WITHIN: Final = timedelta(days=1)
"""What a runner left longer ago goes on only when a person says so."""
_BEAT_S: Final = 15.0
_AGAIN_S: Final = 60.0
"""So long is waited before what could not be finished, or what files were wrong, is tried again."""


@frozen
class Pass:
    """What one pass came to.

    Attributes:
        started: Ids of the invocations that it started.
        decided: What it did with occurrences that it did not start, such as ``skip``.
        next_at: When something is due next, as far as that is known; None when nothing is.
    """

    started: tuple[int, ...] = ()
    decided: tuple[Action, ...] = ()
    next_at: datetime | None = None


class Scheduler:
    """Starts what is due of one project; a context manager.

    Args:
        project: Its store is used, and its files are read anew for every run.
        runner_id: As whom; registered.
        tell: Told what happens, a line each, from many threads.
        call: Called when an invocation has ended, which may let another one start.
    """

    def __init__(
        self,
        project: Project,
        runner_id: str,
        *,
        tell: Callable[[str], None],
        call: Callable[[], None] = lambda: None,
    ) -> None:
        self._project = project
        self._store = project.store
        self._runner_id = runner_id
        self._tell = tell
        self._call = call
        self._stamps: Stamps | None = None
        self._look_again = 0.0
        self._told: dict[str, str] = {}
        self._queue: deque[Errand] = deque()
        self._running: dict[int, Errand] = {}
        self._aside: dict[int, float] = {}
        self._codes: set[int] = set()
        self._sending = 0
        self._upcoming_of: dict[int, tuple[RecurringLogic, datetime | None]] = {}
        self._change = threading.Condition()
        self._ended = False
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._beat, name="chargehand-beat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()

    @property
    def exit_codes(self) -> frozenset[int]:
        """What the invocations that ended would have had `run` end with."""
        with self._change:
            return frozenset(self._codes)

    def start_due(self) -> Pass:
        """One pass: take changed files over, start what is due, take over what the dead left; idempotent.

        Raises:
            StoreError: The store cannot be used; nothing was started that is not written down.
        """
        now = self._project.now()
        if not is_sane(now):
            self._tell_once("clock", f"the clock shows {now:%Y-%m-%d}: waiting until it is set")
            return Pass()
        self._told.pop("clock", None)
        self._project = self._project.in_force()
        if idle := self._idle():
            self._tell_once("tracked", idle)
            return Pass()
        self._told.pop("tracked", None)
        self._look_at_files(now)
        open_ones = self._store.history.unfinished()
        claimed = [*self._take_over(open_ones, now), *self._claim_scheduled(open_ones, now)]
        self._begin(claimed)
        decided = self._decide(now)
        return Pass(
            started=(*claimed, *_starts(decided)),
            decided=tuple(each.decision.action for each in decided if each.decision.action != "start"),
            next_at=self._next_at(open_ones, now),
        )

    def take_settings(self, project: Project) -> None:
        """Go on with other settings; what runs keeps its own."""
        self._project = project
        self._stamps = None

    def refrain(self) -> None:
        """Start nothing any more; hosts that run may finish, all others are left to the next scheduler."""
        with self._change:
            self._ended = True
            self._queue.clear()
            running = list(self._running.values())
        for errand in running:
            errand.refrain()

    def stop(self) -> None:
        """Stop the hosts that run."""
        with self._change:
            running = list(self._running.values())
        for errand in running:
            errand.stop()

    def wait(self, limit_s: float | None = None) -> bool:
        """Wait until nothing runs; False when something still did at the end of that time."""
        with self._change:
            return self._change.wait_for(lambda: not (self._running or self._queue or self._sending), limit_s)

    def _idle(self) -> str:
        """Why nothing of a tracked repository may start now; empty when it may."""
        remote, head = self._project.settings.git, self._project.head
        if remote is None:
            return self._forsaken()
        if remote.suspended:
            return f"{remote.name} is suspended: nothing starts by itself"
        commit = self._store.revisions.find(remote.name).commit
        if commit is None:
            return f"no commit of {remote.name} is taken over yet: nothing starts"
        if head is None or head.commit != commit:
            return f"commit {commit[:12]} is in force, and its files are not here yet: nothing starts"
        return ""

    def _forsaken(self) -> str:
        """That a repository was tracked here once, whose jobs still recur, and is no longer."""
        if (self._project.root / PLAYBOOKS).is_dir() or not self._store.revisions.all():
            return ""
        return "the repository that was tracked is tracked no more: nothing of it starts"

    def _look_at_files(self, now: datetime) -> None:
        """Take changed job files over; what is wrong with one is told, and holds nothing else up."""
        stamps = stamps_of(self._project)
        if stamps == self._stamps and (not self._look_again or time.monotonic() < self._look_again):
            return
        self._stamps, self._look_again = stamps, 0.0
        try:
            found = reconcile(self._project.reloaded(), self._store, now)
        except StoreError:
            raise
        except ChargehandError as error:
            self._look_again = time.monotonic() + _AGAIN_S
            self._tell_once("files", f"job files are not taken over: {wording.first_line(error)}")
            return
        self._told.pop("files", None)
        self._aside.clear()
        for line in wording.reconciled(found):
            self._tell(line)
        if found.troubles:
            self._look_again = time.monotonic() + _AGAIN_S
        for file, problems in found.troubles.items():
            self._tell_once(file, f"{file} is not taken over: {problems[0]}")

    def _take_over(self, open_ones: tuple[Unfinished, ...], now: datetime) -> list[int]:
        """Claim what a dead runner carried out, and what was left aside by ourselves long enough."""
        claimed: list[int] = []
        alive: dict[str | None, bool] = {}
        for each in open_ones:
            if each.state == "scheduled" or self._is_at(each.id):
                continue
            if time.monotonic() < self._aside.get(each.id, 0.0):
                continue
            if each.runner_id == self._runner_id:
                claimed.append(each.id)
                continue
            if each.runner_id not in alive:
                alive[each.runner_id] = self._store.runners.is_alive(each.runner_id)
            if alive[each.runner_id] or self._is_of_old(each.id, now):
                continue
            if self._claim(each.id, instead_of=each.runner_id):
                self._tell(f"invocation {each.id}: taken over from a runner that is gone")
                claimed.append(each.id)
        return claimed

    def _is_of_old(self, invocation_id: int, now: datetime) -> bool:
        """Whether an invocation was left so long ago that a person has to say that it still is to go on."""
        last = self._store.history.last_sign(invocation_id)
        if last is None or now - last <= TAKEN_OVER_WITHIN:
            return False
        line = (
            f"invocation {invocation_id}: its runner is gone since {last:%Y-%m-%d %H:%M} UTC or so; "
            f"`chargehand resume {invocation_id}` goes on, `chargehand cancel {invocation_id}` ends it"
        )
        self._tell_once(f"of old {invocation_id}", line)
        return True

    def _claim_scheduled(self, open_ones: tuple[Unfinished, ...], now: datetime) -> list[int]:
        """Claim the invocations whose own time has come."""
        waiting = (each for each in open_ones if each.state == "scheduled" and each.logic_id is None)
        ready = (each for each in waiting if each.start_at is None or each.start_at <= now)
        return [each.id for each in ready if self._claim(each.id, instead_of=None)]

    def _claim(self, invocation_id: int, *, instead_of: str | None) -> bool:
        return self._store.invocations.claim(invocation_id, self._runner_id, instead_of=instead_of)

    def _decide(self, now: datetime) -> list[Decided]:
        """Decide about every recurring logic of which something is due."""
        decided: list[Decided] = []
        drafts = Drafts(self._project.reloaded())
        for logic in self._store.logics.due(now):
            drafts.prepare(logic)
            try:
                found = self._store.logics.decide(
                    logic.id,
                    lambda logic, claims: drafts.judge(logic, claims, now),
                    drafts.draft,
                    runner_id=self._runner_id,
                    now=now,
                )
            except StoreError:
                raise
            except ChargehandError as error:
                self._tell_once(logic.key, f"`{logic.key}`: {wording.first_line(error)}")
                continue
            self._begin(_starts(found))
            decided += found
            off = [each for each in found if each.decision.action not in ("start", "wait")]
            for each in (each for each in found if each.decision.action != "start"):  # told when it starts
                self._tell(wording.decided(logic, each))
            if off:
                self._send(drafts, logic, [each.invocation_id for each in off])
        return decided

    def _send(self, drafts: Drafts, logic: RecurringLogic, numbers: Sequence[int]) -> None:
        """Send the messages about occurrences that did not take place, while others start."""

        def send() -> None:
            try:
                drafts.tell(logic, numbers)
            except ChargehandError as error:
                self._tell(f"`{logic.key}`: no message was sent: {wording.first_line(error)}")
            finally:
                with self._change:
                    self._sending -= 1
                    self._change.notify_all()

        with self._change:
            self._sending += 1
        threading.Thread(target=send, name="chargehand-message", daemon=True).start()

    def _next_at(self, open_ones: tuple[Unfinished, ...], now: datetime) -> datetime | None:
        waiting = (each.start_at for each in open_ones if each.state == "scheduled" and each.logic_id is None)
        moments = [moment for moment in waiting if moment is not None and moment > now]
        for logic in self._store.logics.all():
            with suppress(ChargehandError):  # a line that is not understood is told where it is due
                upcoming = self._upcoming(logic, now)
                moments += [upcoming] if upcoming else []
        return min(moments, default=None)

    def _upcoming(self, logic: RecurringLogic, now: datetime) -> datetime | None:
        """When a recurring logic starts next; worked out anew only when it may be another moment."""
        known = self._upcoming_of.get(logic.id)
        if known is None or known[0] != logic or known[1] is None or known[1] <= now:
            known = (logic, next_occurrence(logic, now))
            self._upcoming_of[logic.id] = known
        return known[1]

    def _is_at(self, invocation_id: int) -> bool:
        with self._change:
            queued = any(errand.invocation_id == invocation_id for errand in self._queue)
            return queued or invocation_id in self._running

    def _begin(self, claimed: Sequence[int]) -> None:
        """Carry out what was claimed, when there is a place for it."""
        with self._change:
            if not self._ended:  # else it is left to the next scheduler
                self._queue += [
                    Errand(number, self._project, self._runner_id, self._tell) for number in claimed
                ]
        self._man()

    def _man(self) -> None:
        """Carry out as many of the claimed invocations at once as may be; the others wait."""
        with self._change:
            while self._queue and len(self._running) < self._project.settings.parallel_invocations:
                errand = self._queue.popleft()
                self._running[errand.invocation_id] = errand
                name = f"chargehand-{errand.invocation_id}"
                threading.Thread(target=self._carry_out, args=(errand,), name=name, daemon=True).start()

    def _carry_out(self, errand: Errand) -> None:
        ending = errand.run()
        with self._change:
            del self._running[errand.invocation_id]
            if ending.exit_code is not None:
                self._codes.add(ending.exit_code)
            self._aside.pop(errand.invocation_id, None)
            if not ending.over:
                self._aside[errand.invocation_id] = time.monotonic() + _AGAIN_S
            self._change.notify_all()
        self._man()
        self._call()

    def _beat(self) -> None:
        """Have others know that this runner is alive."""
        while not self._closed.wait(_BEAT_S):
            try:
                self._store.runners.beat(self._runner_id)
            except StoreError as error:
                self._tell_once("beat", f"{wording.first_line(error)}")

    def _tell_once(self, key: str, line: str) -> None:
        """Tell what stays true for long only when it is new."""
        if self._told.get(key) != line:
            self._told[key] = line
            self._tell(line)


def _starts(decided: Sequence[Decided]) -> list[int]:
    return [each.invocation_id for each in decided if each.decision.action == "start"]
