"""Execution: a plan carried out, and the record of it."""

import os
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chargehand.errors import UsageError
from chargehand.event import Observer
from chargehand.plan import Plan
from chargehand.report.invocation import InputRecord, InvocationRecord, TargetingRecord
from chargehand.result import JobResult
from chargehand.runner import Runner
from chargehand.settings import Settings
from chargehand.template import TemplateInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A plan carried out.

    Attributes:
        record: What is told of it.
        result: What came out.
    """

    record: InvocationRecord
    result: JobResult


def execute(
    plan: Plan,
    declared: tuple[TemplateInput, ...],
    settings: Settings,
    *,
    number: int,
    observers: tuple[Observer, ...] = (),
    spool: Path | None = None,
    on_start: Callable[[Runner], None] = lambda _: None,
    clock: Callable[[], datetime],
) -> Execution:
    """Run a plan's scripts on its hosts.

    Args:
        plan: What runs; never a preview.
        declared: Own and foreign inputs of the plan's template, for the record.
        settings: How many hosts at once when the plan does not say.
        number: The id of the invocation.
        observers: Told of every event.
        spool: Where outputs too large for memory are kept; None drops them with the run.
        on_start: Given the runner before the first connection.
        clock: The time, aware, UTC.
    """
    if plan.preview:
        raise UsageError("a preview cannot be run: its secrets are left out")
    with tempfile.TemporaryDirectory(prefix="chargehand-") as scratch:
        runner = Runner(
            plan.invocation.limits,
            observers,
            spool=spool or Path(scratch),
            default_concurrency=settings.concurrency_level,
            clock=clock,
        )
        on_start(runner)
        result = runner.run(plan.template_invocations)
    return Execution(record=_record(plan, declared, number, result), result=result)


def _record(
    plan: Plan, declared: tuple[TemplateInput, ...], number: int, result: JobResult
) -> InvocationRecord:
    invocation, targeting = plan.invocation, plan.invocation.targeting
    return InvocationRecord(
        id=number,
        description=invocation.description,
        job_category=invocation.template.job_category,
        task_id=str(uuid.uuid4()),
        state="stopped",
        targeting=TargetingRecord(
            id=number,
            search_query=targeting.search_query,
            targeting_type=targeting.targeting_type,
            bookmark_id=targeting.bookmark_id,
            user_id=os.getuid(),
            randomized_ordering=targeting.randomized_ordering,
            hosts=tuple((host.name, host.id) for host in plan.hosts),
        ),
        start_at=result.started_at,
        begun=True,
        cancelled=result.cancelled,
        results=result.results,
        ssh_user=invocation.ssh_user,
        time_to_pickup=invocation.time_to_pickup,
        concurrency_level=invocation.limits.concurrency_level,
        execution_timeout_interval=invocation.execution_timeout_interval,
        template_id=invocation.template.id,
        template_name=invocation.template.name,
        effective_user=invocation.effective_user,
        inputs=tuple(
            InputRecord(name=each.name, value=invocation.inputs.get(each.name), hidden=each.hidden_value)
            for each in declared
            if each.name in invocation.inputs or each.name in invocation.secrets.inputs
        ),
        job_organization=_taxonomy(targeting.within.organization, invocation.organization_id),
        job_location=_taxonomy(targeting.within.location, invocation.location_id),
    )


def _taxonomy(name: str | None, number: int | None) -> dict[str, object] | None:
    return None if name is None else {"id": number, "name": name}
