"""Revisions: the files of a commit, or the working tree, as a project; nothing is checked out or executed."""

import filecmp
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from chargehand.errors import Place, Problem, SecretError, SettingsError, UsageError
from chargehand.frozen import frozen
from chargehand.git.command import GitError
from chargehand.git.files import export
from chargehand.git.head import find_commit, list_files
from chargehand.inventory import Programs
from chargehand.planner import Planner
from chargehand.secret import Secret
from chargehand.settings import Settings, load_settings

WORKING_TREE: Final = "the working tree"


@frozen
class Revision:
    """The files of a project at one time.

    Attributes:
        name: What they were asked for by.
        commit: Its full name; None of the working tree.
        root: The folder they are in.
        files: Their paths in it.
        left_out: Paths of symbolic links and submodules, which are not taken from a commit.
    """

    name: str
    commit: str | None
    root: Path
    files: frozenset[str]
    left_out: tuple[str, ...] = ()

    def open(self, project: Planner, programs: Programs = "skip") -> Planner:
        """The project with these files.

        Args:
            project: As it is in the working tree: its inventory sources as far as they were given, its vault
                passwords and its clock hold.
            programs: What becomes of executable inventories.

        Raises:
            SettingsError: The settings are refused, or name what lies outside of the project.
        """
        settings = project.settings
        if self.commit is not None:
            settings = load_settings(self.root)
            _check_inside(settings, self.root)
        return Planner(
            self.root,
            replace(settings, vault_password_files=()),
            inventory=[_source(each, project.root, self.root) for each in project.given_sources],
            programs=programs,
            vault_passwords=_vault_passwords(project),
            clock=project.now,
            home=project.home,
        )

    def shown(self, text: str) -> str:
        """A text with its paths relative to the project."""
        return text if self.root == Path() else text.replace(f"{self.root}/", "")

    def shown_problem(self, problem: Problem) -> Problem:
        """A problem with its paths relative to the project."""
        place, hint = problem.place, problem.hint
        return replace(
            problem,
            message=self.shown(problem.message),
            hint=hint and self.shown(hint),
            place=place and replace(place, file=self.shown(place.file)),
        )


@contextmanager
def open_revision(root: Path, name: str | None, option: str) -> Iterator[Revision]:
    """The files of a revision, for the length of the block.

    Args:
        root: The project in the working tree.
        name: As git reads it; None means the working tree.
        option: That gave it, for messages.

    Raises:
        UsageError: There is no such commit, or its files cannot be had.
    """
    try:
        if name is None:
            yield Revision(name=WORKING_TREE, commit=None, root=root, files=_regular(root, list_files(root)))
            return
        commit = find_commit(root, name)
        with tempfile.TemporaryDirectory(prefix="chargehand-") as folder:
            exported = export(root, commit, Path(folder))
            found = (path for path in Path(folder).rglob("*") if path.is_file())
            files = frozenset(path.relative_to(folder).as_posix() for path in found)
            yield Revision(
                name=name, commit=commit, root=Path(folder), files=files, left_out=exported.left_out
            )
    except GitError as error:
        raise UsageError(f"{option}: {error}") from None


def changed_paths(before: Revision, after: Revision) -> frozenset[str]:
    """The files that differ, byte by byte, or that only one of them has."""
    both = before.files & after.files
    _, differ, unread = filecmp.cmpfiles(before.root, after.root, both, shallow=False)
    return (before.files ^ after.files) | frozenset(differ) | frozenset(unread)


def _regular(root: Path, files: frozenset[str]) -> frozenset[str]:
    paths = {name: root / name for name in files}
    return frozenset(name for name, path in paths.items() if path.is_file() and not path.is_symlink())


def _check_inside(settings: Settings, root: Path) -> None:
    """Refuse settings of a commit that would have other files of this machine read."""
    named = {
        "inventory": settings.inventory,
        "templates": (settings.templates,),
        "blackout": settings.blackout,
    }
    problems = [
        Problem(
            f"`{key}` names `{name}`, which lies outside of the project, so that no commit has it",
            Place(settings.file),
            "-i gives an inventory that holds for both revisions" if key == "inventory" else None,
            rule="settings",
        )
        for key, names in named.items()
        for name in names
        if not Path(os.path.normpath(root / name)).is_relative_to(root)
    ]
    if problems:
        raise SettingsError(problems)


def _source(source: str, root: Path, folder: Path) -> str:
    """An inventory source that was given: in these files, if it lies in the project."""
    path = Path(os.path.abspath(Path(source).expanduser()))  # noqa: PTH100 - resolve() would follow links
    if ("," in source and not path.exists()) or not path.is_relative_to(root.resolve()):
        return source
    return str(folder / path.relative_to(root.resolve()))


def _vault_passwords(project: Planner) -> tuple[Secret, ...]:
    """Those that can be had: without them what is encrypted stays so."""
    try:
        return project.vault_passwords
    except SecretError:
        return ()
