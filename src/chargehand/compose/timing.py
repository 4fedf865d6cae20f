"""When a job runs, how often, and how many hosts at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from chargehand.blackout import NO_BLACKOUT, Blackout
from chargehand.compose.catalogue import Catalogue, Overrides
from chargehand.compose.findings import Findings
from chargehand.invocation import Punctuality, Recurrence, Scheduling
from chargehand.limits import Amount, Limits, Retry
from chargehand.moment import find_zone, parse_moment, zone_called
from chargehand.recurrence import clock_change_warnings, next_occurrence, read_cron_line
from chargehand.recurring.logic import MISSED_RUNS, OVERLAPS
from chargehand.settings import Settings


def compose_zone(findings: Findings, settings: Settings) -> tzinfo | None:
    """The zone of the job's times: its own, else the setting's, else none."""
    name = findings.job.text("time_zone")
    if name is not None:
        return findings.attempt(lambda: find_zone(name), "time_zone")
    return find_zone(settings.time_zone) if settings.time_zone else None


def compose_timing(
    findings: Findings, zone: tzinfo | None, now: datetime, overrides: Overrides
) -> tuple[Recurrence | None, Scheduling | None]:
    """When the job runs: at once and only once when that is asked for."""
    if overrides.once:
        return None, None
    recurrence = compose_recurrence(findings, zone, now, overrides)
    scheduling = compose_scheduling(findings, zone, now, overrides)
    if recurrence is not None and not overrides.submitted:
        _check_first_run(findings, recurrence, scheduling, now)
    return recurrence, scheduling


def compose_punctuality(findings: Findings) -> Punctuality:
    """What becomes of late starts; a word that the schema refused is passed over."""
    usual, job = Punctuality(), findings.job
    window_s = findings.duration("catch_up", "window")
    return Punctuality(
        overlap=next((each for each in OVERLAPS if each == job.text("overlap")), usual.overlap),
        catch_up_runs=next(
            (each for each in MISSED_RUNS if each == job.text("catch_up", "runs")), usual.catch_up_runs
        ),
        catch_up_window_s=usual.catch_up_window_s if window_s is None else window_s,
        jitter_s=findings.duration("jitter") or usual.jitter_s,
    )


def compose_blackout(findings: Findings, catalogue: Catalogue, zone: tzinfo | None) -> Blackout:
    """When the job does not start by itself: by the calendars of the settings and its own."""
    files = findings.job.calendars(catalogue.settings.blackout, catalogue.settings.file)
    return findings.attempt(lambda: catalogue.calendars.blackout(files, zone or UTC)) or NO_BLACKOUT


def compose_recurrence(
    findings: Findings, zone: tzinfo | None, now: datetime, overrides: Overrides
) -> Recurrence | None:
    """When the job runs again and again; a cron line without a zone is UTC."""
    path = ("job_invocation", "recurrence")
    if not findings.job.has(*path):
        return None
    end_time = _moment(findings, zone, *path, "end_time")
    if end_time is not None and end_time <= now and not overrides.submitted:
        findings.add("`end_time` is in the past: the job would never run", *path, "end_time", rule="time")
    if not findings.job.has(*path, "cron_line"):
        findings.add("a recurrence needs a `cron_line`", *path, hint='such as `cron_line: "0 3 * * *"`')
    text = findings.job.text(*path, "cron_line")
    line = findings.attempt(lambda: read_cron_line(text), *path, "cron_line") if text is not None else None
    if line is None:
        return None
    place = findings.job.place(*path, "cron_line")
    doubts = [*line.warnings, *clock_change_warnings(line, zone or UTC, now)]
    findings.warnings += [replace(doubt, place=place) for doubt in doubts]
    return Recurrence(
        cron_line=line,
        time_zone=str(zone) if zone else "UTC",
        max_iteration=findings.job.number(*path, "max_iteration"),
        end_time=end_time,
        purpose=findings.job.text(*path, "purpose"),
    )


def compose_scheduling(
    findings: Findings, zone: tzinfo | None, now: datetime, overrides: Overrides
) -> Scheduling | None:
    """When the job starts, if not at once; a start asked for now leaves `scheduling` aside."""
    path = ("job_invocation", "scheduling")
    start_at = _moment(findings, zone, *path, "start_at")
    start_before = _moment(findings, zone, *path, "start_before")
    if start_at and start_before and start_before < start_at:
        message = "`start_before` is earlier than `start_at`: the job could never start"
        findings.add(message, *path, "start_before", rule="time")
    if overrides.start_now or not (start_at or start_before):
        return None
    for key, at in (("start_at", start_at), ("start_before", start_before)):
        if at is not None and at < now and not overrides.submitted:
            hint = f"it is {now:%Y-%m-%dT%H:%M:%SZ}"
            findings.add(f"`{key}` is in the past", *path, key, hint=hint, rule="time")
    return Scheduling(start_at=start_at, start_before=start_before)


def _check_first_run(
    findings: Findings, recurrence: Recurrence, scheduling: Scheduling | None, now: datetime
) -> None:
    """Refuse a recurrence that could never run within the bounds it is given."""
    start_at = scheduling.start_at if scheduling else None
    start_before = scheduling.start_before if scheduling else None
    after = (start_at - timedelta(seconds=1)) if start_at else now
    first = next_occurrence(recurrence.cron_line, zone_called(recurrence.time_zone), after)
    said = f"its first run would be at {first:%Y-%m-%dT%H:%M:%SZ}"
    if recurrence.end_time and now < recurrence.end_time <= first:
        path = ("job_invocation", "recurrence", "end_time")
        findings.add("the job would never run before its `end_time`", *path, hint=said, rule="time")
    if start_before and start_before < first:
        path = ("job_invocation", "scheduling", "start_before")
        findings.add("the job would never start before its `start_before`", *path, hint=said, rule="time")


def compose_limits(findings: Findings, overrides: Overrides) -> Limits:
    """How many hosts at once, in which waves, and when to go no further."""
    job = findings.job
    level = overrides.concurrency_level or job.number(
        "job_invocation", "concurrency_control", "concurrency_level"
    )
    delay_s = findings.duration("retry_unreachable", "delay")
    retry = Retry(
        times=job.number("retry_unreachable", "times") or 0, delay_s=30.0 if delay_s is None else delay_s
    )
    stop_after, waves = _amount(job.value("stop_after")), map(_amount, job.items("waves"))
    return Limits(
        concurrency_level=level if level is None or level >= 1 else None,
        stop_after=stop_after,
        waves=tuple(wave for wave in waves if wave is not None),
        wave_pause_s=findings.duration("wave_pause") or 0.0,
        deadline_s=findings.duration("deadline"),
        retry_unreachable=retry,
    )


def _amount(value: object) -> Amount | None:
    """A number of hosts or a percentage; nothing when the schema refused it."""
    if not isinstance(value, int | str):
        return None
    try:
        Limits(stop_after=value)
    except ValueError:
        return None
    return value


def _moment(findings: Findings, zone: tzinfo | None, *path: str | int) -> datetime | None:
    text = findings.job.text(*path)
    return None if text is None else findings.attempt(lambda: parse_moment(text, zone), *path)
