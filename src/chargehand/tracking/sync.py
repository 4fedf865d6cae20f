"""Sync: bring what is in force to the newest commit of the tracked branch, if that may be and is whole.

What happens when, so that a process that dies at any instant leaves the old state or the new one: the files
of the commit are complete before the store says that it is in force, the link of this machine follows the
store, and what the push starts is written down after that, each job once. What is left to be done is done by
the next sync, before anything else.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from chargehand.compose import Overrides
from chargehand.errors import (
    ChargehandError,
    InvalidError,
    PolicyError,
    Problem,
    SecretError,
    TrackingError,
    UsageError,
)
from chargehand.failpoint import reach
from chargehand.frozen import frozen
from chargehand.git.command import GitError
from chargehand.git.credential import Credential
from chargehand.git.mirror import Mirror
from chargehand.identity import find_clashes
from chargehand.layout import PLAYBOOKS
from chargehand.past.folder import locked, prepare_folder
from chargehand.project import Project
from chargehand.provenance import Trigger
from chargehand.reference import read_reference
from chargehand.remote import Remote
from chargehand.secret import Secret
from chargehand.store import Revision
from chargehand.tracking.policy import check_policy
from chargehand.tracking.pushes import claim_pushes
from chargehand.trees import Tree

_SUBMITTED: Final = Overrides(submitted=True)
_CODES: Final[Mapping[type[ChargehandError], str]] = {
    PolicyError: "policy",
    TrackingError: "unreachable",
    InvalidError: "invalid",
}


@frozen
class Synced:
    """What a sync came to.

    Attributes:
        revision: What is known of the repository now.
        before: The commit that was in force until now.
        started: Ids of invocations that the push starts.
        refusal: Why nothing was taken over; None when something was, or there was nothing new.
        news: Whether that is the case for the first time.
        notes: What should be known, a line each.
    """

    revision: Revision
    before: str | None
    started: tuple[int, ...] = ()
    refusal: ChargehandError | None = None
    news: bool = False
    notes: tuple[str, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether another commit is in force than before."""
        return self.revision.commit != self.before


def sync(project: Project, *, trigger: Trigger = "push", run_first: bool = False) -> Synced:
    """Look at the tracked repository, and take its newest commit over.

    What is wrong with a commit or with the repository is in the answer, and in the store.

    Args:
        project: Whose settings track a repository.
        trigger: What had it looked for.
        run_first: Whether the first commit that is ever taken over starts the jobs that pushes start.

    Raises:
        UsageError: No repository is tracked.
        StoreError: The store cannot be used; the next sync finishes what was begun.
    """
    remote = _remote_of(project)
    folder = project.trees.folder
    prepare_folder(project.state)
    prepare_folder(folder)
    with locked(folder / ".lock"):
        return _Sync(project, remote, trigger, run_first=run_first).go()


def is_due(project: Project) -> bool:
    """Whether the last look at the repository is so long ago that the settings want another."""
    remote = _remote_of(project)
    revision = project.store.revisions.find(remote.name)
    tree = project.trees.current()
    if not revision.settled or tree is None or tree.head.commit != revision.commit:
        return True
    tried_at = revision.tried_at
    return tried_at is None or not timedelta() <= project.now() - tried_at < timedelta(
        seconds=remote.interval
    )


class _Sync:
    """One sync; the lock of the trees is held."""

    def __init__(self, project: Project, remote: Remote, trigger: Trigger, *, run_first: bool) -> None:
        self._project = project
        self._remote = remote
        self._trigger = trigger
        self._run_first = run_first
        self._trees = project.trees
        self._mirror = Mirror(self._trees.mirror)
        self._revisions = project.store.revisions
        self._started: tuple[int, ...] = ()
        self._notes: tuple[str, ...] = ()

    def go(self) -> Synced:
        """Finish what was begun, then look for something new."""
        before = self._find()
        refusal: ChargehandError | None = None
        commit: str | None = None
        try:
            commit = self._fetch()
        except TrackingError as error:
            refusal = error
        try:
            self._catch_up(before)
            if commit is not None:
                self._take(commit, before)
        except (PolicyError, InvalidError, TrackingError) as error:
            refusal = refusal or error
        news = False
        if refusal is not None:
            news = self._refuse(commit, refusal)
        after = self._find()
        self._trees.prune({after.commit, after.before, commit}, self._project.now())
        return Synced(
            revision=after,
            before=before.commit,
            started=self._started,
            refusal=refusal,
            news=news,
            notes=self._notes,
        )

    def _find(self) -> Revision:
        return self._revisions.find(self._remote.name)

    def _fetch(self) -> str:
        reach("before-fetch")
        try:
            commit = self._mirror.fetch(self._remote, _credential(self._project, self._remote))
        except (GitError, SecretError) as error:
            raise TrackingError(f"{self._remote.name}: {' '.join(str(error).split())}") from None
        reach("after-fetch")
        return commit

    def _catch_up(self, revision: Revision) -> None:
        """Have here what the store says is in force, and written down what its push starts."""
        if revision.commit is None:
            return
        tree = self._trees.current()
        if tree is None or tree.head.commit != revision.commit:
            if not self._mirror.has(revision.commit):
                what = f"commit {revision.commit[:12]} is in force, and the repository does not give it"
                raise TrackingError(f"{self._remote.name}: {what}")
            self._export(revision.commit, revision.signer)
            self._trees.switch(revision.commit)
        if not revision.settled:
            self._settle(revision)

    def _take(self, commit: str, before: Revision) -> None:
        """Take a commit over, if it may be and is whole.

        Raises:
            PolicyError: It may not be.
            InvalidError: It is not whole.
            TrackingError: The mirror does not give what it is asked for.
        """
        if commit == before.commit:
            self._revisions.see(self._remote.name, commit, self._project.now())
            return
        remote, base = self._remote, self._project.home
        try:
            signer = check_policy(self._mirror, remote, commit, before=before.commit, base=base)
        except GitError as error:
            raise PolicyError(f"commit {commit[:12]} cannot be checked: {error}") from None
        reach("before-export")
        tree = self._export(commit, signer)
        reach("after-export")
        self._validate(tree)
        reach("before-take")
        taken = self._revisions.take(
            remote.name,
            commit,
            before=before.commit,
            signer=signer,
            trigger=self._trigger,
            settled=before.commit is None and not self._run_first,
            at=self._project.now(),
        )
        reach("after-take")
        revision = self._find()
        if not taken:
            self._notes += ("another machine took a commit over in this moment: the next sync goes on",)
            return
        self._trees.switch(commit)
        reach("after-switch")
        if not revision.settled:
            self._settle(revision)

    def _export(self, commit: str, signer: str | None) -> Tree:
        try:
            return self._trees.add(
                commit, signer, lambda folder: self._mirror.export(commit, self._remote.path, folder)
            )
        except GitError as error:
            raise InvalidError(Problem(str(error), rule="git")) from None

    def _validate(self, tree: Tree) -> None:
        """Refuse files that are not whole: every job is composed, and its scripts are rendered."""
        parts = (PLAYBOOKS, *self._project.settings.inventory)
        if not any((tree.root / part).exists() for part in parts):
            where = f"`{self._remote.path}` of it" if self._remote.path else "it"
            commit = str(tree.head.commit)[:12]
            message = f"commit {commit} holds no project: {where} has no {PLAYBOOKS}/ and no inventory"
            raise InvalidError(Problem(message, hint="set `path` in [git]", rule="git"))
        try:
            found = self._project.at(tree).validate(overrides=_SUBMITTED)
        except InvalidError as error:
            raise InvalidError([_shown(each, tree.root) for each in error.problems]) from None
        errors = [each for each in found.problems if each.severity == "error"]
        errors += find_clashes(found.invocations, tree.root)
        if errors:
            raise InvalidError([_shown(each, tree.root) for each in errors])

    def _settle(self, revision: Revision) -> None:
        """Write down what the push of the commit in force starts."""
        commit, before = str(revision.commit), revision.before
        after = self._project.at(self._trees.find(commit) or self._export(commit, revision.signer))
        earlier = None
        if before is not None:
            tree = self._trees.find(before)
            if tree is None and self._mirror.has(before):
                tree = self._export(before, None)
            if tree is None:
                self._notes += (f"commit {before[:12]} is gone: its successor starts no job",)
                self._revisions.settle(revision.name, commit)
                return
            earlier = self._project.at(tree)
        try:
            self._started += claim_pushes(
                earlier,
                after,
                branch=self._remote.branch,
                paths=self._changed(before, commit),
                trigger=revision.trigger,
            )
        except InvalidError as error:
            self._notes += (f"nothing starts by this push: {str(error).splitlines()[0]}",)
        reach("before-settle")
        self._revisions.settle(revision.name, commit)

    def _changed(self, before: str | None, commit: str) -> frozenset[str]:
        """What differs between two commits, relative to the project."""
        below = f"{self._remote.path}/" if self._remote.path else ""
        try:
            paths = self._mirror.changed(before, commit)
        except GitError as error:
            raise TrackingError(f"{self._remote.name}: {error}") from None
        return frozenset(path.removeprefix(below) for path in paths if path.startswith(below))

    def _refuse(self, commit: str | None, refusal: ChargehandError) -> bool:
        code = next(code for kind, code in _CODES.items() if isinstance(refusal, kind))
        return self._revisions.refuse(
            self._remote.name,
            None if code == "unreachable" else commit,
            code=code,
            reason=_one_line(refusal),
            at=self._project.now(),
        )


def _remote_of(project: Project) -> Remote:
    if project.settings.git is None:
        raise UsageError("no repository is tracked here: set `url` in the table [git] of chargehand.toml")
    if project.settings.git.suspended:
        raise UsageError(f"{project.settings.git.name} is suspended: nothing is taken over")
    return project.settings.git


def _credential(project: Project, remote: Remote) -> Credential:
    """What the repository asks for, looked up."""
    settings = project.settings

    def look_up(value: object) -> Secret | None:
        return None if value is None else project.look_up(read_reference(value))

    key = remote.private_key_file
    return Credential(
        server=remote.server,
        user=remote.user,
        token=look_up(remote.token),
        private_key_file=None if key is None else str(project.home.resolve() / Path(key).expanduser()),
        private_key=look_up(remote.private_key),
        known_hosts_files=settings.known_hosts_files,
        ssh_config_file=settings.ssh_config_file,
    )


def _shown(problem: Problem, root: Path) -> Problem:
    """A problem of a tree, with its file as the repository calls it."""
    place = problem.place
    if place is None or not Path(place.file).is_relative_to(root):
        return problem
    return replace(problem, place=replace(place, file=str(Path(place.file).relative_to(root))))


def _one_line(error: ChargehandError) -> str:
    if not isinstance(error, InvalidError):
        return " ".join(str(error).split())
    first, *rest = error.problems
    where = f"{first.place}: " if first.place else ""
    return f"{where}{first.message}" + (f" (and {len(rest)} more)" if rest else "")
