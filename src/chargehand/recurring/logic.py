"""RecurringLogic: a recurrence that is remembered, what becomes of it, and when it starts."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from chargehand.errors import InvocationError, Problem, UsageError
from chargehand.frozen import frozen
from chargehand.moment import zone_called
from chargehand.recurrence import occurrences, read_cron_line

State = Literal["active", "disabled", "finished", "cancelled"]
Overlap = Literal["skip", "queue", "allow", "cancel_running"]
MissedRuns = Literal["none", "one", "all"]
OVERLAPS: Final[tuple[Overlap, ...]] = ("skip", "queue", "allow", "cancel_running")
MISSED_RUNS: Final[tuple[MissedRuns, ...]] = ("none", "one", "all")

_SECOND: Final = timedelta(seconds=1)


@frozen
class RecurringLogic:
    """A recurrence that is remembered.

    Attributes:
        id: 0 before it is stored.
        key: What makes it the same one when its file changes.
        playbook: The job file, relative to the project.
        job_number: Which job of that file, from 0.
        job_name: What the job is called.
        state: ``disabled`` is paused, ``finished`` has no run left.
        reason: Why it is not active, or what is wrong with its file.
        removed: Whether it was cancelled because its job is gone.
        fingerprint: Of what the file says of it.
        cron_line: As the user wrote it.
        time_zone: IANA name of the zone it is read in.
        purpose: Unique among active and disabled recurring logics.
        max_iteration: Runs that start, at most; None for ever.
        end_time: No run starts at or after it.
        start_at: No occurrence before it.
        start_before: The first run starts before it, or that occurrence is cancelled.
        overlap: What becomes of a run while one before it goes on.
        catch_up_runs: Which missed ones run late.
        catch_up_window_s: What is later than this does not run.
        jitter_s: A start is put off by up to this much.
        iteration: Runs that started.
        since: What was due up to this is nobody's.
        seen_until: Every occurrence up to this is decided; not believed when it lies in the future.
        paused_until: When a pause ends by itself.
        last_occurrence: Nominal time of the run that started last.
        hosts: Names and ids that a static targeting was fixed to; None when it is dynamic.
    """

    id: int = 0
    key: str
    playbook: str
    job_number: int = 0
    job_name: str = ""
    state: State = "active"
    reason: str = ""
    removed: bool = False
    fingerprint: str = ""
    cron_line: str
    time_zone: str = "UTC"
    purpose: str | None = None
    max_iteration: int | None = None
    end_time: datetime | None = None
    start_at: datetime | None = None
    start_before: datetime | None = None
    overlap: Overlap = "skip"
    catch_up_runs: MissedRuns = "one"
    catch_up_window_s: float = 3600.0
    jitter_s: float = 0.0
    iteration: int = 0
    since: datetime
    seen_until: datetime
    paused_until: datetime | None = None
    last_occurrence: datetime | None = None
    hosts: tuple[tuple[str, int], ...] | None = None

    @property
    def delay(self) -> timedelta:
        """By how much its starts are put off: the same every time, whole seconds below the jitter."""
        share = int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:8]) / 2**64
        return timedelta(seconds=int(share * self.jitter_s))

    @property
    def is_used_up(self) -> bool:
        """Whether as many runs started as may."""
        return self.max_iteration is not None and self.iteration >= self.max_iteration

    def paused(self, reason: str = "", until: datetime | None = None) -> "RecurringLogic":
        """The logic with a pause: what is due meanwhile does not run, and is not caught up.

        Raises:
            UsageError: It has no run left that could be put off.
        """
        if self.state not in ("active", "disabled"):
            raise UsageError(f"the recurring logic is {self.state}: there is nothing to pause")
        return replace(self, state="disabled", reason=reason, paused_until=until)

    def resumed(self, now: datetime) -> "RecurringLogic":
        """The logic active again; what was due before `now` is nobody's.

        Raises:
            UsageError: Its job is gone, or it has no run left.
        """
        if self.removed:
            raise UsageError(f"the recurring logic is gone: {self.reason}; put its job back instead")
        if self.state == "finished":
            raise UsageError("the recurring logic is finished; raise `max_iteration` or `end_time` instead")
        if self.state == "active":
            return self
        return self.begun(now)

    def begun(self, now: datetime) -> "RecurringLogic":
        """The logic active from `now` on."""
        active = replace(self, state="active", reason="", removed=False, paused_until=None)
        return replace(active, since=now, seen_until=now - self.delay)

    def ended(self, reason: str, *, removed: bool = False) -> "RecurringLogic":
        """The logic cancelled, by a person or because its job is gone."""
        return replace(self, state="cancelled", reason=reason, removed=removed, paused_until=None)


def current(logic: RecurringLogic, now: datetime) -> RecurringLogic:
    """The logic by the clock: a pause may have ended, and an end may lie ahead after all."""
    if logic.state == "disabled" and logic.paused_until is not None and logic.paused_until <= now:
        return logic.resumed(logic.paused_until)
    if logic.state == "finished" and not is_over(logic, now):
        return replace(logic, state="active", reason="")
    return logic


def is_over(logic: RecurringLogic, now: datetime) -> bool:
    """Whether it can never start again."""
    if logic.is_used_up:
        return True
    if logic.end_time is None:
        return False
    return now >= logic.end_time or next(nominal_times(logic, now - logic.delay), None) is None


def nominal_times(logic: RecurringLogic, after: datetime) -> Iterator[datetime]:
    """Nominal times later than `after`, from `start_at` on and in time to start before `end_time`."""
    try:
        zone = zone_called(logic.time_zone)
    except (KeyError, ValueError, OSError):
        message = f"there is no time zone `{logic.time_zone}`"
        raise InvocationError(Problem(message, rule="time")) from None
    after = after.astimezone(UTC).replace(microsecond=0)
    if logic.start_at is not None:
        after = max(after, logic.start_at - _SECOND)
    for nominal in occurrences(read_cron_line(logic.cron_line), zone, after):
        if logic.end_time is not None and nominal + logic.delay >= logic.end_time:
            return
        if logic.start_at is None or nominal >= logic.start_at:
            yield nominal
