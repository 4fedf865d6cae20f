"""Validation: what `validate` found in job files, checked as far as that is possible offline."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from chargehand import schema
from chargehand.compose import HOST_RULE, NO_OVERRIDES, Catalogue, Overrides, compose, in_order
from chargehand.document import load
from chargehand.errors import InvalidError, Problem
from chargehand.frozen import frozen
from chargehand.inventory import PROGRAM_RULE
from chargehand.invocation import JobInvocation
from chargehand.job import Job, read_jobs
from chargehand.rehearsal import REHEARSAL_S, rehearse
from chargehand.render.limits import PREVIEW_LIMITS
from chargehand.render.renderer import Renderer

_MOST_PROBLEMS = 200  # looking for near names takes its time, and nobody reads more
_HOST_RULES = (HOST_RULE, "location", "organization")


@frozen
class Validation:
    """What was found in job files.

    Attributes:
        files: The files that were read.
        jobs: The jobs they hold.
        rendered: How many scripts were rendered.
        invocations: Of the jobs that may run.
        problems: Errors and warnings, by file and line.
    """

    files: tuple[str, ...]
    jobs: tuple[Job, ...] = ()
    rendered: int = 0
    invocations: tuple[JobInvocation, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every job may run; warnings do not count."""
        return all(problem.severity != "error" for problem in self.problems)


def read_files(files: Iterable[Path | str]) -> tuple[tuple[Job, ...], list[Problem]]:
    """The jobs of some files, in order, and everything that is wrong with the text or the shape of any."""
    jobs: list[Job] = []
    problems: list[Problem] = []
    for file in files:
        try:
            document = load(file)
        except InvalidError as error:
            problems += error.problems
            continue
        problems += schema.check(document)
        jobs += read_jobs(document)
    return tuple(jobs), problems


def compose_files(
    files: Iterable[Path | str],
    load_catalogue: Callable[[], Catalogue],
    *,
    now: datetime,
    overrides: Overrides = NO_OVERRIDES,
) -> tuple[JobInvocation, ...]:
    """The invocations of every job of some files, in order.

    Raises:
        InvalidError: With everything that is wrong with any job, file or thing they refer to.
    """
    jobs, problems = read_files(files)
    try:
        invocations, found = compose_all(jobs, load_catalogue(), now=now, overrides=overrides)
    except InvalidError as error:
        invocations, found = [], list(error.problems)
    if problems or found:
        raise InvalidError(in_order([*problems, *found]))
    return tuple(invocations)


def validate_files(
    files: Sequence[Path | str],
    load_catalogue: Callable[[], Catalogue],
    *,
    now: datetime,
    doubts: Iterable[Problem] = (),
    every_host: bool = False,
    overrides: Overrides = NO_OVERRIDES,
) -> Validation:
    """Check the jobs of some files as far as that is possible offline, every script included.

    Hosts that an inventory program would have named are nobody's mistake: what depends on them is
    a warning.
    """
    jobs, problems = read_files(files)
    problems += doubts
    rendered, invocations = 0, list[JobInvocation]()
    try:
        catalogue = load_catalogue()
        invocations, found = compose_all(jobs, catalogue, now=now, overrides=overrides)
        if any(warning.rule == PROGRAM_RULE for warning in catalogue.inventory.warnings):
            found = list(map(_without_programs, found))
        problems += [*found, *catalogue.warnings]
        hosts = catalogue.inventory
        with Renderer(catalogue.templates, hosts.hosts, hosts.groups, PREVIEW_LIMITS) as renderer:
            within_s = math.inf if every_host else REHEARSAL_S
            rendered, found = rehearse(invocations, catalogue, renderer, now=now, within_s=within_s)
        problems += found
    except InvalidError as error:
        problems += error.problems
    return Validation(
        files=tuple(map(str, files)),
        jobs=jobs,
        rendered=rendered,
        invocations=tuple(invocations),
        problems=in_order(problems),
    )


def compose_all(
    jobs: Iterable[Job], catalogue: Catalogue, *, now: datetime, overrides: Overrides = NO_OVERRIDES
) -> tuple[list[JobInvocation], list[Problem]]:
    """The invocations of the jobs that can be composed, and everything that is wrong with the others."""
    invocations: list[JobInvocation] = []
    problems: list[Problem] = []
    for job in jobs:
        if len(problems) >= _MOST_PROBLEMS:
            problems.append(job.problem("this job and those after it were not looked at: too many problems"))
            break
        try:
            invocations.append(compose(job, catalogue, now=now, overrides=overrides))
        except InvalidError as error:
            problems += error.problems
    return invocations, problems


def _without_programs(problem: Problem) -> Problem:
    """A problem that may only come from the hosts that no inventory program was asked for."""
    if problem.rule not in _HOST_RULES:
        return problem
    message = f"{problem.message}, unless an inventory program that was not run knows it"
    return replace(problem, message=message, severity="warning")
