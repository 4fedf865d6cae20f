"""Validation: what `validate` found in job files, checked as far as that is possible offline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from random import Random

from chargehand import schema
from chargehand.compose import NO_OVERRIDES, Catalogue, Overrides, compose
from chargehand.document import load
from chargehand.errors import ChargehandError, InvalidError, NoHostMatchedError, Problem, Severity
from chargehand.hostset import fold
from chargehand.invocation import JobInvocation
from chargehand.job import Job, read_jobs
from chargehand.plan import EVERY_HOST, choose_hosts, make_plan
from chargehand.render.lint import lint
from chargehand.render.renderer import Renderer

_ANY_ORDER = Random(0)  # noqa: S311 - whoever is rendered first does not matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was found in job files.

    Attributes:
        files: The files that were read.
        jobs: How many jobs they hold.
        rendered: How many scripts were rendered.
        problems: Errors and warnings, by file and line.
    """

    files: tuple[str, ...]
    jobs: int = 0
    rendered: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every job may run; warnings do not count."""
        return all(problem.severity != "error" for problem in self.problems)


def read_files(files: Iterable[Path | str]) -> tuple[tuple[Job, ...], list[Problem]]:
    """The jobs of some files, in order, and everything that is wrong with the shape of any."""
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


def compose_all(
    jobs: Iterable[Job], catalogue: Catalogue, *, now: datetime, overrides: Overrides = NO_OVERRIDES
) -> tuple[list[JobInvocation], list[Problem]]:
    """The invocations of the jobs that can be composed, and everything that is wrong with the others."""
    invocations: list[JobInvocation] = []
    problems: list[Problem] = []
    for job in jobs:
        try:
            invocations.append(compose(job, catalogue, now=now, overrides=overrides))
        except InvalidError as error:
            problems += error.problems
    return invocations, problems


def rehearse(
    invocations: Sequence[JobInvocation], catalogue: Catalogue, renderer: Renderer, *, now: datetime
) -> tuple[int, list[Problem]]:
    """Render every host of every invocation; how many scripts came out, and what is wrong with the others."""
    rendered = 0
    problems: list[Problem] = []
    for template in {each.template.file: each.template for each in invocations}.values():
        problems += lint(template, catalogue.templates)
    for invocation in invocations:
        problems += invocation.warnings
        try:
            hosts = choose_hosts(invocation, catalogue.inventory, EVERY_HOST, now=now, shuffle=_ANY_ORDER)
            plan = make_plan(invocation, hosts, catalogue.inventory, renderer, catalogue.settings)
        except InvalidError as error:
            problems += error.problems
            continue
        except ChargehandError as error:
            problems.append(_doubt(invocation, error))
            continue
        problems += plan.warnings
        rendered += sum(share.script is not None for share in plan.template_invocations)
        for problem, names in plan.troubles.items():
            where = f" ({fold(names)})" if len(names) < len(hosts) else " (every host)"
            problems.append(replace(problem, message=problem.message + where))
    return rendered, problems


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by file and line, as far as they have one."""

    def position(problem: Problem) -> tuple[str, int, int]:
        place = problem.place
        return (place.file, place.line or 0, place.column or 0) if place else ("", 0, 0)

    return tuple(sorted(dict.fromkeys(problems), key=position))


def _doubt(invocation: JobInvocation, error: ChargehandError) -> Problem:
    """A job that would end before it reaches a host: matching nobody may be meant, too many never is."""
    severity: Severity = "warning" if isinstance(error, NoHostMatchedError) else "error"
    return Problem(str(error), invocation.job.place("job_invocation"), rule="targeting", severity=severity)
