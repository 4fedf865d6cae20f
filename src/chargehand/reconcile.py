"""Reconciliation: the job files of a project, and the recurring logics and appointments they make.

What a file says of time is taken over; what happened - how often it ran, whether a person paused or cancelled
it - stays. A file that is refused changes nothing, and keeps no other file from being taken over.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from chargehand import schema
from chargehand.announcement import announce
from chargehand.compose import NO_OVERRIDES, Overrides
from chargehand.document import load
from chargehand.errors import ChargehandError, InvalidError, InvocationError, Problem, StoreError
from chargehand.frozen import frozen
from chargehand.git.head import Head
from chargehand.host import Host
from chargehand.identity import key_of, name_twice
from chargehand.invocation import JobInvocation, Recurrence
from chargehand.job import Job, read_jobs
from chargehand.launch import launch_of, provenance_of
from chargehand.layout import PLAYBOOKS
from chargehand.plan import NO_ACCESS
from chargehand.provenance import Launch
from chargehand.recurring.logic import RecurringLogic, is_over
from chargehand.recurring.once import judge_start
from chargehand.store import Share, Store
from chargehand.template import Templates

_RECURRENCE: Final = ("job_invocation", "recurrence")
_SCHEDULING: Final = ("job_invocation", "scheduling")
_SUBMITTED: Final = Overrides(submitted=True)
_TIMES: Final = ("cron_line", "time_zone", "start_at")

Change = Literal["added", "changed", "removed", "restored"]


class Source(Protocol):
    """The part of a project that says what is to happen when."""

    @property
    def root(self) -> Path:
        """Its folder."""

    @property
    def head(self) -> Head | None:
        """The commit that its files were taken over from; None of files that are simply there."""

    @property
    def given_sources(self) -> Sequence[str]:
        """Inventory sources in place of its own."""

    @property
    def job_files(self) -> tuple[Path, ...]:
        """Every job file."""

    @property
    def templates(self) -> Templates:
        """What jobs run."""

    def compose(self, job: Job, overrides: Overrides = NO_OVERRIDES) -> JobInvocation:
        """The job invocation that a job means."""

    def choose_hosts(self, invocation: JobInvocation) -> tuple[Host, ...]:
        """The hosts of an invocation, in order."""


@frozen
class Reconciliation:
    """What became of the job files.

    Attributes:
        added: Keys of recurring logics, and of jobs with a time of their own, that are new.
        changed: Of those that are another than before.
        removed: Of those whose job is gone.
        restored: Of those whose job is there again.
        troubles: What is wrong, by file, relative to the project; such a file changed nothing.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    troubles: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)


def reconcile(source: Source, store: Store, now: datetime) -> Reconciliation:
    """Take the job files of a project over.

    A static targeting is fixed to its hosts when its job is seen first, and again when it is another one.

    Raises:
        StoreError: The store cannot be read or written; what was taken over by then stays.
    """
    takeover = _Takeover(source, store, now)
    if not (source.root / PLAYBOOKS).is_dir() and source.head is None:
        return takeover.result()
    for file in source.job_files:
        takeover.take(file)
    takeover.drop_rest()
    return takeover.result()


class _Takeover:
    """One reconciliation: what the store has, and what was seen in files so far."""

    def __init__(self, source: Source, store: Store, now: datetime) -> None:
        self._source = source
        self._store = store
        self._now = now
        self._logics = {logic.key: logic for logic in store.logics.all()}
        self._appointments = {each.schedule_key: each for each in store.logics.appointments()}
        self._seen: dict[str, Job] = {}
        self._changes: dict[str, Change] = {}
        self._troubles: dict[str, tuple[Problem, ...]] = {}

    def take(self, file: Path) -> None:
        """Take one file over, or nothing of it."""
        playbook = file.relative_to(self._source.root).as_posix()
        try:
            invocations = self._compose(file)
            hosts = {each.job.root: self._fixed_hosts(playbook, each) for each in invocations}
        except StoreError:
            raise
        except InvalidError as error:
            self._refuse(playbook, error.problems)
            return
        for invocation in invocations:
            key = key_of(playbook, invocation)
            if key in self._seen:
                self._note(playbook, [name_twice(invocation.job, self._seen[key])])
            elif invocation.recurrence is not None:
                self._seen[key] = invocation.job
                self._keep(key, playbook, invocation, invocation.recurrence, hosts[invocation.job.root])
            else:
                self._seen[key] = invocation.job
                self._appoint(key, playbook, invocation, hosts[invocation.job.root])

    def drop_rest(self) -> None:
        """Cancel what no file says any more."""
        for key, logic in self._logics.items():
            over = logic.state == "cancelled"
            if key not in self._seen and logic.playbook not in self._troubles and not over:
                reason = f"its job is no longer in {logic.playbook}"
                self._store.logics.keep(key, partial(_removed, reason=reason), self._now)
                self._changes[key] = "removed"
        for key, each in self._appointments.items():
            gone = key not in self._seen and each.playbook not in self._troubles
            reason = f"its job, or its time, is no longer in {each.playbook}"
            if gone and self._store.logics.call_off(each.id, "removed", reason, self._now):
                self._changes[key] = "removed"

    def result(self) -> Reconciliation:
        """What became of all files."""
        found: dict[Change, tuple[str, ...]] = {
            change: tuple(key for key, what in self._changes.items() if what == change)
            for change in ("added", "changed", "removed", "restored")
        }
        return Reconciliation(
            added=found["added"],
            changed=found["changed"],
            removed=found["removed"],
            restored=found["restored"],
            troubles=self._troubles,
        )

    def _compose(self, file: Path) -> list[JobInvocation]:
        """The jobs of a file that have a time.

        Raises:
            InvalidError: With everything that is wrong with any of them.
        """
        document = load(file)
        timed = [job for job in read_jobs(document) if job.has(*_RECURRENCE) or job.has(*_SCHEDULING)]
        problems = schema.check(document) if timed else []
        invocations = []
        for job in timed:
            try:
                invocations.append(self._source.compose(job, _SUBMITTED))
            except InvalidError as error:
                problems += error.problems
        if any(problem.severity == "error" for problem in problems):
            raise InvalidError(
                [problem for problem in dict.fromkeys(problems) if problem.severity == "error"]
            )
        return [each for each in invocations if each.recurrence or each.scheduling]

    def _fixed_hosts(self, playbook: str, invocation: JobInvocation) -> tuple[tuple[str, int], ...] | None:
        """The hosts of a static targeting: those it was fixed to, unless it is new or another one.

        Raises:
            InvocationError: It means nobody, or more hosts than it may.
        """
        if invocation.targeting.targeting_type != "static_query":
            return None
        key = key_of(playbook, invocation)
        if key in self._appointments:
            return None
        known = self._logics.get(key)
        if known and known.hosts is not None and known.fingerprint == _fingerprint(invocation):
            return known.hosts
        try:
            return tuple((host.name, host.id) for host in self._source.choose_hosts(invocation))
        except InvalidError:
            raise
        except ChargehandError as error:
            raise InvocationError(invocation.job.problem(str(error), "job_invocation")) from error

    def _keep(
        self,
        key: str,
        playbook: str,
        invocation: JobInvocation,
        recurrence: Recurrence,
        hosts: tuple[tuple[str, int], ...] | None,
    ) -> None:
        """Take one recurrence over."""
        said = _said(invocation, recurrence) | {
            "playbook": playbook,
            "job_number": int(invocation.job.root[0]) if invocation.job.root else 0,
            "job_name": invocation.job.text("name") or "",
            "fingerprint": _fingerprint(invocation),
            "hosts": hosts,
        }
        known = self._logics.get(key)
        if known is not None and _taken_over(known, key, said, self._now) == known:
            return
        self._store.logics.keep(key, lambda found: _taken_over(found, key, said, self._now), self._now)
        if known is None:
            self._changes[key] = "added"
        else:
            self._changes[key] = "restored" if known.removed else "changed"

    def _appoint(
        self,
        key: str,
        playbook: str,
        invocation: JobInvocation,
        hosts: tuple[tuple[str, int], ...] | None,
    ) -> None:
        """Write down a job that has one time of its own; what was written down once stays."""
        source = self._source
        if key in self._appointments or invocation.scheduling is None:
            return
        launch = launch_of(
            invocation,
            overrides=NO_OVERRIDES,
            access=NO_ACCESS,
            inventory=source.given_sources,
            root=source.root,
        )
        if appoint(source, self._store, invocation, hosts, launch=launch, playbook=playbook, now=self._now):
            self._changes[key] = "added"

    def _refuse(self, playbook: str, problems: Sequence[Problem]) -> None:
        """Note what is wrong with a file; its recurring logics stay, and tell it."""
        self._note(playbook, problems)
        first = str(problems[0]).splitlines()[0]
        reason = f"its file is refused, and what it said before stands: {first}"
        for key, logic in self._logics.items():
            if logic.playbook == playbook and logic.state == "active" and logic.reason != reason:
                self._store.logics.keep(key, partial(_troubled, reason=reason), self._now)

    def _note(self, playbook: str, problems: Iterable[Problem]) -> None:
        self._troubles[playbook] = (*self._troubles.get(playbook, ()), *problems)


def appoint(
    source: Source,
    store: Store,
    invocation: JobInvocation,
    hosts: Sequence[tuple[str, int]] | None,
    *,
    launch: Launch,
    playbook: str | None,
    now: datetime,
) -> int | None:
    """Write down that a job starts at the time of its `scheduling`.

    Args:
        source: The project.
        store: Where to.
        invocation: The job.
        hosts: Names and ids of the hosts that a static targeting is fixed to; None looks them up then.
        launch: What it is launched with.
        playbook: The job file, relative to the project; None of one that is no part of it, which stands for
            itself each time.
        now: Aware, UTC.

    Returns:
        The id of the invocation; None when that job and time were written down before.
    """
    scheduling, punctuality, job = invocation.scheduling, invocation.punctuality, invocation.job
    start_at = (scheduling.start_at if scheduling else None) or now
    decision = judge_start(
        start_at,
        max(now, start_at),
        start_before=scheduling.start_before if scheduling else None,
        catch_up_runs=punctuality.catch_up_runs,
        catch_up_window_s=punctuality.catch_up_window_s,
    )
    provenance = provenance_of(job, source.root, head=source.head, trigger="scheduling")
    provenance = replace(provenance, playbook=playbook or provenance.playbook)
    record = announce(invocation, source.templates.inputs_of(invocation.template), provenance=provenance)
    record = replace(record, start_at=start_at, code=decision.code, reason=decision.reason)
    if decision.action != "start":
        record = replace(record, state="stopped", cancelled=True, ended_at=now)
    return store.invocations.create(
        record,
        launch,
        None if hosts is None else [Share(host_name=name, host_id=number) for name, number in hosts],
        runner_id=None,
        created_at=now,
        idempotent=bool(job.flag("idempotent")),
        schedule_key=key_of(playbook, invocation) if playbook else None,
    )


def _said(invocation: JobInvocation, recurrence: Recurrence) -> dict[str, Any]:
    """What a job says of time, by the words of a recurring logic."""
    scheduling, punctuality = invocation.scheduling, invocation.punctuality
    return {
        "cron_line": recurrence.cron_line.text,
        "time_zone": recurrence.time_zone,
        "purpose": recurrence.purpose,
        "max_iteration": recurrence.max_iteration,
        "end_time": recurrence.end_time,
        "start_at": scheduling.start_at if scheduling else None,
        "start_before": scheduling.start_before if scheduling else None,
        "overlap": punctuality.overlap,
        "catch_up_runs": punctuality.catch_up_runs,
        "catch_up_window_s": punctuality.catch_up_window_s,
        "jitter_s": punctuality.jitter_s,
    }


def _fingerprint(invocation: JobInvocation) -> str:
    """Of whom a job means: when it changes, a static targeting is another one."""
    targeting = invocation.targeting
    within = targeting.within
    meant = (targeting.targeting_type, targeting.search_query, within.location, within.organization)
    return hashlib.sha256(json.dumps(meant).encode()).hexdigest()


def _taken_over(
    found: RecurringLogic | None, key: str, said: Mapping[str, Any], now: datetime
) -> RecurringLogic:
    """A recurring logic as its file has it now, with its own past."""
    if found is None:
        return RecurringLogic(key=key, since=now, seen_until=now, **said).begun(now)
    logic = replace(found, **said)
    if found.removed:
        return logic.begun(now)
    if found.state == "finished" and not is_over(logic, now):
        return logic.begun(now)
    if any(getattr(found, name) != said[name] for name in _TIMES):
        logic = replace(logic, since=now, seen_until=now - logic.delay)
    return replace(logic, reason="") if found.state == "active" else logic


def _removed(found: RecurringLogic | None, reason: str) -> RecurringLogic | None:
    return found and found.ended(reason, removed=True)


def _troubled(found: RecurringLogic | None, reason: str) -> RecurringLogic | None:
    return replace(found, reason=reason) if found and found.state == "active" else found
