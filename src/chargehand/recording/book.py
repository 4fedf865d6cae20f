"""Book: a job invocation in the store, and the runner that carries it out."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from chargehand.errors import StoreError
from chargehand.failpoint import reach
from chargehand.mask import Mask
from chargehand.plan import Plan
from chargehand.provenance import Launch
from chargehand.recording.ledger import Ledger
from chargehand.report.invocation import InvocationRecord
from chargehand.result import HostResult, JobResult, Status
from chargehand.runner.outcome import CANCELLED, never_started
from chargehand.secret import MASKED
from chargehand.share import TemplateInvocation
from chargehand.store import Share, Store
from chargehand.store.entry import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
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
        stored = self.store.history.find(self.record.id, with_output=False).shares
        ids = {share.host_name: share.id for share in stored}
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

    def call_off(self, at: datetime) -> None:
        """Say that a run did not come to its end: hosts that nothing was sent to are cancelled."""
        if self.store is None:
            return
        self.store.invocations.request_cancel(self.record.id, force=False, hosts=None)
        never = never_started(CANCELLED)
        shares = self.store.history.find(self.record.id, with_output=False).shares
        self.store.invocations.record(
            [
                Outcome(
                    share_id=share.id,
                    token=None,
                    result=HostResult(
                        host=share.host_name,
                        host_id=share.host_id,
                        status=never.status,
                        code=never.code,
                        reason=never.reason,
                        attempts=0,
                    ),
                )
                for share in shares
                if share.state == "queued"
            ]
        )
        if all(share.state in ("queued", "stopped") for share in shares):
            self.store.invocations.finish(
                self.record.id, runner_id=self.runner_id, cancelled=True, exit_code=None, ended_at=at
            )


def open_book(
    store: Store,
    plan: Plan,
    record: InvocationRecord,
    launch: Launch,
    *,
    runner_id: str,
    into: int | None = None,
) -> Book:
    """Write down that a plan is about to be carried out.

    Args:
        store: Where.
        plan: What runs.
        record: What is told of it.
        launch: What repeats it.
        runner_id: Who carries it out.
        into: An invocation whose hosts were not known before; None makes one.

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
            created_at=record.start_at,
        )
    else:
        store.invocations.resolve(number, record, shares, runner_id=runner_id)
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
            book.call_off(clock())
        except StoreError as trouble:
            error.add_note(f"nor could it be recorded that the run was called off: {trouble}")
        raise


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
