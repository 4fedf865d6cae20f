"""Effective jobs: what one run of a job does - every script, where and as whom - and its fingerprint.

Two jobs with one fingerprint do the same, whatever they are called, wherever they stand and however they are
written. When a job runs, who is told of it and what it is called is no part of that, and neither is any
secret. Nothing in it depends on the clock, on chance or on the folder of the project.
"""

import hashlib
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final, Self

from chargehand import schema
from chargehand.compose import Overrides
from chargehand.document import load
from chargehand.errors import InvalidError, Problem
from chargehand.frozen import frozen
from chargehand.invocation import JobInvocation, Secrets
from chargehand.job import read_jobs
from chargehand.plan import Plan, make_plan
from chargehand.planner import Planner
from chargehand.reference import SecretReference
from chargehand.render.limits import RenderLimits
from chargehand.render.renderer import Renderer
from chargehand.share import TemplateInvocation
from chargehand.targeting import resolve
from chargehand.validation import compose_all

_SUBMITTED: Final = Overrides(submitted=True)
_BY_NAME: Final = Random(0)  # noqa: S311 - never asked, since nothing is shuffled
_MOST_PROBLEMS: Final = 200


@frozen
class ComposedJob:
    """A job that can be composed, with its file.

    Attributes:
        playbook: The job file, relative to the project.
        invocation: What it means.
    """

    playbook: str
    invocation: JobInvocation

    @property
    def name(self) -> str:
        """What people call it; empty when it has no name."""
        return self.invocation.job.text("name") or ""

    @property
    def key(self) -> str:
        """Its file, and its name or its number in the file."""
        root = self.invocation.job.root
        return f"{self.playbook}#{self.name or (int(root[0]) + 1 if root else 1)}"

    @property
    def label(self) -> str:
        """Its name, else its key."""
        return self.name or self.key


@frozen
class EffectiveJob:
    """What one run of a job does.

    Attributes:
        composed: The job.
        plan: Its hosts by name, with their scripts; secrets masked.
        fingerprint: Of all that, in hex.
    """

    composed: ComposedJob
    plan: Plan
    fingerprint: str


class Effects:
    """The effective jobs of a project, each made when it is asked for; a context manager.

    Attributes:
        jobs: Every job of the files that are not refused.
        problems: What is wrong, errors and warnings; grows when an effective job cannot be made.
        refused: What is wrong with the files that are refused, or of which a job is, by their paths.

    Args:
        project: Whose.
        now: For dates in queries; the same for every project that is compared with it.
        files: Job files; None means all of the project.
        limits: What rendering may cost.

    Raises:
        InvalidError: With what is wrong with a part that every job uses.
    """

    def __init__(
        self,
        project: Planner,
        *,
        now: datetime,
        files: Sequence[Path] | None = None,
        limits: RenderLimits | None = None,
    ) -> None:
        self._project = project
        self._now = now
        self._catalogue = project.catalogue
        self._made: dict[object, EffectiveJob | None] = {}
        self.problems: list[Problem] = list(self._catalogue.warnings)
        self.refused: dict[str, tuple[Problem, ...]] = {}
        self.jobs: tuple[ComposedJob, ...] = tuple(
            job for file in (project.job_files if files is None else files) for job in self._read(file)
        )
        inventory = project.inventory
        self._renderer = Renderer(project.templates, inventory.hosts, inventory.groups, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.close()

    def of(self, job: ComposedJob) -> EffectiveJob | None:
        """The effective job; None when it cannot be made, which is in `problems` then."""
        place = job.playbook, job.invocation.job.root
        if place not in self._made:
            try:
                self._made[place] = self._make(job)
            except InvalidError as error:
                self._refuse(job.playbook, error.problems)
                self._made[place] = None
        return self._made[place]

    def alike(self, other: "Effects") -> set[str]:
        """The keys of jobs that do the same in both without a look at their scripts.

        All that goes into these is the same: every template, host and setting, and what the job says. Values
        are compared as they are written, since ``1``, ``1.0`` and ``true`` are equal and print another text.
        """
        if self.ingredients() != other.ingredients():
            return set()
        own, others = self.by_key(), other.by_key()
        return {key for key, job in own.items() if key in others and _said(job) == _said(others[key])}

    def by_key(self) -> dict[str, ComposedJob]:
        """The jobs that alone have their key, by it."""
        counts = Counter(job.key for job in self.jobs)
        return {job.key: job for job in self.jobs if counts[job.key] == 1}

    def ingredients(self) -> tuple[object, ...]:
        """What every job is made of."""
        project = self._project
        return (
            [replace(each, file="") for each in project.templates],
            [(host.name, host.id, host.groups, repr(host.vars)) for host in project.inventory],
            project.inventory.groups,
            replace(project.settings, file=""),
        )

    def all(self, leaving: Container[str] = ()) -> list[EffectiveJob]:
        """Every effective job that can be made, in the order of the files, without those of some keys."""
        wanted = (job for job in self.jobs if job.key not in leaving)
        return [effective for job in wanted if (effective := self.of(job)) is not None]

    def _read(self, file: Path) -> list[ComposedJob]:
        """The jobs of a file; none when there is anything wrong with one of them."""
        playbook = file.relative_to(self._project.root).as_posix()
        if len(self.problems) >= _MOST_PROBLEMS:
            self._refuse(playbook, [Problem(f"`{playbook}` was not looked at: too many problems")])
            return []
        try:
            document = load(file)
            problems = schema.check(document)
            invocations, found = compose_all(
                read_jobs(document), self._catalogue, now=self._now, overrides=_SUBMITTED
            )
        except InvalidError as error:
            problems, found, invocations = list(error.problems), [], []
        problems += [problem for problem in found if problem not in problems]
        if any(problem.severity == "error" for problem in problems):
            self._refuse(playbook, problems)
            return []
        self.problems += problems
        return [ComposedJob(playbook=playbook, invocation=each) for each in invocations]

    def _make(self, job: ComposedJob) -> EffectiveJob:
        project, invocation = self._project, job.invocation
        targeting = replace(invocation.targeting, randomized_ordering=None)
        hosts = resolve(targeting, project.inventory, now=self._now, shuffle=_BY_NAME)
        plan = make_plan(invocation, hosts, project.inventory, self._renderer, project.settings)
        return EffectiveJob(composed=job, plan=plan, fingerprint=_fingerprint(plan))

    def _refuse(self, playbook: str, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        self.refused[playbook] = (*self.refused.get(playbook, ()), *errors)
        self.problems += [problem for problem in problems if problem not in self.problems]


def pair(
    before: Sequence[EffectiveJob], after: Sequence[EffectiveJob]
) -> list[tuple[EffectiveJob | None, EffectiveJob | None]]:
    """The jobs of two revisions, each beside what it was: those of `after` in order, then what is gone.

    A job is what it was if it does the same under the same key; else if it does the same and has the same
    name, or does the same at all; else if it has the same key, or the same name. Jobs without hosts do
    nothing, so that doing the same says nothing of them.
    """
    found: dict[int, EffectiveJob] = {}
    taken: set[int] = set()
    for same in _SAME:
        known: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for place, job in enumerate(before):
            if place not in taken:
                known[same(job)].append(place)
        for number, job in enumerate(after):
            wanted = same(job)
            if number not in found and wanted is not None and known[wanted]:
                place = known[wanted].popleft()
                taken.add(place)
                found[number] = before[place]
    pairs = [(found.get(number), job) for number, job in enumerate(after)]
    return [*pairs, *((job, None) for place, job in enumerate(before) if place not in taken)]


_SAME: Final[Sequence[Callable[[EffectiveJob], Hashable | None]]] = (
    lambda job: (job.composed.key, job.fingerprint),
    lambda job: (job.composed.name, job.fingerprint) if job.composed.name and job.plan.hosts else None,
    lambda job: job.fingerprint if job.plan.hosts else None,
    lambda job: job.composed.key,
    lambda job: job.composed.name or None,
)


def reach_of(share: TemplateInvocation) -> Mapping[str, object]:
    """Where a host is reached, and as whom, by the words of settings and job files."""
    become = share.script.become if share.script else None
    return {
        "provider": share.settings.provider,
        "address": share.settings.address,
        "port": share.settings.port,
        "ssh_user": share.settings.user,
        "effective_user": become.user if become else None,
        "effective_user_method": become.method if become else None,
        "effective_user_executable": become.executable if become else None,
        "effective_user_flags": list(become.flags) if become else None,
    }


def references_of(secrets: Secrets) -> Mapping[str, SecretReference]:
    """The secret references of an invocation, by the key of the job file."""
    own = {
        "password": secrets.password,
        "key_passphrase": secrets.key_passphrase,
        "ssh.effective_user_password": secrets.effective_user_password,
    }
    inputs = {f"inputs.{name}": reference for name, reference in secrets.inputs.items()}
    return {name: reference for name, reference in own.items() if reference is not None} | inputs


def _said(job: ComposedJob) -> tuple[object, ...]:
    """What a job says, and what its names came to."""
    invocation = job.invocation
    return (
        repr(invocation.job.value()),
        invocation.inputs,
        invocation.template.template_inputs,
        invocation.targeting,
        invocation.effective_user,
    )


def _fingerprint(plan: Plan) -> str:
    invocation = plan.invocation
    meant = {
        "hosts": {
            share.host: [reach_of(share), share.script.sha256 if share.script else None]
            for share in plan.template_invocations
        },
        "randomized_ordering": bool(invocation.targeting.randomized_ordering),
        "limits": asdict(invocation.limits),
        "execution_timeout_interval": invocation.execution_timeout_interval,
        "idle_timeout": invocation.idle_timeout_s,
        "time_to_pickup": invocation.time_to_pickup,
        "secrets": {
            name: [reference.kind, reference.name, reference.argv]
            for name, reference in references_of(invocation.secrets).items()
        },
    }
    return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()
