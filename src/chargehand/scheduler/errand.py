"""Errand: one invocation of the store carried out - composed, planned and run as `run` does it.

What keeps an invocation from beginning is written down as its outcome. What keeps us from writing, or from
learning what became of its hosts, is told, and it is left to be taken up again.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from chargehand.compose import NO_OVERRIDES
from chargehand.document import parse
from chargehand.errors import (
    ChargehandError,
    InvalidError,
    NoHostMatchedError,
    PolicyError,
    SecretError,
    StoreError,
    UsageError,
)
from chargehand.execution import Execution
from chargehand.failpoint import reach
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.invocation import JobInvocation
from chargehand.job import Job, read_jobs
from chargehand.launch import sources_of
from chargehand.plan import NO_ACCESS
from chargehand.project import Project
from chargehand.provenance import Provenance
from chargehand.recording import Book
from chargehand.recovery import Errands, check_scripts, recover, resume
from chargehand.recurring.decision import Decision
from chargehand.recurring.once import judge_start
from chargehand.recurring.upcoming import no_blackout
from chargehand.rerun import ALL_AGAIN, access_of, check_given, overrides_of
from chargehand.runner import Runner
from chargehand.runner.outcome import TOLD_TO_END
from chargehand.scheduler import wording
from chargehand.scheduler.drafts import find_job
from chargehand.store import Stored
from chargehand.targeting import pick

_log = logging.getLogger(__name__)
_DEFECT: Final = 1
_NOBODY: Final = ""
"""Carries out what nobody does: never alive, so that anybody may take it."""
_CODES: Final[tuple[tuple[type[ChargehandError], str], ...]] = (
    (NoHostMatchedError, "no-host-matched"),
    (PolicyError, "policy"),
    (SecretError, "secret"),
    (InvalidError, "invalid"),
    (ChargehandError, "refused"),
)


@frozen
class Ending:
    """How an errand ended.

    Attributes:
        exit_code: As `run` ends with; None when it was over before.
        over: Whether nothing is left to be done for the invocation.
    """

    exit_code: int | None
    over: bool = True


class Errand:
    """One invocation that this runner has claimed.

    Args:
        invocation_id: Of the invocation.
        project: Its files are read anew.
        runner_id: Who carries it out.
        tell: Told how it goes, a line each.
    """

    def __init__(
        self, invocation_id: int, project: Project, runner_id: str, tell: Callable[[str], None]
    ) -> None:
        self.invocation_id = invocation_id
        self._project = project
        self._store = project.store
        self._runner_id = runner_id
        self._tell = tell
        self._lock = threading.Lock()
        self._runner: Runner | None = None
        self._job: Job | None = None
        self._refrained = self._stopped = False

    def refrain(self) -> None:
        """Start no more hosts; those that run may finish."""
        with self._lock:
            self._refrained = True
            if self._runner:
                self._runner.refrain(TOLD_TO_END)

    def stop(self) -> None:
        """Stop the hosts that run."""
        with self._lock:
            self._stopped = True
            if self._runner:
                self._runner.stop()

    def run(self) -> Ending:
        """Carry it out; never raises."""
        try:
            return self._run()
        except StoreError as error:
            return self._leave(StoreError.exit_code, wording.first_line(error))
        except Exception as error:  # noqa: BLE001 - logged, and told
            _log.exception("invocation %s", self.invocation_id)
            return self._leave(_DEFECT, f"a defect of chargehand ({type(error).__name__}): please report it")

    def _run(self) -> Ending:
        stored = self._store.history.find(self.invocation_id, with_output=False)
        if stored.record.state == "stopped":
            return Ending(exit_code=None)
        step = self._go_on if stored.record.begun else self._begin
        try:
            return step(stored)
        except StoreError:
            raise
        except ChargehandError as error:
            line, code = wording.first_line(error), error.exit_code
            if stored.record.begun:
                return self._leave(code, line)
            kind = next(kind for of, kind in _CODES if isinstance(error, of))
            return self._fail(kind, line, exit_code=code)

    def _begin(self, stored: Stored) -> Ending:
        """Run what never began."""
        if stored.cancel_requested:
            return self._fail("cancelled", "cancelled before it started", cancelled=True)
        reach("before-plan")
        project, invocation = self._compose(stored)
        late = self._judge(stored, invocation)
        if late.action != "start":
            return self._fail(late.code, late.reason, cancelled=True)
        hosts, missing = self._choose_hosts(project, invocation, stored)
        plan = project.prepare(invocation, hosts, access=access_of(stored.launch, NO_ACCESS))
        plan = replace(plan, missing=missing)
        if self._refrained:
            return Ending(exit_code=None, over=False)
        self._tell(wording.started(stored, len(hosts)))
        with project.begin(
            plan,
            launch=stored.launch,
            provenance=_origin(stored, project),
            into=self.invocation_id,
            runner_id=self._runner_id,
        ) as book:
            return self._end(stored, project.execute(plan, book, on_start=self._watch))

    def _go_on(self, stored: Stored) -> Ending:
        """Finish what a runner left that died: ask the hosts, and run what never started."""
        check_given(stored, ALL_AGAIN)
        project, invocation = self._compose(stored)
        names = [share.host_name for share in stored.shares]
        hosts, _ = pick(names, project.inventory, invocation.targeting.within)
        plan = project.prepare(invocation, hosts, access=access_of(stored.launch, NO_ACCESS))
        try:
            check_scripts(stored, plan)
        except UsageError:
            recover(stored, plan.template_invocations, self._store, self._errands(project))
            raise
        execution = resume(
            stored,
            plan,
            project.settings,
            Book(record=stored.record, store=self._store, runner_id=self._runner_id),
            on_start=self._watch,
            clock=project.now,
        )
        project.tell(invocation.job, execution.record)
        return self._end(stored, execution)

    def _errands(self, project: Project) -> Errands:
        return Errands(
            hosts_at_once=project.settings.concurrency_level,
            clock=project.now,
            beat=partial(self._store.runners.beat, self._runner_id),
        )

    def _compose(self, stored: Stored) -> tuple[Project, JobInvocation]:
        """The job by its file as it is now, composed as at its launch."""
        project = _files_of(self._project, stored)
        project = project.reloaded(inventory=sources_of(stored.launch, project.root))
        self._job = _job_of(project, stored)
        return project, project.compose(self._job, overrides_of(stored.launch, NO_OVERRIDES))

    def _choose_hosts(
        self, project: Project, invocation: JobInvocation, stored: Stored
    ) -> tuple[tuple[Host, ...], int]:
        """The hosts, and how many of those it was fixed to the inventory has no more."""
        fixed = _fixed_hosts(self._project, stored)
        if fixed is None:
            return project.choose_hosts(invocation), 0
        hosts, missing = pick(fixed, project.inventory, invocation.targeting.within)
        if missing:
            self._tell(f"invocation {self.invocation_id}: gone from the inventory: {', '.join(missing)}")
        if not hosts and not invocation.allow_empty:
            raise NoHostMatchedError("the inventory has none of the hosts any more that it is fixed to")
        return hosts, len(missing)

    def _judge(self, stored: Stored, invocation: JobInvocation) -> Decision:
        """Whether it may start now; a recurring logic has decided that of its own."""
        now = self._project.now()
        start_at, start_before = stored.record.scheduling or (None, None)
        if stored.logic_id is not None or start_at is None:
            start_at = now
        return judge_start(
            min(start_at, now),
            now,
            start_before=start_before,
            catch_up_runs=invocation.punctuality.catch_up_runs,
            catch_up_window_s=invocation.punctuality.catch_up_window_s,
            blackout=no_blackout if stored.logic_id else invocation.blackout.at,
        )

    def _watch(self, runner: Runner) -> None:
        with self._lock:
            self._runner = runner
            if self._refrained:
                runner.refrain(TOLD_TO_END)
            if self._stopped:
                runner.stop()

    def _end(self, stored: Stored, execution: Execution) -> Ending:
        self._tell(wording.ended(stored, execution))
        left = execution.unrecorded or any(each.status == "pending" for each in execution.result.results)
        return Ending(exit_code=execution.exit_code, over=not left)

    def _fail(self, code: str, reason: str, *, exit_code: int = 5, cancelled: bool = False) -> Ending:
        self._store.invocations.fail(
            self.invocation_id,
            code=code,
            reason=reason,
            exit_code=exit_code,
            ended_at=self._project.now(),
            cancelled=cancelled,
        )
        self._tell(f"invocation {self.invocation_id} {'cancelled' if cancelled else 'failed'}: {reason}")
        if self._job:
            record = self._store.history.find(self.invocation_id, with_output=False).record
            self._project.tell(self._job, record)
        return Ending(exit_code=exit_code)

    def _leave(self, exit_code: int, reason: str) -> Ending:
        """Leave it to be taken up again, by anybody."""
        self._tell(f"invocation {self.invocation_id} cannot go on: {reason}")
        with suppress(StoreError):
            self._store.invocations.claim(self.invocation_id, _NOBODY, instead_of=self._runner_id)
        return Ending(exit_code=exit_code, over=False)


def _files_of(project: Project, stored: Stored) -> Project:
    """The project as an invocation began with it, if it did and those files are still here."""
    origin = stored.record.provenance
    if project.head is None or not stored.record.begun or origin is None or origin.commit is None:
        return project
    tree = project.trees.find(origin.commit)
    return project.at(tree) if tree else project


def _origin(stored: Stored, project: Project) -> Provenance | None:
    """Where an invocation comes from, with the commit whose files it runs with."""
    origin, head = stored.record.provenance, project.head
    if origin is None or head is None:
        return origin
    return replace(origin, commit=head.commit, dirty=head.dirty, signer=head.signer)


def _job_of(project: Project, stored: Stored) -> Job:
    """The job that an invocation was made from, as its file has it now.

    Raises:
        UsageError: Its file has it no more.
        InvalidError: The file is refused.
    """
    origin = stored.record.provenance
    if origin is None or origin.playbook is None:
        (job,) = read_jobs(parse(stored.launch.job, f"<invocation {stored.record.id}>"))
        return job
    jobs = project.read_jobs([project.root / origin.playbook])
    return find_job(jobs, origin.playbook, origin.job_number, origin.job_name)


def _fixed_hosts(project: Project, stored: Stored) -> tuple[str, ...] | None:
    """The names of the hosts that it was fixed to before; None when they are looked up now."""
    if stored.record.targeting.hosts is not None:
        return tuple(name for name, _ in stored.record.targeting.hosts)
    if stored.logic_id is None:
        return None
    hosts = project.store.logics.find(str(stored.logic_id)).hosts
    return None if hosts is None else tuple(name for name, _ in hosts)
