"""Comparison: two revisions of a project, their jobs composed, resolved and rendered, and what differs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from typing import Final

from chargehand.effective import ComposedJob, EffectiveJob, Effects, pair, reach_of
from chargehand.errors import InvalidError, Problem
from chargehand.identity import key_of
from chargehand.inventory import Programs
from chargehand.particulars import particulars_of
from chargehand.planner import Planner
from chargehand.pushing import is_meant, new_jobs
from chargehand.render.limits import PREVIEW_LIMITS
from chargehand.report.change import JobChange, ProjectChange, ReachChange, ScriptChange, Side
from chargehand.report.difference import Change
from chargehand.report.scriptdiff import ScriptDiffs
from chargehand.revision import Revision, changed_paths
from chargehand.settings import Settings
from chargehand.share import TemplateInvocation

_NEXT_RUNS: Final = 3
_EMPTY: Final[tuple[object, ...]] = (None, [], False, 0)

Shares = Mapping[str, TemplateInvocation]
"""By host."""


def compare(
    before: Revision,
    after: Revision,
    project: Planner,
    *,
    files: Sequence[str] | None = None,
    programs: Programs = "skip",
    branch: str | None = None,
) -> ProjectChange:
    """What the one revision would do otherwise than the other.

    What is refused in either is told, and the other is shown all the same.

    Args:
        before: The one.
        after: The other.
        project: The working tree, for what revisions do not have; see `Revision.open`.
        files: Job files relative to the project, of which both or one have each; None means all.
        programs: What becomes of executable inventories.
        branch: The branch that is pushed; None when that is not known.
    """
    now = project.now()
    with ExitStack() as stack:
        looks = []
        for revision in (before, after):
            look = _Look(revision)
            try:
                opened = revision.open(project, programs)
                chosen = None if files is None else [opened.root / file for file in files]
                present = chosen and [file for file in chosen if file.is_file()]
                effects = Effects(opened, now=now, files=present, limits=PREVIEW_LIMITS)
                look = _Look(revision, stack.enter_context(effects), opened.settings)
            except InvalidError as error:
                look = _Look(revision, refusal=error.problems)
            looks.append(look)
        return _Comparison(looks[0], looks[1], now, branch).result()


class _Look:
    """One revision as far as it can be understood."""

    def __init__(
        self,
        revision: Revision,
        effects: Effects | None = None,
        settings: Settings | None = None,
        *,
        refusal: Sequence[Problem] = (),
    ) -> None:
        self.revision = revision
        self.settings = settings or Settings()
        self.known = effects is not None
        self.refused: Iterable[str] = ()
        self.composed: Sequence[ComposedJob] = ()
        self.jobs: Sequence[EffectiveJob] = ()
        found = list(refusal)
        if effects is not None:
            self.composed, self.jobs, self.refused = effects.jobs, effects.all(), effects.refused
            found += effects.problems
        shown = [revision.shown_problem(problem) for problem in found]
        self.side = Side(
            name=revision.name,
            commit=revision.commit,
            problems=tuple(dict.fromkeys(shown)),
            left_out=revision.left_out,
        )

    def lacks(self, playbook: str) -> bool:
        """Whether it surely has no job that another revision has in this file."""
        return self.known and playbook not in self.refused

    def recurring(self) -> dict[str, str]:
        """Keys of recurring logics, each with its file."""
        return {
            key_of(job.playbook, job.invocation): job.playbook
            for job in self.composed
            if job.invocation.recurrence is not None
        }


class _Comparison:
    """Two revisions beside one another."""

    def __init__(self, before: _Look, after: _Look, now: datetime, branch: str | None) -> None:
        self._before = before
        self._after = after
        self._now = now
        self._branch = branch
        self._diffs = ScriptDiffs()

    def result(self) -> ProjectChange:
        """What differs."""
        started = self._started()
        pairs = pair(self._before.jobs, self._after.jobs)
        jobs = [self._job(was, now, starts=now is not None and id(now) in started) for was, now in pairs]
        was, now = self._before.recurring(), self._after.recurring()
        return ProjectChange(
            before=self._before.side,
            after=self._after.side,
            jobs=tuple(job for job in jobs if job is not None),
            unchanged=jobs.count(None),
            branch=self._branch,
            begins=tuple(key for key in now if key not in was and self._before.lacks(now[key])),
            ends=tuple(key for key in was if key not in now and self._after.lacks(was[key])),
        )

    def _started(self) -> set[int]:
        """The jobs that the push starts, as `pushing.pushed_jobs` decides it."""
        if not self._before.known:
            return set()
        paths = changed_paths(self._before.revision, self._after.revision)
        return {
            id(job)
            for job in new_jobs(self._before.jobs, self._after.jobs)
            if is_meant(job.composed, self._branch or "", paths)
        }

    def _job(self, was: EffectiveJob | None, now: EffectiveJob | None, *, starts: bool) -> JobChange | None:
        """What becomes of one job; None for nothing at all."""
        if now is None:
            return None if was is None else self._lost(was)
        if was is None:
            return self._new(now, starts=starts)
        facts = self._facts(was, now)
        moved = (was.composed.label, was.composed.playbook) != (now.composed.label, now.composed.playbook)
        same = was.fingerprint == now.fingerprint and not facts
        if same and not moved:
            return None
        hosts_before, hosts_after = _shares(was), _shares(now)
        both = [name for name in hosts_after if name in hosts_before]
        return JobChange(
            kind="moved" if same else "changed",
            label=now.composed.label,
            playbook=now.composed.playbook,
            was=(was.composed.label, was.composed.playbook) if moved else None,
            facts=facts,
            hosts_before=len(hosts_before),
            hosts_after=len(hosts_after),
            hosts_added=tuple(name for name in hosts_after if name not in hosts_before),
            hosts_removed=tuple(name for name in hosts_before if name not in hosts_after),
            reach=_reach(hosts_before, hosts_after, both),
            scripts=tuple(self._scripts(hosts_before, hosts_after)),
            runs_before=self._runs(was),
            runs_after=self._runs(now),
            starts=starts,
        )

    def _new(self, job: EffectiveJob, *, starts: bool) -> JobChange:
        composed, shares = job.composed, _shares(job)
        known = self._before.lacks(composed.playbook)
        particulars = particulars_of(composed, self._after.settings)
        return JobChange(
            kind="added" if known else "unknown",
            label=composed.label,
            playbook=composed.playbook,
            facts=tuple(
                Change(name=key, before=None, after=value)
                for key, value in particulars.items()
                if known and value not in _EMPTY
            ),
            hosts_before=0 if known else None,
            hosts_after=len(shares),
            hosts_added=tuple(shares) if known else (),
            scripts=tuple(self._scripts(None, shares)) if known else (),
            runs_after=self._runs(job),
            starts=starts,
        )

    def _lost(self, job: EffectiveJob) -> JobChange:
        composed, shares = job.composed, _shares(job)
        known = self._after.lacks(composed.playbook)
        return JobChange(
            kind="removed" if known else "unknown",
            label=composed.label,
            playbook=composed.playbook,
            hosts_before=len(shares),
            hosts_after=0 if known else None,
            hosts_removed=tuple(shares) if known else (),
            runs_before=self._runs(job),
        )

    def _facts(self, was: EffectiveJob, now: EffectiveJob) -> tuple[Change, ...]:
        before = particulars_of(was.composed, self._before.settings)
        after = particulars_of(now.composed, self._after.settings)
        return tuple(
            Change(name=key, before=before.get(key), after=after.get(key))
            for key in dict.fromkeys([*before, *after])
            if key != "name" and before.get(key) != after.get(key)
        )

    def _runs(self, job: EffectiveJob) -> tuple[str, ...]:
        starts = job.composed.invocation.next_starts(self._now)
        return tuple(at.isoformat() for at in islice(starts, _NEXT_RUNS))

    def _scripts(self, before: Shares | None, after: Shares) -> list[ScriptChange]:
        """The hosts whose scripts differ, those with the same difference together.

        Args:
            before: By host; None of a job that is new, whose scripts are all told. A host that is new to its
                job is told of only when it has no script.
            after: By host.
        """
        pairs: defaultdict[tuple[str | None, str | None, str], list[str]] = defaultdict(list)
        for host, share in after.items():
            known = None if before is None else before.get(host)
            was, now = _text(known), _text(share)
            if was != now if known else before is None or share.trouble:
                pairs[was, now, self._reason(known, share)].append(host)
        return self._diffs.fold(pairs)

    def _reason(self, was: TemplateInvocation | None, now: TemplateInvocation) -> str:
        if now.trouble is not None:
            return f"does not render: {self._after.revision.shown(now.trouble.reason)}"
        if was is not None and was.trouble is not None:
            return f"did not render: {self._before.revision.shown(was.trouble.reason)}"
        return ""


def _shares(job: EffectiveJob) -> Shares:
    return {share.host: share for share in job.plan.template_invocations}


def _text(share: TemplateInvocation | None) -> str | None:
    if share is None or share.script is None:
        return None
    return share.script.content.decode("utf-8", "backslashreplace")


def _reach(before: Shares, after: Shares, hosts: Iterable[str]) -> tuple[ReachChange, ...]:
    found: dict[str, tuple[str, object, object, list[str]]] = {}
    for host in hosts:
        was, now = reach_of(before[host]), reach_of(after[host])
        for name in was:
            if was[name] != now[name]:
                key = repr((name, was[name], now[name]))
                found.setdefault(key, (name, was[name], now[name], []))[3].append(host)
    return tuple(
        ReachChange(name=name, before=old, after=new, hosts=tuple(names))
        for name, old, new, names in found.values()
    )
