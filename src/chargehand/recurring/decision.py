"""Decisions: what of a recurring logic is due at a moment, and what becomes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Final, Literal

from chargehand.frozen import frozen
from chargehand.recurring.logic import RecurringLogic, current, is_over, nominal_times
from chargehand.recurring.upcoming import Blackout, no_blackout

Action = Literal["start", "wait", "skip", "missed", "blackout", "cancelled"]

ON_TIME: Final = timedelta(seconds=120)
"""A start that is late by less is no missed one."""
SKIPPED: Final = 11
"""The exit code of a run that did not take place because the one before it still went on."""
_MOST: Final = 100  # so many occurrences are decided one by one, however long nobody looked
_WALK: Final = 300  # so many are counted; of more it is said that there were more
_SECOND: Final = timedelta(seconds=1)


@frozen
class Claims:
    """What was decided for a recurring logic before.

    Attributes:
        taken: Nominal times that have a row, whatever became of them.
        active: Ids of its invocations that are planned or running.
        waiting: Nominal times of those that wait for the end of another one.
    """

    taken: frozenset[datetime] = frozenset()
    active: tuple[int, ...] = ()
    waiting: tuple[datetime, ...] = ()


NO_CLAIMS: Final = Claims()


@frozen
class Decision:
    """What becomes of one occurrence.

    Attributes:
        occurrence: Its nominal time, aware, UTC.
        action: ``start`` it now, a waiting one too; let it ``wait`` for the one that runs; or do not.
        code: Short name of why it does not simply start; else empty.
        reason: The same in one line for people.
    """

    occurrence: datetime
    action: Action
    code: str = ""
    reason: str = ""

    @property
    def exit_code(self) -> int | None:
        """What an invocation that does not take place ends with."""
        return SKIPPED if self.action == "skip" else None


@frozen
class Decisions:
    """What is to be done for a recurring logic at a moment.

    Attributes:
        logic: As it is when all of it is done.
        decisions: By nominal time.
        cancel: Ids of the invocations to cancel.
    """

    logic: RecurringLogic
    decisions: tuple[Decision, ...] = ()
    cancel: tuple[int, ...] = ()


def floor(logic: RecurringLogic, now: datetime) -> datetime:
    """The nominal time up to which nothing is looked at: decided by then, or nobody's."""
    reach = now - logic.delay
    seen = logic.seen_until if logic.seen_until <= reach else reach - ON_TIME
    return max(logic.since - logic.delay, seen)


def is_due(logic: RecurringLogic, now: datetime) -> bool:
    """Whether `due` may have anything to say, apart from runs that wait."""
    if current(logic, now) != logic:
        return True
    if logic.state != "active" or now < logic.since:
        return False
    reach = now - logic.delay
    upcoming = next(nominal_times(logic, floor(logic, now)), None)
    return upcoming is None or upcoming <= reach or logic.seen_until > reach + ON_TIME or logic.is_used_up


def due(
    logic: RecurringLogic, now: datetime, *, claims: Claims = NO_CLAIMS, blackout: Blackout = no_blackout
) -> Decisions:
    """Decide about everything that is due.

    Args:
        logic: As it is stored.
        now: Aware. A clock that was set back decides nothing twice and stops nothing for long; one that
            was set forward makes missed starts, never many runs at once.
        claims: What was decided before; taken times from `floor` on are enough.
        blackout: When nothing starts.

    Raises:
        InvocationError: Cron line or time zone are no longer understood.
    """
    logic = current(logic, now)
    if logic.state != "active" or now < logic.since:
        return Decisions(logic=logic)
    return _Pass(logic, now, claims, blackout).decide()


class _Pass:
    """One look at a logic: decisions are collected while the state they lead to is kept up."""

    def __init__(self, logic: RecurringLogic, now: datetime, claims: Claims, blackout: Blackout) -> None:
        self._logic = logic
        self._now = now
        self._claims = claims
        self._blackout = blackout
        self._closed = blackout(now)
        self._busy = bool(claims.active)
        self._waiting = len(claims.waiting)
        self._decisions: list[Decision] = []
        self._cancel: tuple[int, ...] = ()

    def decide(self) -> Decisions:
        for occurrence in sorted(self._claims.waiting):
            self._release(occurrence)
        reach = self._now - self._logic.delay
        found, uncounted = _newest(self._logic, floor(self._logic, self._now), reach)
        open_ones = [each for each in found if each not in self._claims.taken]
        if uncounted and open_ones:
            self._note(open_ones.pop(0), "missed", "missed", f"missed, as were {uncounted} before it")
        late = [each for each in open_ones if self._late_by(each) >= ON_TIME and not self._rule_out(each)]
        fresh = [each for each in open_ones if self._late_by(each) < ON_TIME and not self._rule_out(each)]
        undecided = self._catch_up(late, fresh)
        for occurrence in fresh:
            self._place(occurrence)
        return Decisions(
            logic=self._afterwards(undecided, reach),
            decisions=tuple(sorted(self._decisions, key=lambda each: each.occurrence)),
            cancel=self._cancel,
        )

    def _release(self, occurrence: datetime) -> None:
        """Start what waited for the end of another run, when it came."""
        if self._rule_out(occurrence):
            self._waiting -= 1
        elif self._may_start() and not self._closed:
            self._waiting -= 1
            self._start(occurrence)

    def _rule_out(self, occurrence: datetime) -> bool:
        """Whether an occurrence cannot run any more, or lies where nothing may; it is noted then."""
        logic, now = self._logic, self._now
        if logic.start_before and occurrence <= logic.start_before < now and not logic.iteration:
            reason = f"it was to start before {_stamp(logic.start_before)} and could not"
            self._note(occurrence, "cancelled", "start_before", reason)
        elif logic.end_time and now >= logic.end_time:
            reason = f"missed: its end_time {_stamp(logic.end_time)} came first"
            action: Action = "cancelled" if occurrence in self._claims.waiting else "missed"
            self._note(occurrence, action, "end_time", reason)
        elif occurrence in self._claims.waiting:
            return False
        elif window := self._blackout(occurrence + logic.delay):
            self._note(occurrence, "blackout", "blackout", f"nothing starts during {window}")
        else:
            return False
        return True

    def _catch_up(self, late: list[datetime], fresh: list[datetime]) -> list[datetime]:
        """Decide about missed occurrences; those that are left for later."""
        logic, window = self._logic, timedelta(seconds=self._logic.catch_up_window_s)
        if self._has_no_run_left():
            return []
        if logic.catch_up_runs == "none":
            self._miss(late, "missed runs are not caught up")
            return []
        in_time = [each for each in late if self._late_by(each) <= window]
        too_late = late[: len(late) - len(in_time)]
        runs = fresh[:1] or in_time[-1:]
        if logic.catch_up_runs == "one" and runs and not (self._closed and in_time):
            self._miss(
                [each for each in late if each not in runs], f"the run of {_stamp(runs[0])} stands for it"
            )
            if not fresh:
                self._place(runs[0])
            return []
        self._miss(too_late, f"later than the {window} in which it is caught up")
        if not in_time or self._closed:
            return in_time
        if self._busy or self._waiting:
            return in_time
        self._start(in_time[0])
        return [] if self._has_no_run_left() else in_time[1:]

    def _place(self, occurrence: datetime) -> None:
        """Start an occurrence, or do what its `overlap` says."""
        if self._has_no_run_left():
            return
        overlap, active = self._logic.overlap, self._claims.active
        going_on = "the run before it still went on"
        if self._closed:
            self._note(occurrence, "blackout", "blackout", f"nothing starts during {self._closed}")
        elif self._waiting and overlap != "allow":
            self._note(occurrence, "skip", "overlap", f"{going_on}, and another one waited for its end")
        elif self._may_start():
            self._start(occurrence)
        elif overlap == "queue" and self._has_room():
            self._wait(occurrence, f"{going_on}: it waits for its end")
        elif overlap == "cancel_running" and active and self._has_room():
            self._cancel = active
            self._wait(occurrence, f"{going_on} and is cancelled: it waits for its end")
        else:
            self._note(occurrence, "skip", "overlap", going_on)

    def _may_start(self) -> bool:
        return not self._busy or self._logic.overlap == "allow"

    def _start(self, occurrence: datetime) -> None:
        late_by = self._late_by(occurrence)
        late = late_by >= ON_TIME
        reason = f"started late: it was due at {_stamp(occurrence + self._logic.delay)}" if late else ""
        self._note(occurrence, "start", "late" if late else "", reason)
        self._busy = True
        iteration = self._logic.iteration + 1
        self._logic = replace(self._logic, iteration=iteration, last_occurrence=occurrence)

    def _wait(self, occurrence: datetime, reason: str) -> None:
        self._note(occurrence, "wait", "overlap", reason)
        self._waiting += 1

    def _miss(self, missed: list[datetime], why: str) -> None:
        for occurrence in missed:
            self._note(occurrence, "missed", "missed", f"nobody was there to start it; {why}")

    def _note(self, occurrence: datetime, action: Action, code: str, reason: str) -> None:
        self._decisions.append(Decision(occurrence=occurrence, action=action, code=code, reason=reason))

    def _late_by(self, occurrence: datetime) -> timedelta:
        return self._now - occurrence - self._logic.delay

    def _has_room(self) -> bool:
        """Whether a run may be added to those that started and wait."""
        logic = self._logic
        return logic.max_iteration is None or logic.iteration + self._waiting < logic.max_iteration

    def _has_no_run_left(self) -> bool:
        return not self._has_room() and not self._waiting

    def _afterwards(self, undecided: list[datetime], reach: datetime) -> RecurringLogic:
        logic, seen = self._logic, self._logic.seen_until
        if undecided:
            logic = replace(logic, seen_until=undecided[0] - _SECOND)
        elif seen < reach or seen > reach + ON_TIME:
            logic = replace(logic, seen_until=reach)
        if undecided or self._waiting or not is_over(logic, self._now):
            return logic
        why = "max_iteration" if logic.is_used_up else "end_time"
        return replace(logic, state="finished", reason=f"{why} is reached")


def _newest(logic: RecurringLogic, after: datetime, until: datetime) -> tuple[list[datetime], str]:
    """The newest nominal times later than `after`, as many as are decided, and how many there are before."""

    def walk(begin: datetime) -> list[datetime]:
        times = takewhile(lambda nominal: nominal <= until, nominal_times(logic, begin))
        return list(islice(times, _WALK + 1))

    found = walk(after)
    if len(found) <= _WALK:
        return found[-_MOST:], str(len(found) - _MOST) if len(found) > _MOST else ""
    early, late = after, until
    while not _MOST <= len(found) <= _WALK:
        middle = early + (late - early) / 2
        found = walk(middle)
        early, late = (middle, late) if len(found) > _WALK else (early, middle)
    return found[-_MOST:], f"more than {_WALK - _MOST}"


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
