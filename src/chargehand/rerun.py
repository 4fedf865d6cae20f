"""Rerun: an invocation again, on exactly the hosts that are asked for - never more, never looked up anew.

The hosts are those that the store has, by name and in the order of that run, shuffled or not. Job, template,
inventory and settings are those of the files, as they are now or as they were at the recorded commit.
"""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from chargehand.compose import NO_OVERRIDES, Overrides
from chargehand.document import parse
from chargehand.errors import InvalidError, NoHostMatchedError, Problem, UnknownHostError, UsageError
from chargehand.frozen import frozen
from chargehand.git.command import GitError
from chargehand.git.files import Exported
from chargehand.inventory import Inventory
from chargehand.invocation import JobInvocation
from chargehand.job import Job, read_jobs
from chargehand.launch import launch_of
from chargehand.past import Stored
from chargehand.plan import NO_ACCESS, Access, Selection
from chargehand.provenance import Launch, Provenance
from chargehand.repository import Repository
from chargehand.result import Status
from chargehand.targeting import pick, query_for

Part = Literal["failed", "unreached", "succeeded"]

OUTCOMES: Final[Mapping[Part, frozenset[Status]]] = {
    "failed": frozenset({Status.FAILED, Status.TIMED_OUT}),
    "unreached": frozenset(
        {
            Status.UNREACHABLE,
            Status.NOT_STARTED,
            Status.CANCELLED,
            Status.SKIPPED,
            Status.UNKNOWN,
            Status.PENDING,
        }
    ),
    "succeeded": frozenset({Status.SUCCEEDED}),
}
"""What the hosts of each part came to; every status is in one of them."""

_NOW: Final = "leave out --recorded to run the files as they are now"


@frozen
class Wish:
    """How an invocation is to be repeated.

    Attributes:
        parts: On which of its hosts; none of them means all.
        recorded: With the files of the recorded commit.
        skip_missing: Whether hosts that the job does not see any more are left out.
        overrides: Over those of that time.
        access: Over that of that time; passwords are never kept.
    """

    parts: frozenset[Part] = frozenset()
    recorded: bool = False
    skip_missing: bool = False
    overrides: Overrides = NO_OVERRIDES
    access: Access = NO_ACCESS


ALL_AGAIN: Final = Wish()


@frozen
class Repetition:
    """What is run again.

    Attributes:
        invocation: Composed anew; without a schedule.
        selection: The hosts.
        overrides: Those of that time, and those given now.
        access: Likewise.
        provenance: Where the new invocation comes from.
        missing: Hosts left out, since the job does not see them any more.
        notes: What should be known before it runs, a line each.
    """

    invocation: JobInvocation
    selection: Selection
    overrides: Overrides
    access: Access
    provenance: Provenance
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def launch(self, project: Repository) -> Launch:
        """What is kept of it, to repeat it once more."""
        return launch_of(
            self.invocation,
            overrides=self.overrides,
            access=self.access,
            inventory=project.given_sources,
            root=project.root,
        )


def check_repeatable(stored: Stored, wish: Wish, *, is_alive: bool) -> None:
    """Refuse what cannot be repeated, whatever the files say.

    Args:
        stored: The invocation.
        wish: How it is to be repeated.
        is_alive: Whether its runner is.

    Raises:
        UsageError: It is not over, or something must be given again.
        NoHostMatchedError: No host came to what is asked for.
    """
    number, state = stored.record.id, stored.record.state
    if state == "scheduled":
        raise UsageError(f"invocation {number} has not begun; `chargehand cancel {number}` takes it back")
    if state != "stopped" and is_alive:
        raise UsageError(f"invocation {number} still runs; wait for it, or `chargehand cancel {number}`")
    if state != "stopped":
        raise UsageError(f"invocation {number} was cut off; `chargehand resume {number}` finishes it")
    choose_names(stored, wish.parts)
    check_given(stored, wish)


def check_given(stored: Stored, wish: Wish) -> None:
    """Refuse to go on without what was left out of the record.

    Raises:
        UsageError: Naming everything that must be given again.
    """
    if lacking := _lacking(stored, wish):
        said, number = ", ".join(lacking), stored.record.id
        raise UsageError(f"secrets are not kept; to repeat invocation {number} give again: {said}")


def choose_names(stored: Stored, parts: Collection[Part]) -> tuple[str, ...]:
    """The hosts of an invocation that came to what is asked for, in the order of that run.

    Raises:
        NoHostMatchedError: There is none; nobody else is taken instead.
    """
    number = stored.record.id
    if not stored.shares:
        raise NoHostMatchedError(f"invocation {number} never had a host; there is nothing to repeat")
    wanted = {status for part in parts or OUTCOMES for status in OUTCOMES[part]}
    names = tuple(share.host_name for share in stored.shares if Status(share.status) in wanted)
    if not names:
        said = " or ".join(part for part in OUTCOMES if part in parts)
        raise NoHostMatchedError(f"no host of invocation {number} is {said}; nothing is run")
    return names


def parts_of(statuses: Iterable[Status]) -> tuple[Part, ...]:
    """The parts in which hosts are that came to these, without those that succeeded."""
    found = set(statuses)
    return tuple(part for part in OUTCOMES if part != "succeeded" and found & OUTCOMES[part])


def find_job(stored: Stored, read: Callable[[str], Sequence[Job]]) -> Job:
    """The job that an invocation was launched from: by its file and name; without a name, by its number.

    Args:
        stored: The invocation.
        read: Gives the jobs of a job file, by its path in the project.

    Raises:
        UsageError: The file has no such job any more.
        InvalidError: The file is refused, or gone.
    """
    origin, number = _origin(stored), stored.record.id
    if origin.playbook is None:
        (job,) = read_jobs(parse(stored.launch.job, f"<invocation {number}>"))
        return job
    hint = f"`chargehand rerun {number} --recorded` takes it from the commit"
    try:
        jobs = read(origin.playbook)
    except InvalidError as error:
        raise InvalidError([replace(each, hint=each.hint or hint) for each in error.problems]) from None
    named = [job for job in jobs if (job.text("name") or "") == origin.job_name]
    numbered = [job for job in named if (job.root[0] if job.root else 0) == origin.job_number]
    found = named if origin.job_name and len(named) == 1 else numbered
    if not found:
        called = f"`{origin.job_name}`" if origin.job_name else f"number {origin.job_number + 1}"
        raise UsageError(f"`{origin.playbook}` has no job {called} any more; {hint}")
    return found[0]


def overrides_of(launch: Launch, given: Overrides) -> Overrides:
    """What options of that time and of now change about the job."""
    return Overrides(
        inputs={**launch.inputs, **given.inputs},
        ssh_user=given.ssh_user or launch.ssh_user,
        concurrency_level=given.concurrency_level or launch.concurrency_level,
        once=True,
    )


def access_of(launch: Launch, given: Access) -> Access:
    """How hosts are reached, as options of that time and of now say."""
    return replace(
        given,
        private_key_file=given.private_key_file or launch.private_key_file,
        effective_user=launch.effective_user if given.effective_user is None else given.effective_user,
    )


def repeat(
    stored: Stored, invocation: JobInvocation, inventory: Inventory, wish: Wish, provenance: Provenance
) -> Repetition:
    """What is run again.

    Args:
        stored: The invocation that is repeated.
        invocation: The same, composed anew with `overrides_of`.
        inventory: Where its hosts are looked for.
        wish: How.
        provenance: Where the new one comes from, by the files as they are now.

    Raises:
        NoHostMatchedError: No host came to what is asked for, or none of those is left.
        UnknownHostError: The job does not see some of them any more.
    """
    number = stored.record.id
    names = choose_names(stored, wish.parts)
    hosts, missing = pick(names, inventory, invocation.targeting.within)
    if missing and not wish.skip_missing:
        message = f"the job sees no host {_quoted(missing)} of invocation {number} in the inventory any more"
        raise UnknownHostError(Problem(message, hint="--skip-missing leaves them out", rule="rerun"))
    if not hosts:
        raise NoHostMatchedError(f"no host of invocation {number} is in the inventory any more")
    kept = tuple(host.name for host in hosts)
    if len(kept) < len(stored.shares):
        targeting = replace(invocation.targeting, search_query=query_for(kept), bookmark_id=None)
        invocation = replace(invocation, targeting=targeting)
    if wish.recorded:
        origin = _origin(stored)
        provenance = replace(provenance, commit=origin.commit, dirty=False, signer=origin.signer)
    return Repetition(
        invocation=invocation,
        selection=Selection(names=kept),
        overrides=overrides_of(stored.launch, wish.overrides),
        access=access_of(stored.launch, wish.access),
        provenance=provenance,
        missing=missing,
        notes=tuple(_notes(stored, provenance, kept, missing)),
    )


@contextmanager
def recorded_files(
    stored: Stored, export: Callable[[str, Path], Exported]
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The project's files at the recorded commit, in a folder that goes afterwards, and what it lacks.

    Raises:
        UsageError: They cannot be had.
    """
    origin, number = _origin(stored), stored.record.id
    if origin.commit is None:
        raise UsageError(f"invocation {number} ran from no commit; {_NOW}")
    if origin.dirty is not False:
        raise UsageError(f"the files of invocation {number} differed from its commit; {_NOW}")
    if origin.playbook is not None and Path(origin.playbook).is_absolute():
        raise UsageError(f"`{origin.playbook}` lies outside of the project, whose commits lack it; {_NOW}")
    with tempfile.TemporaryDirectory(prefix="chargehand-") as folder:
        try:
            exported = export(origin.commit, Path(folder))
        except GitError as error:
            raise UsageError(f"--recorded: {error}; fetch it, or {_NOW}") from None
        yield Path(folder), exported.left_out


def _lacking(stored: Stored, wish: Wish) -> list[str]:
    """What was left out of the record and is not given again; a job's file still has what is its own."""
    given = {f"-e {name}" for name in wish.overrides.inputs}
    given |= {"-k"} if wish.access.password else set()
    given |= {"-K"} if wish.access.effective_user_password else set()
    in_file = _origin(stored).playbook is not None
    return [
        f"{name}=VALUE" if name.startswith("-e ") else name
        for name in stored.launch.left_out
        if name not in given and (name.startswith("-") or not in_file)
    ]


def _notes(
    stored: Stored, provenance: Provenance, kept: Collection[str], missing: Sequence[str]
) -> Iterator[str]:
    origin, number = _origin(stored), stored.record.id
    now, then = _files(provenance), _files(origin)
    if now != then or origin.dirty:
        recorded = "; --recorded takes those" if origin.commit and origin.dirty is False else ""
        yield f"the files are {now}; those of invocation {number} were {then}{recorded}"
    if missing:
        yield f"left out, not in the inventory any more: {_quoted(missing)}"
    unclear = [share.host_name for share in stored.shares if share.status == Status.UNKNOWN]
    again = [name for name in unclear if name in kept]
    if again:
        yield f"the script may have run there already, and runs again: {_quoted(again)}"


def _origin(stored: Stored) -> Provenance:
    return stored.record.provenance or Provenance(user="")


def _files(provenance: Provenance) -> str:
    if provenance.commit is None:
        return "of no known commit"
    changes = {True: " with changes", False: "", None: ", perhaps with changes"}[provenance.dirty]
    return f"of commit {provenance.commit[:12]}{changes}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
