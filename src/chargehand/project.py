"""Project: a user's repository - its jobs, inventory, templates and settings - and what can be asked of it.

The composition root: everything is put together here and nowhere else. `chargehand` on the command line
is a thin layer over this class, which is the Python API as well.
"""

import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from chargehand import inventory as inventories
from chargehand.bookmark import Bookmarks, load_bookmarks
from chargehand.compose import NO_OVERRIDES, Catalogue, Overrides, compose
from chargehand.credentials import resolve_credentials
from chargehand.errors import InvalidError, Place, Problem
from chargehand.event import Observer
from chargehand.execution import Execution, execute
from chargehand.host import Host
from chargehand.inventory import Inventory
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.moment import find_zone
from chargehand.plan import EVERY_HOST, NO_ACCESS, Access, Plan, Selection, choose_hosts, make_plan
from chargehand.reference import Prompt, SecretReference, read_reference, refuse_prompt, resolve
from chargehand.render.limits import PREVIEW_LIMITS, RenderLimits
from chargehand.render.renderer import Renderer
from chargehand.runner import Runner, utc_now
from chargehand.secret import Secret
from chargehand.settings import FILE_NAME, Settings, load_settings
from chargehand.taxonomy import Taxonomies, load_taxonomies
from chargehand.template import SHIPPED_FOLDER, Templates, load_templates
from chargehand.validation import Validation, compose_all, in_order, read_files, rehearse

PLAYBOOKS = "playbooks"
JOB_SUFFIXES = (".yml", ".yaml", ".json")
_MARKS = (FILE_NAME, PLAYBOOKS, "inventory")


class Project:
    """A user's repository.

    Parts are loaded when they are first asked for, so that `hosts` works in a repository whose templates
    are broken, and every load error is told by the command that needs the part.

    Attributes:
        root: Its folder.
        settings: What its chargehand.toml says.
        sources: Inventory sources: those given, else the setting's.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        *,
        inventory: Sequence[str] = (),
        run_programs: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.root = root
        self.settings = settings
        self.sources = tuple(inventory) or tuple(str(root / source) for source in settings.inventory)
        self._run_programs = run_programs and settings.run_programs
        self._clock = clock

    @classmethod
    def load(
        cls,
        path: Path | str = ".",
        *,
        inventory: Sequence[str] = (),
        run_programs: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """The project that `path` lies in; see `find_root`.

        Args:
            path: A folder.
            inventory: Inventory sources in place of the setting's, relative to the current folder.
            run_programs: Whether executable inventories may be run.
            clock: The time, aware, UTC.

        Raises:
            SettingsError: Its chargehand.toml is refused.
        """
        root = find_root(Path(path))
        return cls(root, load_settings(root), inventory=inventory, run_programs=run_programs, clock=clock)

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
            run_programs=self._run_programs,
            vault_passwords=self.vault_passwords,
        )

    @cached_property
    def templates(self) -> Templates:
        """The shipped job templates and the project's own, which win by name.

        Raises:
            TemplateError: With everything that is wrong with them.
        """
        return load_templates([SHIPPED_FOLDER, self.root / self.settings.templates])

    @cached_property
    def bookmarks(self) -> Bookmarks:
        """The saved searches.

        Raises:
            InvalidError: ``inventory/bookmarks.yml`` is refused.
        """
        zone = self.settings.time_zone
        return load_bookmarks(
            self.root / "inventory" / "bookmarks.yml",
            now=self.now(),
            time_zone=find_zone(zone) if zone else UTC,
        )

    @cached_property
    def taxonomies(self) -> Taxonomies:
        """Locations and organizations.

        Raises:
            InvalidError: ``inventory/taxonomies.yml`` is refused.
        """
        return load_taxonomies(self.root / "inventory" / "taxonomies.yml", self.inventory)

    @cached_property
    def vault_passwords(self) -> tuple[Secret, ...]:
        """What `vault_password_files` hold.

        Raises:
            SecretError: A file cannot be read, or others may read it.
        """
        place = Place(self.settings.file)
        references = [read_reference({"file": name}, place) for name in self.settings.vault_password_files]
        return tuple(self._secret(reference, refuse_prompt, ()) for reference in references)

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
    def job_files(self) -> tuple[Path, ...]:
        """Every job file of ``playbooks/``, by name."""
        folder = self.root / PLAYBOOKS
        found = (path for suffix in JOB_SUFFIXES for path in folder.glob(f"*{suffix}"))
        return tuple(sorted(path for path in found if not path.name.startswith(".")))

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job of ``playbooks/``.

        Raises:
            InvalidError: With everything that is wrong with any file.
        """
        return self.read_jobs(self.job_files)

    def read_jobs(self, files: Iterable[Path | str]) -> tuple[Job, ...]:
        """The jobs of some files, in order; only their shape is checked.

        Raises:
            InvalidError: With everything that is wrong with any file.
        """
        jobs, problems = read_files(files)
        if problems:
            raise InvalidError(problems)
        return jobs

    def compose(self, job: Job, overrides: Overrides = NO_OVERRIDES) -> JobInvocation:
        """The job invocation that a job means now.

        Raises:
            InvalidError: With everything that is wrong with the job or with what it refers to.
        """
        return compose(job, self.catalogue, now=self.now(), overrides=overrides)

    def compose_files(
        self, files: Iterable[Path | str], overrides: Overrides = NO_OVERRIDES
    ) -> tuple[JobInvocation, ...]:
        """The job invocations of every job of some files, in order; what `run` and `plan` begin with.

        Raises:
            InvalidError: With everything that is wrong with any job, file or thing they refer to.
        """
        jobs, problems = read_files(files)
        try:
            invocations, found = compose_all(jobs, self.catalogue, now=self.now(), overrides=overrides)
        except InvalidError as error:
            invocations, found = [], list(error.problems)
        if problems or found:
            raise InvalidError(in_order([*problems, *found]))
        return tuple(invocations)

    def validate(self, files: Iterable[Path | str] | None = None) -> Validation:
        """Check files as far as that is possible offline; every host of every job is rendered.

        Args:
            files: None means every job file of the project.
        """
        files = self.job_files if files is None else tuple(files)
        jobs, problems = read_files(files)
        rendered = 0
        try:
            catalogue = self.catalogue
            invocations, found = compose_all(jobs, catalogue, now=self.now())
            problems += [*found, *catalogue.inventory.warnings]
            with self._renderer(PREVIEW_LIMITS) as renderer:
                rendered, found = rehearse(invocations, catalogue, renderer, now=self.now())
            problems += found
        except InvalidError as error:
            problems += error.problems
        return Validation(
            files=tuple(map(str, files)), jobs=len(jobs), rendered=rendered, problems=in_order(problems)
        )

    def choose_hosts(self, invocation: JobInvocation, selection: Selection = EVERY_HOST) -> tuple[Host, ...]:
        """The hosts of an invocation, in order; shuffled anew by every call when the job says so.

        Raises:
            NoHostMatchedError: Nobody is meant.
            PolicyError: More hosts than the job allows.
        """
        return choose_hosts(
            invocation, self.inventory, selection, now=self.now(), shuffle=random.SystemRandom()
        )

    def plan(
        self,
        job: Job | JobInvocation,
        *,
        overrides: Overrides = NO_OVERRIDES,
        selection: Selection = EVERY_HOST,
        access: Access = NO_ACCESS,
    ) -> Plan:
        """What a job would do now: hosts in order, scripts with secrets masked, effective settings.

        Raises:
            InvalidError: With everything that is wrong.
            NoHostMatchedError: Nobody is meant.
            PolicyError: More hosts than the job allows.
        """
        invocation = job if isinstance(job, JobInvocation) else self.compose(job, overrides)
        hosts = self.choose_hosts(invocation, selection)
        with self._renderer(PREVIEW_LIMITS) as renderer:
            return make_plan(invocation, hosts, self.inventory, renderer, self.settings, access=access)

    def prepare(
        self,
        invocation: JobInvocation,
        hosts: Sequence[Host],
        *,
        access: Access = NO_ACCESS,
        prompt: Prompt = refuse_prompt,
    ) -> Plan:
        """The plan that runs: as `plan` makes it, with every secret looked up.

        Args:
            invocation: What runs.
            hosts: On these, in this order.
            access: How they are reached, in place of job, host and setting.
            prompt: Asks a person for a secret, given the question.

        Raises:
            InvalidError: With everything that is wrong; nothing was connected to.
        """
        credentials = resolve_credentials(
            invocation, self._settings_references(), partial(self._secret, prompt=prompt)
        )
        with self._renderer(RenderLimits()) as renderer:
            return make_plan(
                invocation,
                hosts,
                self.inventory,
                renderer,
                self.settings,
                access=access,
                credentials=credentials,
            )

    def execute(
        self,
        plan: Plan,
        *,
        observers: Sequence[Observer] = (),
        number: int | None = None,
        spool: Path | None = None,
        on_start: Callable[[Runner], None] = lambda _: None,
    ) -> Execution:
        """Carry a prepared plan out.

        Args:
            plan: From `prepare`.
            observers: Told of every event while it runs.
            number: The id of the invocation; None takes the next.
            spool: Where outputs too large for memory are kept; None drops them with the run.
            on_start: Given the runner before the first connection, to stop it by.
        """
        return execute(
            plan,
            self.templates.inputs_of(plan.invocation.template),
            self.settings,
            number=self.next_number() if number is None else number,
            observers=tuple(observers),
            spool=spool,
            on_start=on_start,
            clock=self._clock,
        )

    def run(
        self,
        job: Job | JobInvocation,
        *,
        overrides: Overrides = NO_OVERRIDES,
        selection: Selection = EVERY_HOST,
        access: Access = NO_ACCESS,
        observer: Observer | None = None,
        prompt: Prompt = refuse_prompt,
    ) -> Execution:
        """Run a job on its hosts, now: compose, choose hosts, prepare, execute.

        Raises:
            InvalidError: With everything that is wrong; nothing was connected to.
            NoHostMatchedError: Nobody is meant.
            PolicyError: More hosts than the job allows.
        """
        invocation = job if isinstance(job, JobInvocation) else self.compose(job, overrides)
        plan = self.prepare(
            invocation, self.choose_hosts(invocation, selection), access=access, prompt=prompt
        )
        return self.execute(plan, observers=(observer,) if observer else ())

    def next_number(self) -> int:
        """An id for an invocation: milliseconds since 1970, which no two runs of a person share."""
        return int(self.now().timestamp() * 1000)

    def now(self) -> datetime:
        """The time, aware, UTC."""
        return self._clock()

    def _renderer(self, limits: RenderLimits) -> AbstractContextManager[Renderer]:
        return Renderer(self.templates, self.inventory.hosts, self.inventory.groups, limits)

    def _secret(
        self, reference: SecretReference, prompt: Prompt, vault_passwords: Sequence[Secret] | None = None
    ) -> Secret:
        return resolve(
            reference,
            environ=os.environ,
            prompt=prompt,
            vault_passwords=self.vault_passwords if vault_passwords is None else vault_passwords,
            base=self.root,
        )

    def _settings_references(self) -> Mapping[str, SecretReference]:
        place = Place(self.settings.file)
        return {
            name: read_reference(value, place, question=f"{name}: ")
            for name in ("password", "key_passphrase", "effective_user_password")
            if (value := getattr(self.settings, name)) is not None
        }


def find_root(path: Path) -> Path:
    """The nearest folder, from `path` upwards, that looks like a project; `path` when none does.

    A project has a ``chargehand.toml``, a ``playbooks/`` or an ``inventory/``.
    """
    for folder in (path.resolve(), *path.resolve().parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return path
