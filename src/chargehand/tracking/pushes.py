"""Pushes: what a push starts, written down before anything runs; every job of a commit once."""

import json
import uuid
from dataclasses import replace
from datetime import datetime

from chargehand.announcement import announce
from chargehand.compose import Overrides
from chargehand.errors import ChargehandError
from chargehand.job import Job
from chargehand.launch import launch_of, provenance_of
from chargehand.plan import NO_ACCESS
from chargehand.project import Project
from chargehand.provenance import Launch, Provenance, Trigger
from chargehand.pushing import pushed_jobs
from chargehand.report.invocation import InvocationRecord, TargetingRecord

_ONCE = Overrides(once=True)


def claim_pushes(
    before: Project | None, after: Project, *, branch: str, paths: frozenset[str], trigger: Trigger
) -> tuple[int, ...]:
    """Write down what a push starts, for whoever starts what is due; again, it changes nothing.

    Args:
        before: With the files of the commit that was in force; None starts every job that wants such pushes.
        after: With the files of the one that is in force now.
        branch: Its name.
        paths: What differs, relative to the project.
        trigger: What had the push looked for.

    Returns:
        Ids of the invocations that were not there before.

    Raises:
        InvalidError: The files of either are refused.
        StoreError: That cannot be written; what was written stays.
    """
    jobs = (
        _every_one(after, branch)
        if before is None
        else pushed_jobs(before, after, branch=branch, paths=paths)
    )
    claimed = (_claim(job, after, trigger, after.now()) for job in jobs)
    return tuple(number for number in claimed if number is not None)


def _claim(job: Job, project: Project, trigger: Trigger, now: datetime) -> int | None:
    """Write one start down; a job that cannot be composed fails when it is to start, where that is seen."""
    origin = provenance_of(job, project.root, head=project.head, trigger=trigger)
    record, launch = _composed(job, project, origin)
    number = int(job.root[0]) + 1 if job.root else 1
    return project.store.invocations.create(
        replace(record, start_at=now),
        launch,
        None,
        runner_id=None,
        created_at=now,
        idempotent=bool(job.flag("idempotent")),
        push_key=f"{origin.commit} {origin.playbook}#{job.text('name') or number}",
    )


def _every_one(project: Project, branch: str) -> tuple[Job, ...]:
    """Every job that a push to a branch may start."""
    found = []
    for job in project.jobs:
        push = project.compose(job, _ONCE).push
        if push and replace(push, paths=None).concerns(branch, ()):
            found.append(job)
    return tuple(found)


def _composed(job: Job, project: Project, origin: Provenance) -> tuple[InvocationRecord, Launch]:
    try:
        invocation = project.compose(job, _ONCE)
        declared = project.templates.inputs_of(invocation.template)
    except ChargehandError:  # it is told, and written down, when it is to run
        name = job.label
        targeting = TargetingRecord(id=0, search_query=None, targeting_type="dynamic_query")
        record = InvocationRecord(
            id=0,
            description=name,
            job_category="",
            task_id=str(uuid.uuid4()),
            state="scheduled",
            targeting=targeting,
            provenance=origin,
        )
        return record, Launch(job=json.dumps({"name": name}))
    launch = launch_of(invocation, overrides=_ONCE, access=NO_ACCESS, root=project.root)
    return announce(invocation, declared, provenance=origin), launch
