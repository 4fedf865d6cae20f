"""Announcement: what is told of an invocation that waits for its time, before anybody looked up its hosts."""

import os
import uuid

from chargehand.invocation import JobInvocation
from chargehand.provenance import Provenance
from chargehand.report.invocation import InputRecord, InvocationRecord, TargetingRecord
from chargehand.template import TemplateInput


def announce(
    invocation: JobInvocation, declared: tuple[TemplateInput, ...], *, provenance: Provenance
) -> InvocationRecord:
    """What is told of an invocation that has not begun.

    Args:
        invocation: As it was composed.
        declared: Own and foreign inputs of its template.
        provenance: Where it comes from.
    """
    targeting, scheduling = invocation.targeting, invocation.scheduling
    return InvocationRecord(
        id=0,
        description=invocation.description,
        job_category=invocation.template.job_category,
        task_id=str(uuid.uuid4()),
        state="scheduled",
        targeting=TargetingRecord(
            id=0,
            search_query=targeting.search_query,
            targeting_type=targeting.targeting_type,
            bookmark_id=targeting.bookmark_id,
            user_id=os.getuid(),
            randomized_ordering=targeting.randomized_ordering,
        ),
        scheduling=(scheduling.start_at, scheduling.start_before) if scheduling else None,
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
