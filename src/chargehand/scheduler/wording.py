"""Wording: what a scheduler does, in one line each, for people and journals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from chargehand.errors import ChargehandError, InvalidError
from chargehand.execution import Execution
from chargehand.hostset import fold
from chargehand.reconcile import Reconciliation
from chargehand.recurring.decision import Action
from chargehand.recurring.logic import RecurringLogic
from chargehand.result import Status
from chargehand.store import Stored
from chargehand.store.logics import Decided

_DECIDED: Final[Mapping[Action, str]] = {
    "start": "due",
    "wait": "waiting",
    "skip": "skipped",
    "missed": "missed",
    "blackout": "kept back",
    "cancelled": "cancelled",
}
_FINE: Final = frozenset((Status.SUCCEEDED, Status.PENDING))


def first_line(error: ChargehandError) -> str:
    """An error in one line, with how many more there are."""
    if not isinstance(error, InvalidError):
        return " ".join(str(error).split())
    problem, *rest = error.problems
    where = f"{problem.place}: " if problem.place else ""
    more = f" (and {len(rest)} more; `chargehand validate` tells all)" if rest else ""
    return f"{where}{problem.message}{more}"


def label(logic: RecurringLogic) -> str:
    """A recurring logic as people know it."""
    return f"`{logic.job_name}`" if logic.job_name else f"`{logic.playbook}`"


def decided(logic: RecurringLogic, each: Decided) -> str:
    """What became of an occurrence."""
    decision = each.decision
    why = f": {decision.reason}" if decision.reason else ""
    done = _DECIDED[decision.action]
    return f"invocation {each.invocation_id} {done}: {label(logic)} of {stamp(decision.occurrence)}{why}"


def reconciled(found: Reconciliation) -> list[str]:
    """What became of job files, a line for each."""
    kinds = (
        ("taken over", found.added),
        ("changed", found.changed),
        ("gone", found.removed),
        ("there again", found.restored),
    )
    return [f"`{key}` is {what}" for what, keys in kinds for key in keys]


def started(stored: Stored, hosts: int) -> str:
    """An invocation begins."""
    record = stored.record
    of = f" of {stamp(stored.occurrence)}" if stored.occurrence else ""
    why = f"; {record.reason}" if record.reason else ""
    return f"invocation {record.id} started: `{record.description}`{of} on {_count(hosts)}{why}"


def ended(stored: Stored, execution: Execution) -> str:
    """An invocation is over, or as far as it goes for now."""
    result, number = execution.result, stored.record.id
    if execution.unrecorded:
        return f"invocation {number}: {execution.unrecorded}"
    told = ", ".join(
        f"{count} {status}" for status, count in sorted(result.counts.items()) if status not in _FINE
    )
    waiting = [each.host for each in result.results if each.status is Status.PENDING]
    if waiting:
        more = f"; {told}" if told else ""
        return f"invocation {number} left: {fold(waiting)} not started, for who comes next{more}"
    if result.ok:
        return f"invocation {number} succeeded: `{stored.record.description}`"
    return f"invocation {number} ended: {told} of {_count(len(result.results))}; `chargehand show {number}`"


def stamp(moment: datetime) -> str:
    """A moment as it is told."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _count(hosts: int) -> str:
    return "1 host" if hosts == 1 else f"{hosts} hosts"
