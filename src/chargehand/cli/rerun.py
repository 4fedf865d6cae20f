"""``chargehand rerun``."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC

from chargehand.cli import screen
from chargehand.cli.opening import open_project
from chargehand.cli.overrides import ask, override
from chargehand.cli.planned import show_plans
from chargehand.cli.remembered import Remembered
from chargehand.cli.requests.again import RerunRequest
from chargehand.cli.run import access_asked, check_effective_user
from chargehand.cli.telling import Telling
from chargehand.project import Project
from chargehand.rerun import OUTCOMES, Repetition, Wish


def rerun(request: RerunRequest) -> int:
    """Run an invocation again, on exactly the hosts that are asked for."""
    with closing(open_project(request)) as project:
        number = Remembered(history=project.store.history, source=project.store.source, zone=UTC).find_id(
            request.id
        )
        wish = Wish(
            parts=frozenset(part for part in OUTCOMES if getattr(request, part)),
            recorded=request.recorded,
            skip_missing=request.skip_missing,
            overrides=override(request.inputs, user=request.user, forks=request.forks),
            access=access_asked(request, None),
        )
        with project.repeat(number, wish) as (repeated, again):
            for note in again.notes:
                screen.note(note)
            return _run(repeated, again, request)


def _run(project: Project, again: Repetition, request: RerunRequest) -> int:
    invocation, access = again.invocation, again.access
    if request.check:
        show_plans(project, [project.plan(invocation, selection=again.selection, access=access)], "text")
        return 0
    hosts = project.choose_hosts(invocation, again.selection)
    if request.list_hosts:
        for host in hosts:
            screen.say(host.name)
        return 0
    check_effective_user(invocation, access)
    telling = Telling(request, None)
    telling.warn(project.catalogue.warnings)
    plan = project.prepare(invocation, hosts, access=access, prompt=ask)
    telling.warn((*invocation.warnings, *plan.warnings))
    plan = replace(plan, missing=len(again.missing))
    return telling.close(telling.run(project, plan, again.launch(project), again.provenance))
