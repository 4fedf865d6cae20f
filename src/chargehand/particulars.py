"""Particulars: what a job says, all told and with defaults filled in, by the words of the job file.

Nothing in it is a secret: a reference is told, never what it leads to.
"""

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime

from chargehand.effective import ComposedJob, references_of
from chargehand.invocation import JobInvocation
from chargehand.reference import SecretReference
from chargehand.settings import Settings

Particulars = Mapping[str, object]
"""By key of the job file, as plain data; None for what is not set."""


def particulars_of(job: ComposedJob, settings: Settings) -> Particulars:
    """What a job says."""
    invocation = job.invocation
    return dict(
        [
            ("name", job.name or None),
            *_what(invocation),
            *_where(invocation),
            *_when(invocation, settings),
            *_how_far(invocation),
        ]
    )


def _what(invocation: JobInvocation) -> Iterator[tuple[str, object]]:
    job = invocation.job
    yield "job_template", None if job.text("script") is not None else invocation.template.name
    yield "feature", invocation.feature
    yield from ((f"inputs.{name}", value) for name, value in invocation.inputs.items())
    yield from ((name, _told(each)) for name, each in references_of(invocation.secrets).items())
    yield "description_format", job.text("job_invocation", "description_format")
    yield "ssh_user", invocation.ssh_user
    yield "ssh.effective_user", invocation.effective_user


def _where(invocation: JobInvocation) -> Iterator[tuple[str, object]]:
    targeting = invocation.targeting
    yield "targeting_type", targeting.targeting_type
    yield "search_query", targeting.search_query
    yield "bookmark_id", targeting.bookmark_id
    yield "randomized_ordering", bool(targeting.randomized_ordering)
    yield "location", targeting.within.location
    yield "organization", targeting.within.organization


def _when(invocation: JobInvocation, settings: Settings) -> Iterator[tuple[str, object]]:
    recurrence, scheduling = invocation.recurrence, invocation.scheduling
    punctuality, push = invocation.punctuality, invocation.push
    yield "recurrence.cron_line", recurrence.cron_line.text if recurrence else None
    yield "recurrence.max_iteration", recurrence.max_iteration if recurrence else None
    yield "recurrence.end_time", _stamp(recurrence.end_time if recurrence else None)
    yield "recurrence.purpose", recurrence.purpose if recurrence else None
    yield "scheduling.start_at", _stamp(scheduling.start_at if scheduling else None)
    yield "scheduling.start_before", _stamp(scheduling.start_before if scheduling else None)
    yield "time_zone", str(invocation.targeting.time_zone)
    if recurrence or scheduling:
        yield "overlap", punctuality.overlap
        yield "catch_up.runs", punctuality.catch_up_runs
        yield "catch_up.window", punctuality.catch_up_window_s
        yield "jitter", punctuality.jitter_s
    yield "blackout", list(invocation.job.calendars(settings.blackout, settings.file))
    yield "on.push", push is not None
    yield "on.push.branches", list(push.branches) if push and push.branches is not None else None
    yield "on.push.paths", list(push.paths) if push and push.paths is not None else None
    yield "notify", [f"{wish.name} ({', '.join(sorted(wish.when))})" for wish in invocation.notify]


def _how_far(invocation: JobInvocation) -> Iterator[tuple[str, object]]:
    limits, job = invocation.limits, invocation.job
    yield "concurrency_level", limits.concurrency_level
    yield "waves", list(limits.waves)
    yield "wave_pause", limits.wave_pause_s
    yield "stop_after", limits.stop_after
    yield "deadline", limits.deadline_s
    if limits.retry_unreachable.times:
        yield "retry_unreachable.times", limits.retry_unreachable.times
        yield "retry_unreachable.delay", limits.retry_unreachable.delay_s
    yield "execution_timeout_interval", invocation.execution_timeout_interval
    yield "idle_timeout", invocation.idle_timeout_s
    yield "time_to_pickup", invocation.time_to_pickup
    yield "max_targets", invocation.max_targets
    yield "allow_empty", invocation.allow_empty
    yield "idempotent", bool(job.flag("idempotent"))
    yield "continue_on_failure", bool(job.flag("continue_on_failure"))


def _told(reference: SecretReference) -> str:
    """A reference in words; of a command all of it, since its arguments choose the secret."""
    return f"the command `{shlex.join(reference.argv)}`" if reference.argv else str(reference)


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
