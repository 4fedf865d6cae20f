"""Book: a job invocation in the store, and the runner that carries it out."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from chargehand.errors import ChargehandError, StoreError
from chargehand.failpoint import reach
from chargehand.frozen import frozen
from chargehand.mask import Mask
from chargehand.plan import Plan
from chargehand.provenance import Launch
from chargehand.recording.ledger import Ledger
from chargehand.report.invocation import InvocationRecord
from chargehand.result import HostResult, JobResult, Status
from chargehand.runner import outcome as outcomes
from chargehand.secret import MASKED
from chargehand.share import TemplateInvocation
from chargehand.store import Share, Store, StoredShare
from chargehand.store.entry import Outcome

_CANCELLED: Final = 5


@frozen
class Book:
    """A job invocation, and the runner that carries it out.

    Attributes:
        record: As it begins; its id is the store's, and 0 when nothing is recorded.
        store: Where it is written down; None when nothing is.
        runner_id: Who carries it out.
    """

    record: InvocationRecord
    store: Store | None = None
    runner_id: str = ""

    def open_ledger(
        self, shares: Sequence[TemplateInvocation], clock: Callable[[], datetime]
    ) -> Ledger | None:
        """What writes the run of some shares down; None when nothing is recorded.

        Raises:
            StoreError: The store cannot be read.
        """
        if self.store is None:
            return None
        ids = self.store.history.share_ids(self.record.id)
        return Ledger(
            self.store,
            self.record.id,
            runner_id=self.runner_id,
            shares=[(share, ids[share.host]) for share in shares],
            clock=clock,
        )

    def finish(self, result: JobResult, exit_code: int) -> None:
        """Say that the run is over, unless hosts are left to be done.

        Raises:
            StoreError: That cannot be written.
        """
        if self.store is None or result.counts[Status.PENDING]:
            return
        reach("before-finish")
        self.store.invocations.finish(
            self.record.id,
            runner_id=self.runner_id,
            cancelled=result.cancelled,
            exit_code=exit_code,
            ended_at=result.ended_at,
        )
        reach("after-finish")

    def call_off(self, outcome: outcomes.Outcome, exit_code: int, at: datetime) -> None:
        """Say that a run did not come to its end; hosts that may have got a script are left as they are.

        Args:
            outcome: Of the other hosts, and of the run.
            exit_code: The command ends with it.
            at: Now.

        Raises:
            StoreError: That cannot be written.
        """
        if self.store is None:
            return
        invocations, number = self.store.invocations, self.record.id
        # Before all else: what cannot be said now is then cancelled by whoever comes after us.
        invocations.request_cancel(number, force=False)
        ending: dict[str, Any] = {
            "cancelled": outcome.status is Status.CANCELLED,
            "code": outcome.code,
            "reason": outcome.reason,
            "exit_code": exit_code,
            "ended_at": at,
        }
        if not invocations.fail(number, **ending):
            shares = self.store.history.find(number, with_output=False).shares
            invocations.record([_untouched(share, outcome) for share in shares if share.state == "queued"])
            invocations.finish(number, runner_id=self.runner_id, **ending)


def open_book(
    store: Store,
    plan: Plan,
    record: InvocationRecord,
    launch: Launch,
    *,
    runner_id: str,
    into: int | None = None,
    at: datetime,
) -> Book:
    """Write down that a plan is about to be carried out.

    Args:
        store: Where.
        plan: What runs.
        record: What is told of it.
        launch: What repeats it.
        runner_id: Who carries it out.
        into: An invocation whose hosts were not known before; None makes one.
        at: Now.

    Raises:
        StoreError: That cannot be written.
    """
    shares, number = shares_of(plan), into
    reach("before-create")
    if number is None:
        number = store.invocations.create(
            record,
            launch,
            shares,
            runner_id=runner_id,
            idempotent=bool(plan.invocation.job.flag("idempotent")),
            created_at=at,
        )
    elif not store.invocations.resolve(number, record, shares, runner_id=runner_id):
        number = None
    if number is None:
        raise StoreError("another runner has taken the invocation over")
    reach("after-create")
    record = replace(record, id=number, targeting=replace(record.targeting, id=number))
    return Book(record=record, store=store, runner_id=runner_id)


def shares_of(plan: Plan) -> list[Share]:
    """What the store keeps of every host of a plan before anything is sent."""
    return [
        Share(
            host_name=share.host,
            host_id=share.host_id,
            token=share.script.token if share.script else None,
            script_sha256=_fingerprint(share),
        )
        for share in plan.template_invocations
    ]


@contextmanager
def called_off(book: Book, clock: Callable[[], datetime]) -> Iterator[None]:
    """Around a run: one that ends by an exception is over, and nobody has to go on with it."""
    try:
        yield
    except BaseException as error:
        try:
            book.call_off(*_meaning(error), clock())
        except StoreError as trouble:
            error.add_note(f"nor could it be recorded that the run was called off: {trouble}")
        raise


def _meaning(error: BaseException) -> tuple[outcomes.Outcome, int]:
    """What an exception means for hosts that nothing was sent to, and for the command."""
    if not isinstance(error, Exception):
        return outcomes.never_started(outcomes.CANCELLED), _CANCELLED
    known = isinstance(error, ChargehandError)
    words = str(error).partition("\n")[0] if known else type(error).__name__  # a message may quote a secret
    outcome = outcomes.Outcome(Status.SKIPPED, "called-off", f"never started: {words}")
    return outcome, error.exit_code if isinstance(error, ChargehandError) else 1


def _untouched(share: StoredShare, outcome: outcomes.Outcome) -> Outcome:
    result = HostResult(
        host=share.host_name,
        host_id=share.host_id,
        status=outcome.status,
        code=outcome.code,
        reason=outcome.reason,
        attempts=0,
    )
    return Outcome(share_id=share.id, token=None, result=result)


def _fingerprint(share: TemplateInvocation) -> str | None:
    """What tells a script from another one, without a trace of its secrets."""
    if share.script is None:
        return None
    if not share.secrets:
        return share.script.sha256
    content = share.script.content
    secrets = {secret.reveal().encode() for secret in share.secrets if secret}
    for secret in sorted(secrets, key=lambda each: (-len(each), each)):
        content = content.replace(secret, MASKED.encode())
    mask = Mask(share.secrets)
    return hashlib.sha256(mask.feed(content) + mask.flush()).hexdigest()
