"""Drafts: what is written down of an occurrence before anything is done for it."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chargehand.announcement import announce
from chargehand.compose import Overrides, read_wishes
from chargehand.errors import ChargehandError, UsageError
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.launch import launch_of, provenance_here
from chargehand.plan import NO_ACCESS
from chargehand.project import Project
from chargehand.provenance import Launch, Provenance
from chargehand.recurring.decision import Claims, Decision, Decisions, due
from chargehand.recurring.logic import RecurringLogic
from chargehand.recurring.upcoming import no_blackout
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.store.logics import Draft

_ONCE = Overrides(once=True)


class Drafts:
    """Drafts of what is due in one pass.

    Args:
        project: Its files are looked at once.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._jobs: dict[str, Sequence[Job]] = {}
        self._origin: Provenance | None = None
        self._drafts: dict[int, Draft] = {}
        self._invocations: dict[int, JobInvocation] = {}

    def prepare(self, logic: RecurringLogic) -> None:
        """Make what is written down of each occurrence, while nobody waits for it."""
        origin = self._provenance(logic)
        try:
            draft = self._composed(logic, origin)
        except ChargehandError:  # it is told, and written down, when the occurrence is to run
            draft = _bare(logic, origin)
        self._drafts[logic.id] = draft

    def draft(self, logic: RecurringLogic, _decision: Decision) -> Draft:
        """What to write down of an occurrence; every one is an invocation of its own."""
        draft = self._drafts[logic.id]
        return replace(draft, record=replace(draft.record, task_id=str(uuid.uuid4())))

    def judge(self, logic: RecurringLogic, claims: Claims, now: datetime) -> Decisions:
        """What is due of a recurring logic that was prepared."""
        invocation = self._invocations.get(logic.id)
        return due(logic, now, claims=claims, blackout=invocation.blackout.at if invocation else no_blackout)

    def tell(self, logic: RecurringLogic, numbers: Sequence[int]) -> None:
        """Send the messages that a job wants about occurrences that did not take place; takes its time.

        Args:
            logic: Whose occurrences.
            numbers: Ids of their invocations.
        """
        invocation, history = self._invocations.get(logic.id), self._project.store.history
        if invocation and read_wishes(invocation.job, self._project.settings):
            records = [history.find(number, with_output=False).record for number in numbers]
            self._project.tell(invocation.job, *records)

    def _composed(self, logic: RecurringLogic, origin: Provenance) -> Draft:
        if logic.playbook not in self._jobs:
            self._jobs[logic.playbook] = self._project.read_jobs([self._project.root / logic.playbook])
        job = find_job(self._jobs[logic.playbook], logic.playbook, logic.job_number, logic.job_name)
        invocation = self._project.compose(job, _ONCE)
        self._invocations[logic.id] = invocation
        declared = self._project.templates.inputs_of(invocation.template)
        return Draft(
            record=announce(
                invocation, declared, provenance=replace(origin, job_name=job.text("name") or "")
            ),
            launch=launch_of(invocation, overrides=_ONCE, access=NO_ACCESS, root=self._project.root),
            idempotent=bool(job.flag("idempotent")),
        )

    def _provenance(self, logic: RecurringLogic) -> Provenance:
        """Where it comes from; git is asked once for all."""
        if self._origin is None:
            self._origin = provenance_here(self._project.root, "recurrence", head=self._project.head)
        return replace(
            self._origin, playbook=logic.playbook, job_number=logic.job_number, job_name=logic.job_name
        )


def find_job(jobs: Sequence[Job], playbook: str, number: int, name: str) -> Job:
    """The job of a file that is called so, or else stands there.

    Raises:
        UsageError: There is none.
    """
    named = [job for job in jobs if name in (job.text("name") or "", job.label)]
    numbered = [job for job in named if (job.root[0] if job.root else 0) == number]
    found = named if name and len(named) == 1 else numbered
    if not found:
        called = f"`{name}`" if name else f"number {number + 1}"
        raise UsageError(f"`{playbook}` has no job {called} any more")
    return found[0]


def _bare(logic: RecurringLogic, origin: Provenance) -> Draft:
    """What can be told of a job that cannot be composed now."""
    name = logic.job_name or logic.playbook
    targeting_type = "dynamic_query" if logic.hosts is None else "static_query"
    record = InvocationRecord(
        id=0,
        description=name,
        job_category="",
        task_id=str(uuid.uuid4()),
        state="planned",
        targeting=TargetingRecord(id=0, search_query=None, targeting_type=targeting_type),
        provenance=origin,
    )
    return Draft(record=record, launch=Launch(job=json.dumps({"name": name})))
