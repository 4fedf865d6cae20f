"""Plans of the command line: made from files, and shown as text or as JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from chargehand.cli import screen
from chargehand.cli.overrides import override
from chargehand.cli.requests.shared import SelectionRequest
from chargehand.hostset import fold
from chargehand.invocation import JobInvocation
from chargehand.plan import Plan, Selection
from chargehand.planner import Planner
from chargehand.share import TemplateInvocation

_NEXT_RUNS = 5


def make_plans(project: Planner, files: tuple[str, ...], request: SelectionRequest) -> list[Plan]:
    """The plan of every job of some files, with what the command line says about hosts and inputs."""
    selection = Selection(limit=request.limit, exclude=request.exclude)
    overrides = override(request.inputs)
    return [project.plan(each, selection=selection) for each in project.compose_files(files, overrides)]


def show_plans(project: Planner, plans: list[Plan], output: str) -> None:
    """Plans on stdout, as text or as one JSON list; what is doubtful about them on stderr."""
    now = datetime.now(UTC)
    warnings = [warning for each in plans for warning in (*each.invocation.warnings, *each.warnings)]
    for warning in dict.fromkeys((*project.catalogue.warnings, *warnings)):
        screen.note_problem(warning)
    if output == "json":
        screen.say_json([_document(project, each, now) for each in plans])
    else:
        screen.say("\n\n".join("\n".join(_lines(project, each, now)) for each in plans))


def _lines(project: Planner, plan: Plan, now: datetime) -> Iterator[str]:
    """A plan for people: what counts first, then every script under the hosts that run it."""
    facts = [(name.replace("_", " "), _words(value)) for name, value in _facts(project, plan, now).items()]
    width = max(len(name) for name, _ in facts)
    yield plan.invocation.description
    yield from (f"  {name:<{width}}  {value}" for name, value in facts if value)
    for hosts, share in _groups(plan):
        yield f"\n{fold(hosts)}:"
        if share.script is not None:
            text = share.script.content.decode("utf-8", "backslashreplace").removesuffix("\n")
            yield from (f"  | {line}" for line in text.split("\n"))
        elif share.trouble is not None:
            yield f"  not started: {share.trouble.reason}"


def _facts(project: Planner, plan: Plan, now: datetime) -> dict[str, object]:
    """The effective settings of a plan, by the words of the job file."""
    invocation, limits = plan.invocation, plan.invocation.limits
    return {
        "name": invocation.job.label,
        "job_template": invocation.template.name,
        "feature": invocation.feature,
        "inputs": {**invocation.inputs, **dict.fromkeys(invocation.secrets.inputs, "***")},
        "targeting_type": invocation.targeting.targeting_type,
        "search_query": invocation.targeting.search_query,
        "randomized_ordering": invocation.targeting.randomized_ordering,
        "location": invocation.targeting.within.location,
        "organization": invocation.targeting.within.organization,
        "total": len(plan.hosts),
        "hosts": [host.name for host in plan.hosts],
        "concurrency_level": limits.concurrency_level or project.settings.concurrency_level,
        "waves": list(limits.waves),
        "stop_after": limits.stop_after,
        "deadline": limits.deadline_s,
        "ssh_user": sorted({share.settings.user or "" for share in plan.template_invocations} - {""}),
        "effective_user": sorted(_effective_users(plan)),
        "execution_timeout_interval": invocation.execution_timeout_interval
        or project.settings.execution_timeout_interval,
        "start_at": _stamp(invocation.scheduling.start_at) if invocation.scheduling else None,
        "start_before": _stamp(invocation.scheduling.start_before) if invocation.scheduling else None,
        "cron_line": invocation.recurrence.cron_line.text if invocation.recurrence else None,
        "next_runs": list(next_runs(invocation, now)),
    }


def _effective_users(plan: Plan) -> set[str]:
    return {
        share.script.become.user
        for share in plan.template_invocations
        if share.script is not None and share.script.become is not None
    }


def next_runs(invocation: JobInvocation, now: datetime, most: int = _NEXT_RUNS) -> Iterator[str]:
    """When a recurring invocation runs next, as the clocks of its job show it."""
    return (at.isoformat() for at in islice(invocation.next_starts(now), most))


def _groups(plan: Plan) -> list[tuple[list[str], TemplateInvocation]]:
    """Hosts that run the same script, or have the same trouble, together."""
    together: dict[object, tuple[list[str], TemplateInvocation]] = {}
    for share in plan.template_invocations:
        key = share.trouble if share.script is None else share.script.content
        together.setdefault(key, ([], share))[0].append(share.host)
    return list(together.values())


def _document(project: Planner, plan: Plan, now: datetime) -> dict[str, object]:
    return {
        "description": plan.invocation.description,
        **_facts(project, plan, now),
        "hosts": [{"id": host.id, "name": host.name} for host in plan.hosts],
        "template_invocations": [share_document(share) for share in plan.template_invocations],
    }


def share_document(share: TemplateInvocation) -> dict[str, object]:
    """What runs on one host, and how that is reached."""
    script = share.script
    return {
        "host": share.host,
        "host_id": share.host_id,
        "provider": share.settings.provider,
        "address": share.settings.address,
        "port": share.settings.port,
        "ssh_user": share.settings.user,
        "effective_user": script.become.user if script and script.become else None,
        "script": script.content.decode("utf-8", "backslashreplace") if script else None,
        "sha256": script.sha256 if script else None,
        "trouble": share.trouble.reason if share.trouble else None,
    }


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _words(value: object) -> str:
    """A value in one line of text; nothing for what is not set."""
    if value is None or value in ({}, []):
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
