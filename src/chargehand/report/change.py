"""Change: what two revisions of a project would do differently, as values and as one JSON document."""

from collections.abc import Sequence
from typing import Final, Literal

from chargehand.errors import Problem
from chargehand.frozen import frozen
from chargehand.report.difference import Change
from chargehand.report.invocation import Json

VERSION: Final = 1

Kind = Literal["added", "removed", "changed", "moved", "unknown"]


@frozen
class Side:
    """One of the two revisions.

    Attributes:
        name: What it was asked for by.
        commit: Its full name; None of the working tree.
        problems: What is wrong with its files, errors and warnings, with places relative to the project.
        left_out: Symbolic links and submodules, which are not taken from a commit.
    """

    name: str
    commit: str | None
    problems: tuple[Problem, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing of it is refused."""
        return all(problem.severity != "error" for problem in self.problems)

    @property
    def label(self) -> str:
        """Its name, with the beginning of its commit."""
        return f"{self.name} ({self.commit[:12]})" if self.commit else self.name


@frozen
class ReachChange:
    """Hosts that are reached elsewhere, or as somebody else."""

    name: str
    before: object
    after: object
    hosts: tuple[str, ...]


@frozen
class ScriptChange:
    """Hosts whose scripts changed by the same lines.

    Attributes:
        hosts: Their names.
        lines: Of a unified diff; None when the scripts are too long to be compared line by line.
        reason: Why there is no script after the change, or was none before it; else empty.
    """

    hosts: tuple[str, ...]
    lines: tuple[str, ...] | None
    reason: str = ""


@frozen
class JobChange:
    """What becomes of one job.

    Attributes:
        kind: ``moved`` does the same under another name or in another place, and is no change by itself;
            ``unknown`` cannot be compared, since it, or all of its revision, is refused on the other side.
        label: What it is called; what it was called, when it is removed.
        playbook: Its file.
        was: Its label and file before, where these are others.
        facts: What its file says otherwise, by key.
        hosts_before: How many there were; None when that is not known.
        hosts_after: How many there are; None when that is not known.
        hosts_added: Names.
        hosts_removed: Names.
        reach: Of hosts that it had and has.
        scripts: Likewise; of a job that is added, its scripts.
        runs_before: When it recurred next, as texts of ISO 8601.
        runs_after: When it recurs next.
        starts: Whether the push starts it.
    """

    kind: Kind
    label: str
    playbook: str
    was: tuple[str, str] | None = None
    facts: tuple[Change, ...] = ()
    hosts_before: int | None = None
    hosts_after: int | None = None
    hosts_added: tuple[str, ...] = ()
    hosts_removed: tuple[str, ...] = ()
    reach: tuple[ReachChange, ...] = ()
    scripts: tuple[ScriptChange, ...] = ()
    runs_before: tuple[str, ...] = ()
    runs_after: tuple[str, ...] = ()
    starts: bool = False


@frozen
class ProjectChange:
    """What two revisions of a project would do differently.

    Attributes:
        before: The one.
        after: The other.
        jobs: That change, in the order of the files of the other; then those that are gone.
        unchanged: How many jobs do not change.
        branch: The branch whose push is looked at; None when none is known.
        begins: Keys of recurring logics that are new.
        ends: Keys of recurring logics that end.
    """

    before: Side
    after: Side
    jobs: tuple[JobChange, ...] = ()
    unchanged: int = 0
    branch: str | None = None
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begins or self.ends) or any(job.kind != "moved" or job.starts for job in self.jobs)

    @property
    def valid(self) -> bool:
        """Whether nothing of either is refused."""
        return self.before.valid and self.after.valid

    @property
    def starts(self) -> tuple[JobChange, ...]:
        """The jobs that the push starts."""
        return tuple(job for job in self.jobs if job.starts)

    def of_kind(self, kind: Kind) -> tuple[JobChange, ...]:
        """The jobs of which that becomes."""
        return tuple(job for job in self.jobs if job.kind == kind)


def document(change: ProjectChange) -> Json:
    """A change as plain data; see docs/changes.md."""
    return {
        "v": VERSION,
        "from": _side(change.before),
        "to": _side(change.after),
        "changes": bool(change),
        "jobs": [_job(job) for job in change.jobs],
        "unchanged": change.unchanged,
        "push": {"branch": change.branch, "starts": [job.label for job in change.starts]},
        "recurring": {"begins": list(change.begins), "ends": list(change.ends)},
    }


def _side(side: Side) -> Json:
    return {
        "revision": side.name,
        "commit": side.commit,
        "valid": side.valid,
        "problems": [_problem(problem) for problem in side.problems],
        "left_out": list(side.left_out),
    }


def _problem(problem: Problem) -> Json:
    place = problem.place
    return {
        "message": problem.message,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "hint": problem.hint,
        "rule": problem.rule,
        "severity": problem.severity,
    }


def _job(job: JobChange) -> Json:
    return {
        "change": job.kind,
        "job": job.label,
        "playbook": job.playbook,
        "was": {"job": job.was[0], "playbook": job.was[1]} if job.was else None,
        "starts": job.starts,
        "facts": [_fact(fact) for fact in job.facts],
        "hosts": {
            "before": job.hosts_before,
            "after": job.hosts_after,
            "added": list(job.hosts_added),
            "removed": list(job.hosts_removed),
        },
        "reach": [_fact(each) | {"hosts": list(each.hosts)} for each in job.reach],
        "scripts": [
            {
                "hosts": list(each.hosts),
                "diff": None if each.lines is None else list(each.lines),
                "reason": each.reason,
            }
            for each in job.scripts
        ],
        "next_runs": {"before": list(job.runs_before), "after": list(job.runs_after)},
    }


def _fact(fact: Change | ReachChange) -> Json:
    return {"name": fact.name, "before": fact.before, "after": fact.after}


def in_words(change: ProjectChange) -> str:
    """``1 job added, 2 changed; 7 unchanged``."""
    kinds: Sequence[Kind] = ("added", "removed", "changed", "moved", "unknown")
    words = {"unknown": "not comparable"}
    counts = {kind: len(change.of_kind(kind)) for kind in kinds}
    said = [f"{count} {words.get(kind, kind)}" for kind, count in counts.items() if count]
    return f"jobs: {', '.join([*said, f'{change.unchanged} unchanged'])}"
