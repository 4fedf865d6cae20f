"""JobInvocation: one launch of a job, composed and checked; what every way of starting a job ends in.

Values only: `compose` makes them from a `Job`, `plan` resolves them against an inventory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime
from itertools import islice

from chargehand.blackout import NO_BLACKOUT, Blackout
from chargehand.errors import Problem, UsageError
from chargehand.frozen import frozen
from chargehand.job import Job
from chargehand.limits import Limits
from chargehand.moment import zone_called
from chargehand.notify.wish import Wish
from chargehand.push import Push
from chargehand.recurrence import CronLine, occurrences
from chargehand.recurring.logic import MissedRuns, Overlap
from chargehand.reference import SecretReference
from chargehand.targeting import Targeting
from chargehand.template import JobTemplate


@frozen
class Recurrence:
    """When a job runs again and again.

    Attributes:
        cron_line: Read in the job's time zone.
        time_zone: IANA name.
        max_iteration: Runs that started, at most; None for ever.
        end_time: No run at or after it, aware, UTC; None for ever.
        purpose: Unique among active and disabled recurring logics.
    """

    cron_line: CronLine
    time_zone: str
    max_iteration: int | None = None
    end_time: datetime | None = None
    purpose: str | None = None


@frozen
class Scheduling:
    """When a job starts, if not at once.

    Attributes:
        start_at: Not before, aware, UTC.
        start_before: Cancelled when it could not be started before, aware, UTC.
    """

    start_at: datetime | None = None
    start_before: datetime | None = None


@frozen
class Punctuality:
    """What becomes of starts that cannot be kept as they were meant.

    Attributes:
        overlap: Of one that is due while the run before it goes on.
        catch_up_runs: Which of those run late that were missed.
        catch_up_window_s: What is later than this does not run.
        jitter_s: Every start is put off by up to this much.
    """

    overlap: Overlap = "skip"
    catch_up_runs: MissedRuns = "one"
    catch_up_window_s: float = 3600.0
    jitter_s: float = 0.0


@frozen
class Secrets:
    """The secrets a job invocation refers to; resolved late, once for a run.

    Attributes:
        password: For the ssh login.
        key_passphrase: For the ssh key.
        effective_user_password: For the switch of user.
        inputs: Values of hidden inputs by input name.
    """

    password: SecretReference | None = None
    key_passphrase: SecretReference | None = None
    effective_user_password: SecretReference | None = None
    inputs: Mapping[str, SecretReference] = field(default_factory=dict)


@frozen
class JobInvocation:
    """One launch of a job, checked: it can be planned and run as it stands.

    Attributes:
        job: What it was composed from.
        template: What runs.
        feature: The feature that chose the template.
        inputs: Every plain input value, defaults filled in.
        secrets: The references it holds.
        description: What the run is called.
        targeting: Which hosts.
        effective_user: Asked for by the invocation or the template; None leaves it to host and setting.
        ssh_user: Asked for by the invocation.
        recurrence: None for a single run.
        scheduling: None for a start at once.
        blackout: When it does not start by itself.
        push: Which pushes start it; None for no push.
        notify: Who is told how it ends.
        punctuality: What becomes of late starts, of a recurrence or of `scheduling`.
        limits: How many at once, in which waves, and when to go no further.
        execution_timeout_interval: Seconds a script may run; None leaves it to the setting.
        idle_timeout_s: Seconds a script may stay silent; None for ever.
        time_to_pickup: Seconds in which a host's share must be picked up.
        max_targets: Refused when more hosts match; None for any number.
        allow_empty: Whether matching nobody is fine.
        location_id: Of the location that the targeting is limited to.
        organization_id: Of the organization that the targeting is limited to.
        warnings: What is allowed and yet hardly meant.
    """

    job: Job = field(repr=False)
    template: JobTemplate
    feature: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: Secrets = Secrets()
    description: str = ""
    targeting: Targeting
    effective_user: str | None = None
    ssh_user: str | None = None
    recurrence: Recurrence | None = None
    scheduling: Scheduling | None = None
    punctuality: Punctuality = Punctuality()
    blackout: Blackout = NO_BLACKOUT
    push: Push | None = None
    notify: tuple[Wish, ...] = ()
    limits: Limits = field(default_factory=Limits)
    execution_timeout_interval: int | None = None
    idle_timeout_s: float | None = None
    time_to_pickup: int | None = None
    max_targets: int | None = None
    allow_empty: bool = False
    location_id: int | None = None
    organization_id: int | None = None
    warnings: tuple[Problem, ...] = ()

    def starts_later(self, now: datetime) -> bool:
        """Whether it has one start of its own, and that has not come."""
        start_at = self.scheduling.start_at if self.scheduling else None
        return self.recurrence is None and start_at is not None and start_at > now

    def next_starts(self, now: datetime) -> Iterator[datetime]:
        """When it recurs after `now`, in the zone of its cron line; ascending, none for a single run."""
        recurrence = self.recurrence
        if recurrence is None:
            return
        zone = zone_called(recurrence.time_zone)
        begin = max(now, self.scheduling.start_at or now) if self.scheduling else now
        for at in islice(occurrences(recurrence.cron_line, zone, begin), recurrence.max_iteration):
            if recurrence.end_time is not None and at >= recurrence.end_time:
                return
            yield at.astimezone(zone)

    def check_due(self, now: datetime) -> None:
        """Refuse to run now what is to start later.

        Raises:
            UsageError: The job has a start of its own, and it has not come.
        """
        start_at = self.scheduling.start_at if self.scheduling else None
        if start_at is not None and start_at > now:
            raise UsageError(
                f"job `{self.job.label}` starts at {start_at:%Y-%m-%dT%H:%M:%SZ} by its `scheduling`; "
                "--now (`Overrides(start_now=True)`) starts it at once"
            )
