"""Resume: an invocation whose runner died, gone on with."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from chargehand.errors import UsageError
from chargehand.event import Notice, Observer
from chargehand.execution import Execution, execute
from chargehand.hostset import fold
from chargehand.plan import Plan
from chargehand.recording import Book
from chargehand.recording.book import shares_of
from chargehand.recovery.errands import Errands
from chargehand.recovery.inquest import is_left, is_open, recover
from chargehand.result import JobResult, Status
from chargehand.runner import Runner
from chargehand.runner.outcome import ALREADY_THERE
from chargehand.settings import Settings
from chargehand.share import TemplateInvocation
from chargehand.store import Store, Stored

_NO_FAILURE = frozenset((Status.SUCCEEDED, Status.CANCELLED, Status.SKIPPED, Status.PENDING))


def is_over(stored: Stored) -> bool:
    """Whether nothing is left to do: every host is done, nobody has to be asked, no host to be cleaned up."""
    left = any(is_open(share) or is_left(share) for share in stored.shares)
    return stored.record.state == "stopped" and not left


def check_resumable(stored: Stored, store: Store) -> None:
    """Refuse to go on with what somebody else carries out, or what never began.

    Raises:
        UsageError: Naming who does, or what to do instead.
    """
    number, state = stored.record.id, stored.record.state
    if state == "scheduled":
        raise UsageError(
            f"invocation {number} has not started yet: `chargehand tick` or `serve` starts it when it is due"
        )
    if state != "stopped" and store.runners.is_alive(stored.runner_id):
        raise UsageError(
            f"invocation {number} is carried out by runner {stored.runner_id}, which lives; "
            f"`chargehand output {number} --follow` shows it, `chargehand cancel {number}` stops it"
        )
    if state != "stopped" and not stored.shares:
        raise UsageError(
            f"invocation {number} was cut off before its hosts were known, and nothing was started: "
            "`chargehand tick` or `serve` starts it"
        )


def check_scripts(stored: Stored, plan: Plan) -> None:
    """Refuse to run other scripts than those that the invocation began with.

    Raises:
        UsageError: Naming the hosts, and what to do.
    """
    now = {share.host_name: share.script_sha256 for share in shares_of(plan)}
    changed = [
        share.host_name
        for share in stored.shares
        if share.state != "stopped" and share.host_name in now and now[share.host_name] != share.script_sha256
    ]
    if changed:
        number, origin = stored.record.id, stored.record.provenance
        recorded = origin is not None and origin.commit is not None and origin.dirty is False
        raise UsageError(
            f"the scripts of invocation {number} have changed since it began, on {fold(changed)}: "
            + (f"`chargehand resume {number} --recorded` takes those of its commit; " if recorded else "")
            + f"`chargehand resume {number} --changed` runs them as they are now; "
            f"`chargehand cancel {number}` and `chargehand rerun {number} --unreached` begin anew"
        )


def take_over(stored: Stored, store: Store, runner_id: str) -> Stored:
    """Take an invocation from the runner that died; what it is now, when nobody else writes it any more.

    Raises:
        UsageError: Somebody else was quicker.
    """
    number = stored.record.id
    if stored.record.state == "stopped":
        return stored
    if not store.invocations.claim(number, runner_id, instead_of=stored.runner_id):
        raise UsageError(
            f"invocation {number} was taken over by somebody else just now; `show {number}` says"
        )
    return store.history.find(number)


def result_of(stored: Stored) -> JobResult:
    """What an invocation came to so far."""
    record = stored.record
    began_at = record.start_at or stored.created_at
    return JobResult(
        results=record.results,
        started_at=began_at,
        ended_at=record.ended_at or began_at,
        cancelled=record.cancelled,
    )


def resume(
    stored: Stored,
    plan: Plan,
    settings: Settings,
    book: Book,
    *,
    observers: tuple[Observer, ...] = (),
    spool: Path | None = None,
    on_start: Callable[[Runner], None] = lambda _: None,
    clock: Callable[[], datetime],
) -> Execution:
    """Finish an invocation whose runner died: ask the hosts, and run the scripts that never started.

    Args:
        stored: The invocation, taken over by the runner of `book` unless it is over.
        plan: Its hosts as far as the inventory has them, in its order.
        settings: How many hosts at once when the plan does not say.
        book: Where it is written down.
        observers: Told of every event of the run.
        spool: Where outputs too large for memory are kept; None drops them with the run.
        on_start: Given the runner before the first script is sent.
        clock: The time, aware, UTC.
    """
    store = book.store
    assert store is not None  # noqa: S101 - there would be nothing to go on with
    errands = Errands(
        hosts_at_once=settings.concurrency_level,
        clock=clock,
        beat=partial(store.runners.beat, book.runner_id),
    )

    def ask() -> Stored:
        before = store.history.find(stored.record.id)
        for line in _announce(before, plan):
            for observer in observers:
                observer(Notice(at=clock(), message=line))
        recover(before, plan.template_invocations, store, errands)
        return store.history.find(stored.record.id)

    for last in (False, True):
        now = ask()
        execution = execute(
            _rest(plan, now),
            settings,
            replace(book, record=now.record),
            observers=observers,
            spool=spool,
            on_start=_steered(plan, now, on_start),
            clock=clock,
        )
        # A first start that came after the host was asked is the one that counts: once more, it is asked.
        if last or not any(result.code == ALREADY_THERE for result in execution.result.results):
            break
    return execution


def _announce(stored: Stored, plan: Plan) -> Iterator[str]:
    """What is told before hosts are asked."""
    asked = [share.host_name for share in stored.shares if is_open(share)]
    known = {share.host for share in plan.template_invocations}
    if asked:
        yield f"asking what became of the scripts on {fold(asked)}"
    if missing := [share.host_name for share in stored.shares if share.host_name not in known]:
        yield f"not in the inventory any more: {fold(missing)}"


def _steered(plan: Plan, stored: Stored, on_start: Callable[[Runner], None]) -> Callable[[Runner], None]:
    """Has a runner obey what held for the invocation before the crash."""

    def start(runner: Runner) -> None:
        if stored.cancel_requested:
            runner.stop()
        elif _failures_left(plan, stored) <= 0:
            runner.refrain("stop_after")
        on_start(runner)

    return start


def _failures_left(plan: Plan, stored: Stored) -> float:
    """How many more hosts may fail: those that failed before the crash count as well."""
    done = [Status(share.status) for share in stored.shares if share.state == "stopped"]
    allowed = plan.invocation.limits.failures_allowed(len(stored.shares))
    return allowed - sum(status not in _NO_FAILURE for status in done)


def _rest(plan: Plan, stored: Stored) -> Plan:
    """What is left of a plan: hosts that never started, under the tokens that the store has of them."""
    tokens = {share.host_name: share.token for share in stored.shares if share.state == "queued"}
    shares = [
        _with_token(share, tokens[share.host]) for share in plan.template_invocations if share.host in tokens
    ]
    limits, failures_left = plan.invocation.limits, _failures_left(plan, stored)
    if failures_left != math.inf:
        limits = replace(limits, stop_after=max(1, int(failures_left)))
    return replace(
        plan, invocation=replace(plan.invocation, limits=limits), template_invocations=tuple(shares)
    )


def _with_token(share: TemplateInvocation, token: str | None) -> TemplateInvocation:
    if share.script is None or token is None:
        return share
    return replace(share, script=replace(share.script, token=token))
