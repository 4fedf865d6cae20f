"""Project: a user's repository - its jobs, inventory, templates and settings - and what can be asked of it.

The composition root: everything is put together here and nowhere else. `chargehand` on the command line
is a thin layer over this class, which is the Python API as well.
"""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from chargehand.compose import NO_OVERRIDES, Overrides, compose
from chargehand.credentials import resolve_credentials, settings_references
from chargehand.errors import InvalidError, Problem, SecretError
from chargehand.event import Observer
from chargehand.execution import Execution, describe, execute
from chargehand.host import Host
from chargehand.inventory import Programs
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.launch import launch_of, provenance_of, sources_of
from chargehand.layout import job_files
from chargehand.messages import send_messages
from chargehand.plan import EVERY_HOST, NO_ACCESS, Access, Plan, Selection, choose_hosts, make_plan
from chargehand.provenance import Launch, Provenance
from chargehand.recording import Book, called_off, open_book
from chargehand.reference import Prompt, refuse_prompt
from chargehand.render.limits import PREVIEW_LIMITS, RenderLimits
from chargehand.render.renderer import Renderer
from chargehand.report.invocation import InvocationRecord
from chargehand.repository import Repository
from chargehand.rerun import (
    ALL_AGAIN,
    Repetition,
    Wish,
    check_repeatable,
    find_job,
    overrides_of,
    recorded_files,
    repeat,
)
from chargehand.runner import Runner
from chargehand.settings import Settings, load_settings
from chargehand.store import Stored
from chargehand.validation import Validation, compose_files, read_files, validate_files

_log = logging.getLogger(__name__)


class Project(Repository):
    """A user's repository, and what can be asked of it."""

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
            invocation, settings_references(self.settings), partial(self.look_up, prompt=prompt)
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

    @contextmanager
    def begin(
        self,
        plan: Plan,
        *,
        launch: Launch | None = None,
        provenance: Provenance | None = None,
        into: int | None = None,
        runner_id: str | None = None,
    ) -> Iterator[Book]:
        """Write down that a plan is about to be carried out, and hold it to the end of the block.

        Args:
            plan: From `prepare`.
            launch: What repeats it; None means the job and nothing beside it.
            provenance: Where it comes from; None means somebody's hand.
            into: An invocation in the store whose hosts were not known before; None makes one.
            runner_id: Of a registered runner; None registers one for the length of the block.

        Raises:
            StoreError: That cannot be written down; then nothing may be started.
        """
        invocation = plan.invocation
        record = describe(
            plan,
            self.templates.inputs_of(invocation.template),
            provenance=provenance or provenance_of(invocation.job, self.root),
            at=self.now(),
        )
        if not self.records:
            yield Book(record=record)
            return
        launch = launch or launch_of(
            invocation, overrides=NO_OVERRIDES, access=NO_ACCESS, inventory=self.given_sources, root=self.root
        )
        with ExitStack() as stack:
            if runner_id is None:
                runner_id = stack.enter_context(self.store.runners.register(self.state)).id
            book = open_book(self.store, plan, record, launch, runner_id=runner_id, into=into, at=self.now())
            stack.enter_context(called_off(book, self._clock))
            yield book

    def execute(
        self,
        plan: Plan,
        book: Book | None = None,
        *,
        observers: Sequence[Observer] = (),
        spool: Path | None = None,
        on_start: Callable[[Runner], None] = lambda _: None,
    ) -> Execution:
        """Carry a prepared plan out.

        Args:
            plan: From `prepare`.
            book: From `begin`; None begins and ends one.
            observers: Told of every event while it runs.
            spool: Where outputs too large for memory are kept; None drops them with the run.
            on_start: Given the runner before the first connection, to stop it by.

        Raises:
            StoreError: It cannot be recorded; nothing was connected to.
        """
        with ExitStack() as stack:
            execution = execute(
                plan,
                self.settings,
                book or stack.enter_context(self.begin(plan)),
                observers=tuple(observers),
                spool=spool,
                on_start=on_start,
                clock=self._clock,
            )
        self.tell(plan.invocation.job, execution.record)
        return execution

    def tell(self, job: Job, *records: InvocationRecord) -> tuple[str, ...]:
        """Send the messages that a job wants about runs of it; what cannot be sent changes nothing else.

        Args:
            job: As its file has it.
            records: Of an invocation that ended, or of some that were due and did not take place.

        Returns:
            A line for each message that could not be sent, which is logged as well.
        """
        troubles = send_messages(job, records, self)
        for trouble in troubles:
            _log.warning("%s", trouble)
        return troubles

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
        launch = launch_of(
            invocation, overrides=overrides, access=access, inventory=self.given_sources, root=self.root
        )
        with self.begin(plan, launch=launch) as book:
            return self.execute(plan, book, observers=(observer,) if observer else ())

    @contextmanager
    def repeat(self, invocation_id: int, wish: Wish) -> Iterator[tuple["Project", Repetition]]:
        """An invocation that can be prepared again, and the project that it is of, in the block.

        Args:
            invocation_id: Of an invocation that is over.
            wish: How.

        Raises:
            UsageError: It cannot be repeated like that.
            NoHostMatchedError: No host is meant; nobody else is taken instead.
            UnknownHostError: The inventory does not have some of the hosts any more.
            InvalidError: With everything that is wrong with the files.
        """
        stored = self.store.history.find(invocation_id, with_output=False)
        check_repeatable(stored, wish, is_alive=self.store.runners.is_alive(stored.runner_id))
        with ExitStack() as stack:
            left_out: tuple[str, ...] = ()
            project = self._like(stored, self.root, self.settings)
            if wish.recorded:
                folder, left_out = stack.enter_context(recorded_files(stored, self.root))
                project = self._like(stored, folder, load_settings(folder))
            stack.callback(project.close)
            job = find_job(stored, lambda playbook: project.read_jobs([project.root / playbook]))
            invocation = project.compose(job, overrides_of(stored.launch, wish.overrides))
            provenance = provenance_of(job, project.root, trigger="rerun", rerun_of=invocation_id)
            again = repeat(stored, invocation, project.inventory, wish, provenance)
            lacks = [f"links and submodules are left out: {', '.join(left_out)}"] if left_out else []
            yield project, replace(again, notes=(*again.notes, *lacks))

    def rerun(
        self,
        invocation_id: int,
        wish: Wish = ALL_AGAIN,
        *,
        observer: Observer | None = None,
        prompt: Prompt = refuse_prompt,
    ) -> Execution:
        """Run an invocation again, on exactly the hosts that are asked for.

        Args:
            invocation_id: Of an invocation that is over.
            wish: On which of its hosts, and with which files.
            observer: Told of every event while it runs.
            prompt: Asks a person for a secret, given the question.

        Raises:
            ChargehandError: What `repeat` and `run` raise; nothing was connected to.
        """
        with self.repeat(invocation_id, wish) as (project, again):
            hosts = project.choose_hosts(again.invocation, again.selection)
            plan = project.prepare(again.invocation, hosts, access=again.access, prompt=prompt)
            plan = replace(plan, missing=len(again.missing))
            launch = launch_of(
                again.invocation,
                overrides=again.overrides,
                access=again.access,
                inventory=project.given_sources,
                root=project.root,
            )
            with project.begin(plan, launch=launch, provenance=again.provenance) as book:
                return project.execute(plan, book, observers=(observer,) if observer else ())

    def _like(self, stored: Stored, root: Path, settings: Settings) -> "Project":
        """The project with other files and with the inventory of a launch, unless another one is given."""
        return Project(
            root,
            replace(settings, store=self.settings.store),
            inventory=self.given_sources or sources_of(stored.launch, root),
            programs=self._programs,
            vault_passwords=self._vault_passwords,
            clock=self._clock,
            home=self.home,
        )

    def _renderer(self, limits: RenderLimits) -> AbstractContextManager[Renderer]:
        return Renderer(self.templates, self.inventory.hosts, self.inventory.groups, limits)

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
            home=self.home,
        )
        return project, doubts
