"""Repository: what a user keeps in git for Chargehand, loaded part by part."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from chargehand import inventory as inventories
from chargehand.bookmark import Bookmarks, load_bookmarks
from chargehand.compose import Catalogue
from chargehand.credentials import read_vault_passwords
from chargehand.errors import InvalidError, Problem
from chargehand.git.head import Head
from chargehand.inventory import Inventory, Programs
from chargehand.layout import INVENTORY, PLAYBOOKS, find_root, state_folder
from chargehand.moment import find_zone, utc_now
from chargehand.reference import Prompt, SecretReference, refuse_prompt, resolve
from chargehand.secret import Secret
from chargehand.settings import Settings, load_settings
from chargehand.taxonomy import Taxonomies, load_taxonomies
from chargehand.template import Templates, templates_with
from chargehand.trees import Tree, Trees


class Repository:
    """The parts of a user's repository.

    Parts are loaded when they are first asked for, so that `hosts` works in a repository whose templates
    are broken, and every load error is told by the command that needs the part.

    Attributes:
        root: Its folder.
        settings: What its chargehand.toml says.
        sources: Inventory sources: those given, else the setting's.
        given_sources: Those given.
        home: Where its state is, and what secret files are relative to; `root`, unless that is a copy.
        head: The commit that its files were taken over from; None of files that are simply there.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        *,
        inventory: Sequence[str] = (),
        programs: Programs = "run",
        vault_passwords: Sequence[Secret] = (),
        clock: Callable[[], datetime] = utc_now,
        home: Path | None = None,
        head: Head | None = None,
    ) -> None:
        self.root = root
        self.head = head
        self.home = home or root
        self.settings = settings
        self.given_sources = tuple(inventory)
        self.sources = self.given_sources or tuple(str(root / source) for source in settings.inventory)
        self._asked_programs: Programs = programs
        self._programs: Programs = "refuse" if programs == "run" and not settings.run_programs else programs
        self._vault_passwords = tuple(vault_passwords)
        self._clock = clock

    @classmethod
    def load(
        cls,
        path: Path | str = ".",
        *,
        inventory: Sequence[str] = (),
        programs: Programs = "run",
        vault_passwords: Sequence[Secret] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """The project that `path` lies in; see `find_root`.

        When its settings track a repository, the files are those of the commit in force, if there is one.

        Args:
            path: A folder.
            inventory: Inventory sources in place of the setting's, relative to the current folder.
            programs: What becomes of executable inventories: ``run`` (refused where the setting says so),
                ``refuse``, or ``skip`` with a warning.
            vault_passwords: Beside those of the settings.
            clock: The time, aware, UTC.

        Raises:
            SettingsError: Its chargehand.toml is refused.
        """
        root = find_root(Path(path))
        settings = load_settings(root)
        tree = Trees(state_folder(root), settings.git.path).current() if settings.git else None
        return cls(
            tree.root if tree else root,
            settings,
            inventory=inventory,
            programs=programs,
            vault_passwords=vault_passwords,
            clock=clock,
            home=root,
            head=tree.head if tree else None,
        )

    def reloaded(self, *, settings: Settings | None = None, inventory: Sequence[str] = ()) -> Self:
        """The same repository with its files read anew.

        Args:
            settings: In place of those of before.
            inventory: Sources in place of those of before.
        """
        return type(self)(
            self.root,
            settings or self.settings,
            inventory=inventory or self.given_sources,
            programs=self._asked_programs,
            vault_passwords=self._vault_passwords,
            clock=self._clock,
            home=self.home,
            head=self.head,
        )

    def at(self, tree: Tree | None) -> Self:
        """The same repository with the files of a commit; those of its own folder, without one."""
        root, head = (tree.root, tree.head) if tree else (self.home, None)
        if (root, head) == (self.root, self.head):
            return self
        return type(self)(
            root,
            self.settings,
            inventory=self.given_sources,
            programs=self._asked_programs,
            vault_passwords=self._vault_passwords,
            clock=self._clock,
            home=self.home,
            head=head,
        )

    @property
    def trees(self) -> Trees:
        """The files of commits that were taken over."""
        return Trees(self.state, self.settings.git.path if self.settings.git else "")

    def in_force(self) -> Self:
        """The same repository with the files that are in force now, when one is tracked."""
        return self.at(self.trees.current()) if self.settings.git else self.at(None)

    @cached_property
    def inventory(self) -> Inventory:
        """The hosts.

        Raises:
            InventoryError: With everything that is wrong with its sources.
        """
        return inventories.load(
            self.sources,
            base=Path.cwd(),
            playbook_dir=self.root / PLAYBOOKS,
            programs=self._programs,
            vault_passwords=self.vault_passwords,
        )

    @cached_property
    def templates(self) -> Templates:
        """The shipped job templates and the project's own, which win by name.

        Raises:
            TemplateError: With everything that is wrong with them.
        """
        return templates_with(self.root / self.settings.templates)

    @cached_property
    def bookmarks(self) -> Bookmarks:
        """The saved searches.

        Raises:
            InvalidError: ``inventory/bookmarks.yml`` is refused.
        """
        zone = self.settings.time_zone
        return load_bookmarks(
            self.root / INVENTORY / "bookmarks.yml",
            now=self.now(),
            time_zone=find_zone(zone) if zone else UTC,
        )

    @cached_property
    def taxonomies(self) -> Taxonomies:
        """Locations and organizations.

        Raises:
            InvalidError: ``inventory/taxonomies.yml`` is refused.
        """
        return load_taxonomies(self.root / INVENTORY / "taxonomies.yml", self.inventory)

    @cached_property
    def vault_passwords(self) -> tuple[Secret, ...]:
        """Those given, and what the setting `vault_password_files` names.

        Raises:
            SecretError: A file cannot be read, or others may read it.
        """
        return (*self._vault_passwords, *read_vault_passwords(self.settings, self.home))

    @cached_property
    def catalogue(self) -> Catalogue:
        """Everything that a job may refer to.

        Raises:
            InvalidError: With everything that is wrong with any part of it.
        """
        problems: list[Problem] = []
        for part in ("templates", "inventory", "bookmarks", "taxonomies"):
            try:
                getattr(self, part)
            except InvalidError as error:
                problems += [problem for problem in error.problems if problem not in problems]
        if problems:
            raise InvalidError(problems)
        return Catalogue(
            templates=self.templates,
            bookmarks=self.bookmarks,
            taxonomies=self.taxonomies,
            inventory=self.inventory,
            settings=self.settings,
        )

    @property
    def state(self) -> Path:
        """The folder of what is kept between commands."""
        return state_folder(self.home)

    def now(self) -> datetime:
        """The time, aware, UTC."""
        return self._clock()

    def look_up(self, reference: SecretReference, prompt: Prompt = refuse_prompt) -> Secret:
        """What a secret reference of the project leads to.

        Raises:
            SecretError: It cannot be had.
        """
        passwords = self.vault_passwords
        return resolve(
            reference, environ=os.environ, prompt=prompt, vault_passwords=passwords, base=self.home
        )
