"""Head: the commit that a project is at, and whether its files differ from that.

The user's own git configuration is read, so that ``safe.directory``, ignored files and line endings count
as they do for `git status`; no program that any configuration names is started.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from chargehand.frozen import frozen
from chargehand.git.command import Git, GitError
from chargehand.git.files import is_commit


@frozen
class Head:
    """What is checked out, or taken over.

    Attributes:
        commit: Its full name; None when it cannot be told.
        dirty: Whether files of the project differ from it, untracked ones included; ignored files and the
            state folder do not count. None when that cannot be told.
        signer: Who signed it, of a commit that was taken over by its signature.
        reason: Why something cannot be told, in one line.
    """

    commit: str | None = None
    dirty: bool | None = None
    signer: str | None = None
    reason: str = ""


def read_head(root: Path, *, environ: Mapping[str, str] = os.environ) -> Head | None:
    """What is checked out in a project's folder; None when it does not lie in a git repository.

    Trouble with git is a reason, never an error: nothing depends on the answer but what is told of a run.

    Args:
        root: The project's folder; nothing beside and above it is looked at.
        environ: Where git is found, and what it is started with.
    """
    begin = root.resolve()
    if not any((folder / ".git").exists() for folder in (begin, *begin.parents)):
        return None
    commit = None
    try:
        git = Git(begin, environ)
        commit = git.text("rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
        return Head(commit=commit, dirty=_is_dirty(git))
    except GitError as error:
        return Head(commit=commit, reason=str(error))


def find_commit(root: Path, revision: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """The full name of the commit that a revision means.

    Args:
        root: The project's folder.
        revision: As git reads it: a commit, branch or tag, ``HEAD~2``, ``main@{yesterday}``.
        environ: Where git is found, and what it is started with.

    Raises:
        GitError: It means no commit here, or could be taken for an option.
    """
    shown = "".join(char if char.isprintable() else "?" for char in revision)[:200]
    if not revision or revision.startswith("-") or shown != revision:
        raise GitError(f"`{shown}` is no name of a revision")
    try:
        git = Git(root.resolve(), environ)
        commit = git.text("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except GitError as error:
        raise GitError(f"`{shown}` is no commit of this repository ({error})") from None
    if not is_commit(commit):
        raise GitError(f"`{shown}` is not one commit")
    return commit


def read_branch(root: Path, *, environ: Mapping[str, str] = os.environ) -> str | None:
    """The branch that is checked out; None when none is, or when there is no git."""
    try:
        return Git(root.resolve(), environ).text("symbolic-ref", "--short", "HEAD") or None
    except GitError:
        return None


def list_files(root: Path, *, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The files of a project that are, or would be, in its next commit, relative to it.

    Args:
        root: The project's folder; only what lies below it, without the state folder and ignored files.
        environ: Where git is found, and what it is started with.

    Raises:
        GitError: It is in no git repository.
    """
    words = ("--cached", "--others", "--exclude-standard", "--", ".", ":(exclude).chargehand")
    listed = os.fsdecode(Git(root.resolve(), environ).run(("ls-files", "-z", *words)).stdout)
    return frozenset(filter(None, listed.split("\0")))


def _is_dirty(git: Git) -> bool:
    """Whether `git status` would list anything below the folder."""
    return bool(
        git.run(
            (
                "status",
                "--porcelain",
                "-z",
                "--untracked-files=normal",
                "--ignore-submodules=dirty",
                "--no-renames",
                "--",
                ".",
                ":(exclude).chargehand",
            ),
            settings=_without_filters(git),
        ).stdout
    )


def _without_filters(git: Git) -> list[str]:
    """Settings by which no filter runs; a file whose time changed may count as different then."""
    listed = os.fsdecode(git.run(("config", "--list", "-z", "--name-only")).stdout)
    drivers = {
        name.rpartition(".")[0]
        for name in listed.split("\0")
        if name.startswith("filter.") and name.count(".") > 1
    }
    if any("=" in driver for driver in drivers):
        raise GitError("a filter of the git configuration has a `=` in its name")
    return [
        f"{driver}.{setting}"
        for driver in sorted(drivers)
        for setting in ("clean=", "process=", "smudge=", "required=false")
    ]
