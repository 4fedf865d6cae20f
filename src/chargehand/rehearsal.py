"""Rehearsal: the script of every host of every job rendered, as far as the time for it goes."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from random import Random

from chargehand.compose import Catalogue
from chargehand.errors import ChargehandError, InvalidError, NoHostMatchedError, Problem, Severity
from chargehand.host import Host
from chargehand.hostset import fold
from chargehand.invocation import JobInvocation
from chargehand.plan import EVERY_HOST, choose_hosts, make_plan
from chargehand.render.lint import lint
from chargehand.render.renderer import Renderer

REHEARSAL_S = 5.0
"""For all jobs together, so that an inventory of a line or two cannot keep `validate` busy for hours."""

_FIRST_BATCH = 16
_ANY_ORDER = Random(0)  # noqa: S311 - whoever is rendered first does not matter


def rehearse(
    invocations: Sequence[JobInvocation],
    catalogue: Catalogue,
    renderer: Renderer,
    *,
    now: datetime,
    within_s: float = REHEARSAL_S,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[int, list[Problem]]:
    """Render the hosts of every invocation; how many scripts came out, and what is wrong with the others.

    Every job has an equal part of the time that is left; a job whose hosts could not all be rendered in
    its part is a warning.
    """
    ends = clock() + within_s
    rendered = 0
    problems: list[Problem] = []
    for template in dict.fromkeys(each.template for each in invocations):
        problems += lint(template, catalogue.templates)
    for number, invocation in enumerate(invocations):
        began = clock()
        if began >= ends:
            problems.append(_unseen(invocation, "this job and those after it were not rendered"))
            break
        over = began + (ends - began) / (len(invocations) - number)  # for ever, if `ends` is
        rehearsal = _Rehearsal(invocation, catalogue, renderer, partial(_is_past, clock, over))
        rehearsal.run(now)
        rendered += rehearsal.rendered
        problems += [*invocation.warnings, *rehearsal.problems()]
    return rendered, problems


class _Rehearsal:
    """The rehearsal of one job, until its time is over."""

    def __init__(
        self, invocation: JobInvocation, catalogue: Catalogue, renderer: Renderer, is_over: Callable[[], bool]
    ) -> None:
        self.rendered = 0
        self._invocation = invocation
        self._catalogue = catalogue
        self._renderer = renderer
        self._is_over = is_over
        self._problems: dict[Problem, None] = {}
        self._troubles: dict[Problem, list[str]] = {}
        self._tried = 0

    def run(self, now: datetime) -> None:
        """Choose the hosts and render them."""
        try:
            self._render(self._choose(now))
        except InvalidError as error:
            self._problems |= dict.fromkeys(error.problems)
        except ChargehandError as error:
            self._problems[_doubt(self._invocation, error)] = None

    def _choose(self, now: datetime) -> Sequence[Host]:
        inventory = self._catalogue.inventory
        looked_at = 0

        def candidates() -> Iterator[Host]:
            nonlocal looked_at
            for host in inventory:
                if self._is_over():
                    return
                looked_at += 1
                yield host

        try:
            return choose_hosts(
                self._invocation,
                inventory,
                EVERY_HOST,
                now=now,
                shuffle=_ANY_ORDER,
                candidates=candidates(),
            )
        except NoHostMatchedError:
            if looked_at == len(inventory):
                raise
            return ()
        finally:
            if looked_at < len(inventory):
                self._leave_out(f"only {looked_at} of {len(inventory)} hosts of the inventory were looked at")

    def _render(self, hosts: Sequence[Host]) -> None:
        inventory, settings = self._catalogue.inventory, self._catalogue.settings
        for batch in _batches(hosts):
            plan = make_plan(self._invocation, batch, inventory, self._renderer, settings)
            self._problems |= dict.fromkeys(plan.warnings)
            self.rendered += sum(share.script is not None for share in plan.template_invocations)
            self._tried += len(batch)
            for problem, names in plan.troubles.items():
                self._troubles.setdefault(problem, []).extend(names)
            if self._tried < len(hosts) and self._is_over():
                self._leave_out(f"only {self._tried} of {len(hosts)} hosts were rendered")
                break

    def _leave_out(self, message: str) -> None:
        self._problems[_unseen(self._invocation, message)] = None

    def problems(self) -> list[Problem]:
        """What was found, each problem with the hosts it concerns."""
        found = list(self._problems)
        for problem, names in self._troubles.items():
            where = f" ({fold(names)})" if len(names) < self._tried else " (every host)"
            found.append(replace(problem, message=problem.message + where))
        return found


def _batches(hosts: Sequence[Host]) -> Iterator[Sequence[Host]]:
    """Ever larger parts of the hosts, so that a look at the clock comes soon and costs little."""
    start, size = 0, _FIRST_BATCH
    while start < len(hosts):
        yield hosts[start : start + size]
        start, size = start + size, min(size * 2, 1024)


def _is_past(clock: Callable[[], float], moment: float) -> bool:
    return clock() >= moment


def _unseen(invocation: JobInvocation, message: str) -> Problem:
    hint = "`chargehand validate --every-host` takes the time it takes"
    text = f"{message}: the time of validation is over"
    return Problem(text, invocation.job.place(), hint, rule="render-limit", severity="warning")


def _doubt(invocation: JobInvocation, error: ChargehandError) -> Problem:
    """A job that would end before it reaches a host: matching nobody may be meant, too many never is."""
    severity: Severity = "warning" if isinstance(error, NoHostMatchedError) else "error"
    return Problem(str(error), invocation.job.place("job_invocation"), rule="targeting", severity=severity)
