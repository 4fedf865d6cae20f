"""Standing: whether a tracked branch is in force, and how its jobs do, for people and as JSON."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal

from chargehand.frozen import frozen
from chargehand.report.escape import escape_line

Sync = Literal["synced", "out_of_sync", "unknown"]
Health = Literal["healthy", "degraded", "suspended"]
HEADS: Final = ("SYNC", "HEALTH", "LAST RUN", "JOB", "NOTE")


@frozen
class JobStanding:
    """How one job does.

    Attributes:
        playbook: Its file.
        number: Which job of the file, from 0.
        name: What it is called; else empty.
        sync: Whether its file is that of the newest commit that was seen.
        health: By its last run, and by whether it is paused.
        note: Why.
        last_id: Of its last invocation; None when it never ran.
        last_status: How that ended, or that it goes on.
        last_at: When that started.
    """

    playbook: str
    number: int
    name: str
    sync: Sync
    health: Health
    note: str = ""
    last_id: int | None = None
    last_status: str | None = None
    last_at: datetime | None = None


@frozen
class Standing:
    """How a tracked repository does.

    Attributes:
        name: Of the repository.
        sync: Whether its newest commit is in force.
        health: The worst of its jobs.
        commit: That is in force.
        signer: Who signed it.
        taken_at: Since when.
        tried_commit: The newest that was seen.
        tried_at: When somebody looked last.
        reached_at: When it answered last.
        code: Why the last look took nothing over; else empty.
        reason: The same in one line.
        jobs: In the order of their files.
    """

    name: str
    sync: Sync
    health: Health
    commit: str | None
    signer: str | None
    taken_at: datetime | None
    tried_commit: str | None
    tried_at: datetime | None
    reached_at: datetime | None
    code: str
    reason: str
    jobs: tuple[JobStanding, ...]

    @property
    def ok(self) -> bool:
        """Whether all is in sync, and nothing is degraded."""
        return self.sync == "synced" and self.health != "degraded"


def worst(healths: Sequence[Health]) -> Health:
    """The health of several jobs together."""
    return next((each for each in ("degraded", "suspended") if each in healths), "healthy")


def document(standing: Standing) -> dict[str, object]:
    """The standing as plain data."""
    return {
        "repository": standing.name,
        "sync": standing.sync,
        "health": standing.health,
        "commit": standing.commit,
        "signer": standing.signer,
        "taken_at": _stamp(standing.taken_at),
        "tried_commit": standing.tried_commit,
        "tried_at": _stamp(standing.tried_at),
        "reached_at": _stamp(standing.reached_at),
        "code": standing.code,
        "reason": standing.reason,
        "jobs": [_job(each) for each in standing.jobs],
    }


def lines(standing: Standing, zone: tzinfo) -> Iterator[str]:
    """What is told of the repository itself."""
    yield f"repository  {escape_line(standing.name)}"
    yield f"status      {standing.sync.replace('_', ' ')}, {standing.health}"
    if standing.commit:
        signed = f", signed by {escape_line(standing.signer)}" if standing.signer else ""
        yield f"in force    {standing.commit}{signed}, since {_local(standing.taken_at, zone)}"
    else:
        yield "in force    no commit yet"
    if standing.tried_commit and standing.tried_commit != standing.commit:
        yield f"refused     {standing.tried_commit}, {_local(standing.tried_at, zone)}"
    if standing.reason:
        yield f"reason      {standing.code}: {escape_line(standing.reason)}"
    yield f"looked      {_local(standing.tried_at, zone)}"


def row(job: JobStanding, zone: tzinfo) -> tuple[str, ...]:
    """A line of the table under `HEADS`."""
    last = "never" if job.last_id is None else f"{job.last_id} {job.last_status}, {_local(job.last_at, zone)}"
    return (
        job.sync.replace("_", " "),
        job.health,
        last,
        job.name or f"{job.playbook}#{job.number + 1}",
        job.note,
    )


def _job(job: JobStanding) -> dict[str, object]:
    last = {"id": job.last_id, "status_label": job.last_status, "start_at": _stamp(job.last_at)}
    return {
        "playbook": job.playbook,
        "job_number": job.number,
        "job_name": job.name,
        "sync": job.sync,
        "health": job.health,
        "note": job.note,
        "last_run": None if job.last_id is None else last,
    }


def _local(moment: datetime | None, zone: tzinfo) -> str:
    if moment is None:
        return "never"
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
