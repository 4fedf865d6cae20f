"""Pushing: which jobs a push starts - a pure decision, by what the jobs did before it and do after it."""

import logging
from collections.abc import Iterable, Sequence

from chargehand.effective import ComposedJob, EffectiveJob, Effects, pair
from chargehand.errors import InvalidError, Problem
from chargehand.job import Job
from chargehand.planner import Planner
from chargehand.render.limits import RenderLimits

_LIMITS = RenderLimits(each_s=0.05)
_log = logging.getLogger(__name__)


def pushed_jobs(
    before: Planner | None, after: Planner, *, branch: str, paths: frozenset[str]
) -> tuple[Job, ...]:
    """The jobs of `after` that a push starts, in the order of its files.

    These are jobs with ``on.push`` whose branch and paths fit, and which do what no job did before; see
    `effective`. What only comes from the clock or from chance starts nothing. A job that was refused before
    counts as new; one that is refused now does not start, which is logged.

    Args:
        before: The project before the push; when there is none, or its inventory, templates or settings are
            refused, nothing is known of what its jobs did, and nothing starts.
        after: The project after the push, with the same inventory programs run or not run.
        branch: The branch that was pushed, as short as git shows it: ``main``.
        paths: The files that the push changed, added or removed, relative to the project.

    Raises:
        InvalidError: With what is wrong with a part of `after` that every job uses; nothing can be told.
    """
    if before is None:
        return ()
    now = after.now()
    with Effects(after, now=now, limits=_LIMITS) as effects:
        wanted = [job for job in effects.jobs if is_meant(job, branch, paths)]
        try:
            with Effects(before, now=now, limits=_LIMITS) as earlier:
                started = _changed(earlier, effects, wanted)
        except InvalidError as error:
            reason = _first(error.problems)
            _log.warning("nothing starts by this push: the files before it are refused: %s", reason)
            return ()
        for problems in effects.refused.values():
            _log.warning("a job that is refused does not start by this push: %s", _first(problems))
        return tuple(each.composed.invocation.job for each in started)


def new_jobs(before: Sequence[EffectiveJob], after: Sequence[EffectiveJob]) -> list[EffectiveJob]:
    """Those of `after` that do what no job of `before` did."""
    return [
        job
        for was, job in pair(before, after)
        if job is not None and (was is None or was.fingerprint != job.fingerprint)
    ]


def is_meant(job: ComposedJob, branch: str, paths: Iterable[str]) -> bool:
    """Whether a job wants to be started by such a push, if it is another one than before."""
    push = job.invocation.push
    return push is not None and push.concerns(branch, paths)


def _changed(before: Effects, after: Effects, wanted: Sequence[ComposedJob]) -> list[EffectiveJob]:
    """Those of the wanted jobs that are new; scripts are only rendered as far as that takes it."""
    alike = after.alike(before)
    by_key = before.by_key()
    suspects = {
        id(job)
        for job in wanted
        if job.key not in alike and not _is_same(before, by_key.get(job.key), after, job)
    }
    if not suspects:
        return []
    return [job for job in new_jobs(before.all(alike), after.all(alike)) if id(job.composed) in suspects]


def _is_same(before: Effects, was: ComposedJob | None, after: Effects, job: ComposedJob) -> bool:
    earlier, now = before.of(was) if was else None, after.of(job)
    return now is None or (earlier is not None and earlier.fingerprint == now.fingerprint)


def _first(problems: Sequence[Problem]) -> str:
    """The first problem without the line it is about."""
    return str(problems[0]).splitlines()[0]
