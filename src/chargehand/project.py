"""Project: a user's repository - its jobs, inventory, templates and settings - and what can be asked of it.

The composition root: everything is put together here and nowhere else. `chargehand` on the command line
is a thin layer over this class, which is the Python API as well.
"""

import os
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from chargehand import inventory as inventories
from chargehand.bookmark import Bookmarks, load_bookmarks
from chargehand.compose import NO_OVERRIDES, Catalogue, Overrides, compose
from chargehand.credentials import read_vault_passwords, resolve_credentials, settings_references
from chargehand.errors import InvalidError, Problem, SecretError
from chargehand.event import Observer
from chargehand.execution import Execution, execute
from chargehand.host import Host
from chargehand.inventory import Inventory, Programs
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.layout import INVENTORY, PLAYBOOKS, find_root, job_files
from chargehand.moment import find_zone
from chargehand.plan import EVERY_HOST, NO_ACCESS, Access, Plan, Selection, choose_hosts, make_plan
from chargehand.reference import Prompt, SecretReference, refuse_prompt, resolve
from chargehand.render.limits import PREVIEW_LIMITS, RenderLimits
from chargehand.render.renderer import Renderer
from chargehand.runner import Runner, utc_now
from chargehand.secret import Secret
from chargehand.settings import Settings, load_settings
from chargehand.taxonomy import Taxonomies, load_taxonomies
from chargehand.template import SHIPPED_FOLDER, Templates, load_templates
from chargehand.validation import Validation, compose_files, read_files, validate_files


class Project:
    """A user's repository.

    Parts are loaded when they are first asked for, so that `hosts` works in a repository whose templates
    are broken, and every load error is told by the command that needs the part.

    Attributes:
        root: Its folder.
        settings: What its chargehand.toml says.
        sources: Inventory sources: those given, else the setting's.
        given_sources: Those given.
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
    ) -> None:
        self.root = root
        self.settings = settings
        self.given_sources = tuple(inventory)
        self.sources = self.given_sources or tuple(str(root / source) for source in settings.inventory)
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
        return cls(
            root,
            load_settings(root),
            inventory=inventory,
            programs=programs,
            vault_passwords=vault_passwords,
            clock=clock,
        )

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
        return load_templates([SHIPPED_FOLDER, self.root / self.settings.templates])

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
        return (*self._vault_passwords, *read_vault_passwords(self.settings, self.root))

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
        return job_files(self.root)

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
        return compose_files(files, lambda: self.catalogue, now=self.now(), overrides=overrides)

    def validate(
        self,
        files: Iterable[Path | str] | None = None,
        *,
        run_programs: bool = False,
        every_host: bool = False,
    ) -> Validation:
        """Check files as far as that is possible offline; the hosts of every job are rendered.

        Nothing that the files say is carried out, so that those of a stranger can be checked.

        Args:
            files: None means every job file of the project.
            run_programs: Whether executable inventories are run all the same, where the setting allows it.
            every_host: Whether all are rendered; else a few seconds' worth, and a warning names the rest.
        """
        project, doubts = self._offline("run" if run_programs else "skip")
        return validate_files(
            self.job_files if files is None else tuple(files),
            lambda: project.catalogue,
            now=self.now(),
            doubts=doubts,
            every_host=every_host,
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
            UsageError: It is scheduled for later.
            InvalidError: With everything that is wrong; nothing was connected to.
        """
        invocation.check_due(self.now())
        credentials = resolve_credentials(
            invocation, settings_references(self.settings), partial(self._secret, prompt=prompt)
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
            ChargehandError: What any of these steps raises; nothing was connected to.
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

    def _secret(self, reference: SecretReference, prompt: Prompt) -> Secret:
        passwords = self.vault_passwords
        return resolve(
            reference, environ=os.environ, prompt=prompt, vault_passwords=passwords, base=self.root
        )

    def _offline(self, programs: Programs) -> tuple["Project", list[Problem]]:
        """The project as validation sees it, which may lack the vault passwords, and warnings of that."""
        settings, doubts = self.settings, []
        try:
            _ = self.vault_passwords
        except SecretError as error:
            settings = replace(settings, vault_password_files=())
            doubts = [replace(problem, severity="warning") for problem in error.problems]
        project = Project(
            self.root,
            settings,
            inventory=self.sources,
            programs=programs,
            vault_passwords=self._vault_passwords,
            clock=self._clock,
        )
        return project, doubts
