"""Lookup: what everybody asks of the store: how far an invocation is, and what is there at all."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Final

from chargehand.errors import UnknownInvocationError, UsageError, did_you_mean
from chargehand.past.reading import Rows
from chargehand.report.invocation import Counts
from chargehand.result import Status

MOST: Final = 2**63 - 1
"""The largest number that a column takes."""


def listed(numbers: Iterable[int]) -> str:
    """Ids as a statement lists them; nothing is in a list of none."""
    return ", ".join(map(str, map(int, numbers))) or "NULL"


def counts_of(rows: Rows, invocation_ids: Sequence[int]) -> dict[int, Counts]:
    """How many hosts of each invocation came to what, counted."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows.rows(
        "SELECT job_invocation_id, status, count(*) AS hosts FROM template_invocation "  # noqa: S608 - numbers
        f"WHERE job_invocation_id IN ({listed(invocation_ids)}) GROUP BY job_invocation_id, status"
    ):
        found[row["job_invocation_id"]][row["status"]] = row["hosts"]
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


def is_known(rows: Rows, invocation_id: int) -> bool:
    """Whether there is an invocation of that number."""
    this = {"this": invocation_id}
    return invocation_id <= MOST and bool(rows.rows("SELECT id FROM job_invocation WHERE id = :this", this))


def unknown_invocation(rows: Rows, invocation_id: int) -> UnknownInvocationError:
    """The error that says that there is none of that number, and which ones there are."""
    newest = [row["id"] for row in rows.rows("SELECT id FROM job_invocation ORDER BY id DESC LIMIT 5")]
    known = f"the newest are {', '.join(map(str, newest))}" if newest else "there are none yet"
    return UnknownInvocationError(f"there is no job invocation {invocation_id}; {known}")


def unknown_hosts(names: Collection[str], known: Collection[str], invocation_id: int) -> UsageError:
    """The error that says that an invocation has no such host."""
    name = min(names)
    hint = did_you_mean(name, known)
    return UsageError(f"job invocation {invocation_id} has no host `{name}`" + (f"; {hint}" if hint else ""))
