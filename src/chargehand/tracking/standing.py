"""Standing: whether what is in force is the newest, and how its jobs do; asks nobody."""

from chargehand.errors import InvalidError, UsageError
from chargehand.git.command import GitError
from chargehand.git.mirror import Mirror
from chargehand.job import Job
from chargehand.project import Project
from chargehand.recurring.logic import RecurringLogic
from chargehand.remote import Remote
from chargehand.report.history import status_words
from chargehand.report.standing import Health, JobStanding, Standing, Sync, worst
from chargehand.store import Revision


def standing_of(project: Project) -> Standing:
    """How the tracked repository does, by what the last look found and by the history.

    Raises:
        UsageError: No repository is tracked.
        StoreError: The store cannot be read.
    """
    remote = project.settings.git
    if remote is None:
        raise UsageError("no repository is tracked here: set `url` in the table [git] of chargehand.toml")
    revision = project.store.revisions.find(remote.name)
    changed = _changed(project, remote, revision)
    logics = {(each.playbook, each.job_number): each for each in project.store.logics.all()}
    jobs = tuple(_standing(project, remote, job, changed, _sync(revision), logics) for job in _jobs(project))
    return Standing(
        name=remote.name,
        sync=_sync(revision),
        health="suspended" if remote.suspended else worst([each.health for each in jobs]),
        commit=revision.commit,
        signer=revision.signer,
        taken_at=revision.taken_at,
        tried_commit=revision.tried_commit,
        tried_at=revision.tried_at,
        reached_at=revision.reached_at,
        code=revision.code,
        reason=revision.reason,
        jobs=jobs,
    )


def _sync(revision: Revision) -> Sync:
    if revision.code == "unreachable" or revision.tried_commit is None:
        return "unknown"
    return "synced" if revision.synced and not revision.code else "out_of_sync"


def _jobs(project: Project) -> tuple[Job, ...]:
    """The jobs in force; none of files that are not understood, which the scheduler tells."""
    if project.head is None:
        return ()
    try:
        return project.jobs
    except InvalidError:
        return ()


def _changed(project: Project, remote: Remote, revision: Revision) -> frozenset[str]:
    """The files, relative to the project, that the newest commit has otherwise; none if that is not known."""
    commit, tried = revision.commit, revision.tried_commit
    mirror = Mirror(project.trees.mirror)
    if commit is None or tried is None or commit == tried:
        return frozenset()
    try:
        paths = mirror.changed(commit, tried) if mirror.has(commit) and mirror.has(tried) else frozenset()
    except GitError:
        return frozenset()
    below = f"{remote.path}/" if remote.path else ""
    return frozenset(path.removeprefix(below) for path in paths if path.startswith(below))


def _standing(
    project: Project,
    remote: Remote,
    job: Job,
    changed: frozenset[str],
    sync: Sync,
    logics: dict[tuple[str, int], RecurringLogic],
) -> JobStanding:
    playbook = project.playbook_of(job)
    number, name = int(job.root[0]) if job.root else 0, job.text("name") or ""
    last = project.store.history.last_of(playbook, number, name)
    logic = logics.get((playbook, number))
    health: Health = "healthy"
    note = ""
    if last is not None and last.state == "stopped" and last.status == 1:
        health, note = "degraded", last.reason or "its last run failed"
    if logic is not None and logic.state == "active" and logic.reason:
        health, note = "degraded", logic.reason
    if remote.suspended or (logic is not None and logic.state in ("disabled", "cancelled")):
        health, note = "suspended", logic.reason if logic and logic.reason else "suspended"
    return JobStanding(
        playbook=playbook,
        number=number,
        name=name,
        sync="synced" if sync == "out_of_sync" and playbook not in changed else sync,
        health=health,
        note=note,
        last_id=None if last is None else last.id,
        last_status=None if last is None else status_words(last),
        last_at=None if last is None else last.start_at,
    )
