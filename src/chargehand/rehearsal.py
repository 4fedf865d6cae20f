"""Rehearsal: the script of every host of every job rendered, as far as the time for it goes.

Hosts that a template cannot tell apart share one rendering, and count as rendered each.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Final

from chargehand.compose import Catalogue
from chargehand.credentials import Login
from chargehand.errors import (
    ChargehandError,
    InvalidError,
    InventoryError,
    NoHostMatchedError,
    Problem,
    Severity,
)
from chargehand.host import Host
from chargehand.hostset import fold
from chargehand.invocation import JobInvocation
from chargehand.plan import check_allowed, check_matched, connection_defaults, input_values
from chargehand.render.renderer import Renderer
from chargehand.targeting import Targeting, by_name, matcher

REHEARSAL_S = 5.0
"""For all jobs together, so that an inventory of a line or two cannot keep `validate` busy for hours."""

_FIRST_BATCH: Final = 16
_MOST_REMEMBERED: Final = 1_000_000


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
    fleet = _Fleet(catalogue, now)
    ends = clock() + within_s
    rendered = 0
    problems: list[Problem] = []
    for template in dict.fromkeys(each.template for each in invocations):
        problems += import_module("chargehand.render.lint").lint(template, catalogue.templates)  # takes Jinja
    for number, invocation in enumerate(invocations):
        began = clock()
        if began >= ends:
            problems.append(_unseen(invocation, "this job and those after it were not rendered"))
            break
        over = began + (ends - began) / (len(invocations) - number)  # for ever, if `ends` is
        rehearsal = _Rehearsal(invocation, fleet, renderer, partial(_is_past, clock, over))
        rehearsal.run()
        rendered += rehearsal.rendered
        problems += [*invocation.warnings, *rehearsal.problems()]
    return rendered, problems


class _Fleet:
    """What was found out about the hosts for one job, and holds for the next ones too."""

    def __init__(self, catalogue: Catalogue, now: datetime) -> None:
        self.size = len(catalogue.inventory)
        self._inventory = catalogue.inventory
        self._reached = catalogue.inventory.connections(
            connection_defaults(catalogue.settings, Login()),
            allow_proxy_command=catalogue.settings.proxy_command == "allow",
        )
        self._now = now
        self._chosen: dict[object, tuple[Host, ...]] = {}
        self._remembered = 0
        self._connections: dict[str, tuple[Problem, ...]] = {}

    def choose(self, targeting: Targeting, is_over: Callable[[], bool]) -> tuple[tuple[Host, ...], int]:
        """The hosts of a targeting, and how many were looked at until the time was over."""
        asked = targeting.search_query, targeting.within, targeting.time_zone
        if asked in self._chosen:
            return self._chosen[asked], self.size
        matches = matcher(targeting, now=self._now)
        looked_at, found = 0, []
        for host in self._inventory:
            if is_over():
                break
            looked_at += 1
            if matches(host):
                found.append(host)
        hosts = by_name(found)
        if looked_at == self.size and self._remembered + len(hosts) <= _MOST_REMEMBERED:
            self._chosen[asked] = hosts
            self._remembered += len(hosts)
        return hosts, looked_at

    def check_connections(self, hosts: Sequence[Host]) -> dict[Problem, None]:
        """What is doubtful about how hosts are reached.

        Raises:
            InventoryError: With every connection variable that is not understood.
        """
        warnings: dict[Problem, None] = {}
        problems: dict[Problem, None] = {}
        for host in hosts:
            if host.name not in self._connections:
                self._connections[host.name] = self._check_connection(host)
            found = self._connections[host.name]
            refused = any(problem.severity == "error" for problem in found)
            (problems if refused else warnings).update(dict.fromkeys(found))
        if problems:
            raise InventoryError([*problems])
        return warnings

    def _check_connection(self, host: Host) -> tuple[Problem, ...]:
        try:
            return self._reached.of(host).warnings
        except InventoryError as error:
            return error.problems


class _Rehearsal:
    """The rehearsal of one job, until its time is over."""

    def __init__(
        self, invocation: JobInvocation, fleet: _Fleet, renderer: Renderer, is_over: Callable[[], bool]
    ) -> None:
        self.rendered = 0
        self._invocation = invocation
        self._values = input_values(invocation)
        self._fleet = fleet
        self._renderer = renderer
        self._is_over = is_over
        self._problems: dict[Problem, None] = {}
        self._troubles: dict[Problem, list[str]] = {}
        self._tried = 0

    def run(self) -> None:
        """Choose the hosts and render them."""
        try:
            self._render_all(self._choose())
        except InvalidError as error:
            self._problems |= dict.fromkeys(error.problems)
        except ChargehandError as error:
            self._problems[_doubt(self._invocation, error)] = None

    def _choose(self) -> Sequence[Host]:
        hosts, looked_at = self._fleet.choose(self._invocation.targeting, self._is_over)
        if looked_at < self._fleet.size:
            self._leave_out(f"only {looked_at} of {self._fleet.size} hosts of the inventory were looked at")
        else:
            check_matched(self._invocation, hosts)
        check_allowed(self._invocation, hosts)
        return hosts

    def _render_all(self, hosts: Sequence[Host]) -> None:
        """Render one of all hosts that are alike, and when that fails every one of them."""
        known: dict[object, bool] = {}
        for batch in _batches(hosts):
            self._problems |= self._fleet.check_connections(batch)
            kinds = self._renderer.kinds(self._invocation.template, batch)
            leaders = {kind: host for kind, host in zip(kinds, batch, strict=True) if kind not in known}
            known |= zip(leaders, self._render(list(leaders.values())), strict=True)
            followers = [
                (kind, host) for kind, host in zip(kinds, batch, strict=True) if leaders.get(kind) is not host
            ]
            self._render([host for kind, host in followers if not known[kind]])
            self.rendered += sum(known[kind] for kind, _ in followers)
            self._tried += len(batch)
            if self._tried < len(hosts) and self._is_over():
                self._leave_out(f"only {self._tried} of {len(hosts)} hosts were rendered")
                break

    def _render(self, hosts: Sequence[Host]) -> list[bool]:
        """Render some hosts; whether a script came out for each."""
        results = self._renderer.render_all(self._invocation.template, self._values, hosts, preview=True)
        for host, result in zip(hosts, results, strict=True):
            if isinstance(result, Problem):
                self._troubles.setdefault(result, []).append(host.name)
            else:
                self.rendered += 1
        return [not isinstance(result, Problem) for result in results]

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
