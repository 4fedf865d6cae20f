"""Identity: what makes a job with a time of its own the same one when its file changes."""

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Final

from chargehand.errors import Problem
from chargehand.invocation import JobInvocation
from chargehand.job import Job

_PURPOSE: Final = ("job_invocation", "recurrence", "purpose")


def find_clashes(invocations: Iterable[JobInvocation], root: Path) -> list[Problem]:
    """Jobs with a time of their own that cannot be told apart, though each is fine by itself."""
    seen: dict[str, Job] = {}
    problems = []
    for each in (each for each in invocations if each.recurrence or each.scheduling):
        key = key_of(Path(each.job.document.file).relative_to(root).as_posix(), each)
        if key in seen:
            problems.append(name_twice(each.job, seen[key]))
        seen.setdefault(key, each.job)
    return problems


def key_of(playbook: str, invocation: JobInvocation) -> str:
    """What makes a recurrence, or a job with a time of its own, the same when its file changes."""
    job, recurrence, scheduling = invocation.job, invocation.recurrence, invocation.scheduling
    if recurrence and recurrence.purpose:
        return f"purpose:{recurrence.purpose}"
    number = int(job.root[0]) + 1 if job.root else 1
    key = f"{playbook}#{job.text('name') or number}"
    moment = (scheduling.start_at or scheduling.start_before) if scheduling else None
    return key if recurrence or moment is None else f"{key}@{moment.astimezone(UTC).isoformat()}"


def name_twice(job: Job, first: Job) -> Problem:
    """Two jobs that cannot be told apart."""
    purpose = job.text(*_PURPOSE)
    if purpose:
        message = f"the purpose `{purpose}` is that of another job already, {first.place(*_PURPOSE)}"
        return job.problem(message, *_PURPOSE, hint="every recurrence has a purpose of its own")
    message = f"another job of this file, {first.place()}, is called `{job.text('name')}` as well"
    return job.problem(message, "name", hint="give one of them another name")
