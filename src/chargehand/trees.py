"""Trees: the files of commits that were taken over on this machine, and which of them are in force.

A tree has the name of its commit and gets it when it is complete, so one that is there is whole. What is in
force is a link that is replaced in one step. The store says what is in force for all machines; a tree is how
this one has it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from chargehand.frozen import frozen
from chargehand.git.command import GitError
from chargehand.git.files import is_commit
from chargehand.git.head import Head

_CURRENT: Final = "current"
_DRAFT: Final = ".draft"
_KEPT_S: Final = 86_400.0
"""A run that began with files which are no longer in force may go on with them so long."""


@frozen
class Tree:
    """The files of a commit.

    Attributes:
        root: Their folder.
        head: The commit, and who signed it.
    """

    root: Path
    head: Head


class Trees:
    """The trees of one project.

    Args:
        state: The folder of what the project keeps.
        path: Of the project in its repository; empty is all of it.

    Attributes:
        folder: Where they are.
        mirror: The copy of the repository that they come from.
    """

    def __init__(self, state: Path, path: str = "") -> None:
        self._ending = f"-{hashlib.sha256(path.encode()).hexdigest()[:8]}" if path else ""
        self.folder = state / "git"
        self.mirror = self.folder / "mirror.git"

    def current(self) -> Tree | None:
        """The tree in force; None as long as there is none."""
        try:
            name = (self.folder / _CURRENT).readlink().name
        except OSError:
            return None
        commit = name.removesuffix(self._ending)
        return self.find(commit) if name == commit + self._ending else None

    def find(self, commit: str) -> Tree | None:
        """The tree of a commit, if it is here."""
        root, note = self._places(commit)
        try:
            signer = json.loads(note.read_text(encoding="utf-8"))["signer"]
        except (OSError, ValueError, KeyError):
            return None
        if not root.is_dir() or not is_commit(commit):
            return None
        return Tree(root=root, head=Head(commit=commit, dirty=False, signer=signer))

    def add(self, commit: str, signer: str | None, write: Callable[[Path], object]) -> Tree:
        """Have the files of a commit here; whoever adds holds the lock of the trees.

        Args:
            commit: Its full name.
            signer: Who signed it.
            write: Writes them into a folder.

        Raises:
            GitError: They cannot be written.
        """
        root, note = self._places(commit)
        draft = root.with_name(f"{root.name}{_DRAFT}")
        try:
            if not root.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir(mode=0o700)
                write(draft)
                os.sync()  # so that not even a power cut leaves a tree with holes
                draft.rename(root)
            _replace(note, json.dumps({"signer": signer}))
        except OSError as error:
            raise GitError(f"{root}: cannot be written: {error.strerror}") from None
        return Tree(root=root, head=Head(commit=commit, dirty=False, signer=signer))

    def switch(self, commit: str) -> None:
        """Put a tree into force on this machine, in one step.

        Raises:
            GitError: That cannot be done.
        """
        draft = self.folder / f"{_CURRENT}{_DRAFT}"
        try:
            draft.unlink(missing_ok=True)
            draft.symlink_to(f"{commit}{self._ending}")
            draft.replace(self.folder / _CURRENT)
        except OSError as error:
            raise GitError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def prune(self, kept: Collection[str | None], now: datetime) -> None:
        """Remove drafts, and trees of more than a day ago but for some."""
        for path in self.folder.iterdir():
            name = path.name.partition(".")[0]
            commit = name.partition("-")[0]
            if path.name.startswith((_CURRENT, self.mirror.name)) or commit in kept or not path.is_dir():
                continue
            with suppress(OSError):
                if path.name.endswith(_DRAFT) or now.timestamp() - path.stat().st_ctime > _KEPT_S:
                    shutil.rmtree(path)
                    (self.folder / f"{name}.json").unlink(missing_ok=True)

    def _places(self, commit: str) -> tuple[Path, Path]:
        """The folder of a tree, and the note beside it."""
        root = self.folder / f"{commit}{self._ending}"
        return root, root.with_name(f"{root.name}.json")


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}{_DRAFT}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
