"""Execution: a plan carried out, and the record of it."""

import os
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from chargehand.errors import StoreError, UsageError
from chargehand.event import Observer
from chargehand.frozen import frozen
from chargehand.hostset import fold
from chargehand.plan import Plan
from chargehand.provenance import Provenance
from chargehand.provider import find_provider
from chargehand.recording import Book, Ledger
from chargehand.report.invocation import InputRecord, InvocationRecord, TargetingRecord
from chargehand.result import JobResult, Status
from chargehand.runner import Runner, Stage
from chargehand.runner.outcome import COULD_NOT_RECORD
from chargehand.settings import Settings
from chargehand.template import TemplateInput


@frozen
class Execution:
    """A plan carried out.

    Attributes:
        record: What is told of it.
        result: What came out.
        unrecorded: One line of what happened and is not in the store; empty when everything is.
    """

    record: InvocationRecord
    result: JobResult
    unrecorded: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of the command that ran it (design §3)."""
        return StoreError.exit_code if self.unrecorded else self.result.exit_code


def execute(
    plan: Plan,
    settings: Settings,
    book: Book,
    *,
    observers: tuple[Observer, ...] = (),
    spool: Path | None = None,
    on_start: Callable[[Runner], None] = lambda _: None,
    stage: Stage | None = None,
    clock: Callable[[], datetime],
) -> Execution:
    """Run a plan's scripts on its hosts, and write down what happens while it happens.

    Args:
        plan: What runs; never a preview.
        settings: How many hosts at once when the plan does not say.
        book: The invocation in the store.
        observers: Told of every event.
        spool: Where outputs too large for memory are kept; None drops them with the run.
        on_start: Given the runner before the first connection.
        stage: Shared with the runs before and after.
        clock: The time, aware, UTC.

    Raises:
        UsageError: The plan is a preview, or a provider is not installed. Nothing was started then.
        StoreError: The store cannot be read. Nothing was started then.
    """
    if plan.preview:
        raise UsageError("a preview cannot be run: its secrets are left out")
    ledger = book.open_ledger(plan.template_invocations, clock)
    find = stage.find if stage else find_provider
    with tempfile.TemporaryDirectory(prefix="chargehand-") as scratch:
        runner = Runner(
            plan.invocation.limits,
            (ledger, *observers) if ledger else observers,
            spool=spool or Path(scratch),
            find_provider=ledger.recorded(find) if ledger else find,
            default_concurrency=settings.concurrency_level,
            clock=clock,
        )
        on_start(runner)
        if ledger is None:
            result, unrecorded = runner.run(plan.template_invocations, stage), ""
        else:
            with ledger.opened(runner):
                result = runner.run(plan.template_invocations, stage)
            result = _with_those_of_before(result, book.record)
            unrecorded = _close(book, ledger, result)
    record = replace(
        book.record,
        state="running" if result.counts[Status.PENDING] else "stopped",
        cancelled=result.cancelled,
        results=result.results,
        code=COULD_NOT_RECORD if unrecorded else "",
        reason=unrecorded,
        ended_at=result.ended_at,
    )
    return Execution(record=record, result=result, unrecorded=unrecorded)


def _with_those_of_before(result: JobResult, record: InvocationRecord) -> JobResult:
    """The result of all hosts, when others were done before a run was taken up again."""
    if not record.results:
        return result
    found = {each.host: each for each in (*record.results, *result.results)}
    order = [name for name, _ in record.targeting.hosts or () if name in found]
    return replace(result, results=tuple(found[name] for name in order))


def _close(book: Book, ledger: Ledger, result: JobResult) -> str:
    """Say in the store that the run is over; one line of what could not be written down."""
    trouble = ledger.trouble
    if trouble is None:
        try:
            book.finish(result, result.exit_code)
        except StoreError as error:
            return f"could not record: {error}; it is not in the store that the run is over"
        return ""
    lost = ledger.unwritten
    what = f"the outcome of {fold(lost)} is not in the store; " if lost else ""
    return (
        f"could not record: {trouble}; {what}`chargehand resume {book.record.id}` asks the hosts and goes on"
    )


def describe(
    plan: Plan, declared: tuple[TemplateInput, ...], *, provenance: Provenance, at: datetime
) -> InvocationRecord:
    """What is told of a plan that is about to be carried out.

    Args:
        plan: What runs.
        declared: Own and foreign inputs of the plan's template.
        provenance: Where it comes from.
        at: Now.
    """
    invocation, targeting = plan.invocation, plan.invocation.targeting
    return InvocationRecord(
        id=0,
        description=invocation.description,
        job_category=invocation.template.job_category,
        task_id=str(uuid.uuid4()),
        state="running",
        targeting=TargetingRecord(
            id=0,
            search_query=targeting.search_query,
            targeting_type=targeting.targeting_type,
            bookmark_id=targeting.bookmark_id,
            user_id=os.getuid(),
            randomized_ordering=targeting.randomized_ordering,
            hosts=tuple((host.name, host.id) for host in plan.hosts),
            missing=plan.missing,
        ),
        start_at=at,
        begun=True,
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
        provenance=provenance,
    )


def _taxonomy(name: str | None, number: int | None) -> dict[str, object] | None:
    return None if name is None else {"id": number, "name": name}
