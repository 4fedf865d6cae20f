"""Pushing: which jobs a push starts."""

from chargehand.job import Job
from chargehand.pathpattern import fits
from chargehand.project import Project


def pushed_jobs(
    before: Project | None,  # noqa: ARG001 - whoever compares what jobs do needs it
    after: Project,
    *,
    branch: str,
    paths: frozenset[str],
) -> tuple[Job, ...]:
    """The jobs that start when a branch moves from one commit to another.

    Args:
        before: With the files of the commit that was in force; None when there was none.
        after: With the files of the one that is in force now.
        branch: Its name.
        paths: What differs between the two, relative to the project.

    Raises:
        InvalidError: The files of either are refused.
    """
    return tuple(job for job in after.jobs if _is_meant(job, branch, paths))


def _is_meant(job: Job, branch: str, paths: frozenset[str]) -> bool:
    """Whether a job has a trigger ``on: {push: ...}`` that such a push sets off."""
    if not isinstance(job.value("on", "push"), dict):
        return False
    branches, patterns = _texts(job, "branches"), _texts(job, "paths")
    return (not branches or any(fits(branch, each) for each in branches)) and (
        not patterns or any(fits(path, each) for path in paths for each in patterns)
    )


def _texts(job: Job, key: str) -> list[str]:
    return [each for each in job.items("on", "push", key) if isinstance(each, str)]
