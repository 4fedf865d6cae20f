"""Lookup: what both sides of the store ask: how far an invocation is, and what is there at all."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import Connection, func, select

from chargehand.errors import UnknownInvocationError, UsageError, did_you_mean
from chargehand.report.invocation import Counts
from chargehand.result import Status
from chargehand.store.tables import job_invocation, template_invocation

MOST: Final = 2**63 - 1
"""The largest number that a column takes."""

_SHARE: Final = template_invocation.c


def counts_of(connection: Connection, invocation_ids: Sequence[int]) -> dict[int, Counts]:
    """How many hosts of each invocation came to what, counted."""
    number, status = _SHARE.job_invocation_id, _SHARE.status
    statement = (
        select(number, status, func.count()).where(number.in_(invocation_ids)).group_by(number, status)
    )
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for invocation_id, name, count in connection.execute(statement):
        found[invocation_id][name] = count
    return {invocation_id: _counts(found[invocation_id]) for invocation_id in invocation_ids}


def _counts(count: Counter[str]) -> Counts:
    succeeded, cancelled = count[Status.SUCCEEDED], count[Status.CANCELLED]
    pending, total = count[Status.PENDING], count.total()
    return Counts(
        total=total,
        succeeded=succeeded,
        failed=total - succeeded - cancelled - pending,
        pending=pending,
        cancelled=cancelled,
    )


def counters(counts: Counts) -> dict[str, object]:
    """Counts as columns of a stopped invocation."""
    return {name: number for name, number in asdict(counts).items() if name != "pending"}


def label_of(counts: Counts, *, cancelled: bool) -> str:
    """What a stopped invocation came to; the rule of `InvocationRecord.status`."""
    if cancelled:
        return "cancelled"
    return "succeeded" if counts.succeeded == counts.total else "failed"


def unknown_invocation(connection: Connection, invocation_id: int) -> UnknownInvocationError:
    """The error that says that there is none of that number, and which ones there are."""
    column = job_invocation.c.id
    newest = connection.execute(select(column).order_by(column.desc()).limit(5)).scalars().all()
    known = f"the newest are {', '.join(map(str, newest))}" if newest else "there are none yet"
    return UnknownInvocationError(f"there is no job invocation {invocation_id}; {known}")


def unknown_hosts(names: Collection[str], known: Collection[str], invocation_id: int) -> UsageError:
    """The error that says that an invocation has no such host."""
    name = min(names)
    hint = did_you_mean(name, known)
    return UsageError(f"job invocation {invocation_id} has no host `{name}`" + (f"; {hint}" if hint else ""))
