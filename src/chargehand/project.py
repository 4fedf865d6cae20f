"""Project: a user's repository - its jobs, inventory, templates and settings - and what can be asked of it.

The composition root: everything is put together here and nowhere else. `chargehand` on the command line
is a thin layer over this class, which is the Python API as well.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Self

from chargehand.address import STORE_VARIABLE
from chargehand.compose import NO_OVERRIDES, Overrides
from chargehand.errors import Place, StoreError, UsageError
from chargehand.event import Observer
from chargehand.execution import Execution, describe, execute
from chargehand.git.files import Exported, export
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.launch import launch_of, provenance_of, sources_of
from chargehand.messages import send_messages
from chargehand.plan import EVERY_HOST, NO_ACCESS, Access, Plan, Selection
from chargehand.planner import Planner
from chargehand.provenance import Launch, Provenance
from chargehand.recording import Book, called_off, open_book
from chargehand.reference import Prompt, read_reference, refuse_prompt
from chargehand.report.invocation import InvocationRecord
from chargehand.rerun import (
    ALL_AGAIN,
    Repetition,
    Wish,
    access_of,
    check_given,
    check_repeatable,
    find_job,
    overrides_of,
    recorded_files,
    repeat,
)
from chargehand.runner import Runner, Stage
from chargehand.settings import NO_STORE, Settings, load_settings
from chargehand.store import Store, Stored, open_store
from chargehand.targeting import pick
from chargehand.trees import Tree

_log = logging.getLogger(__name__)


class Project(Planner):
    """A user's repository, the store beside it, and what can be asked of both."""

    @property
    def records(self) -> bool:
        """Whether runs are written down at all."""
        return (self._environ_store or self.settings.store) != NO_STORE

    @cached_property
    def store(self) -> Store:
        """What was run, and what is to be run.

        Raises:
            StoreError: It cannot be opened.
            SecretError: Its address is a reference that cannot be resolved.
            UsageError: The settings want nothing recorded.
        """
        if not self.records:
            raise UsageError(f'nothing is recorded here: the setting `store` is "{NO_STORE}"')
        return open_store(self._store_url(), state=self.state, clock=self._clock)

    def close(self) -> None:
        """Let go of the store, if it was opened."""
        if "store" in self.__dict__:
            self.store.close()
            del self.store

    def reloaded(self, *, settings: Settings | None = None, inventory: Sequence[str] = ()) -> Self:
        """The same project with its files read anew; the open store stays.

        Args:
            settings: In place of those of before.
            inventory: Sources in place of those of before.
        """
        fresh = super().reloaded(settings=settings, inventory=inventory)
        fresh.__dict__["store"] = self.store  # as `cached_property` keeps it
        return fresh

    def at(self, tree: Tree | None) -> Self:
        """The same project with the files of a commit, or of its own folder; the open store stays."""
        other = super().at(tree)
        if other is not self:
            other.__dict__["store"] = self.store
        return other

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
            provenance=provenance or provenance_of(invocation.job, self.root, head=self.head),
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
        stage: Stage | None = None,
    ) -> Execution:
        """Carry a prepared plan out.

        Args:
            plan: From `prepare`.
            book: From `begin`; None begins and ends one.
            observers: Told of every event while it runs.
            spool: Where outputs too large for memory are kept; None drops them with the run.
            on_start: Given the runner before the first connection, to stop it by.
            stage: Shared with the runs before and after.

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
                stage=stage,
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
        troubles = send_messages(job, records, self, status_before=self._status_before)
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
        with self._files_of(stored, wish) as (project, job, left_out):
            invocation = project.compose(job, overrides_of(stored.launch, wish.overrides))
            provenance = provenance_of(
                job, project.root, head=project.head, trigger="rerun", rerun_of=invocation_id
            )
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
            with project.begin(plan, launch=again.launch(project), provenance=again.provenance) as book:
                return project.execute(plan, book, observers=(observer,) if observer else ())

    def resume(
        self,
        invocation_id: int,
        wish: Wish = ALL_AGAIN,
        *,
        changed: bool = False,
        observers: Sequence[Observer] = (),
        prompt: Prompt = refuse_prompt,
        on_prepared: Callable[[Plan], None] = lambda _: None,
        on_start: Callable[[Runner], None] = lambda _: None,
    ) -> Execution:
        """Finish an invocation whose runner died, or ask again what became of hosts that are unknown.

        Args:
            invocation_id: Of the invocation.
            wish: With which files, and how hosts are reached; its parts are not looked at.
            changed: Whether scripts may differ from those that the invocation began with.
            observers: Told of every event while it runs.
            prompt: Asks a person for a secret, given the question.
            on_prepared: Given the plan before anybody is connected to.
            on_start: Given the runner before the first script is sent, to stop it by.

        Raises:
            ChargehandError: It cannot be resumed like that; nothing was connected to.
        """
        recovery = import_module("chargehand.recovery")
        stored = self.store.history.find(invocation_id)
        recovery.check_resumable(stored, self.store)
        if recovery.is_over(stored):
            return Execution(record=stored.record, result=recovery.result_of(stored))
        check_given(stored, wish)
        with self._files_of(stored, wish) as (project, job, _):
            invocation = project.compose(job, overrides_of(stored.launch, wish.overrides))
            names = [share.host_name for share in stored.shares]
            hosts, _ = pick(names, project.inventory, invocation.targeting.within)
            access = access_of(stored.launch, wish.access)
            plan = project.prepare(invocation, hosts, access=access, prompt=prompt)
            on_prepared(plan)
            if not changed:
                recovery.check_scripts(stored, plan)
            with self.store.runners.register(self.state) as runner:
                execution: Execution = recovery.resume(
                    recovery.take_over(stored, self.store, runner.id),
                    plan,
                    project.settings,
                    Book(record=stored.record, store=self.store, runner_id=runner.id),
                    observers=tuple(observers),
                    on_start=on_start,
                    clock=self._clock,
                )
        self.tell(job, execution.record)
        return execution

    @contextmanager
    def _files_of(self, stored: Stored, wish: Wish) -> Iterator[tuple["Project", Job, tuple[str, ...]]]:
        """The project with the files and the inventory of a launch, its job, and what those files lack."""
        with ExitStack() as stack:
            left_out: tuple[str, ...] = ()
            project = self._like(stored, self.root, self.settings)
            if wish.recorded:
                folder, left_out = stack.enter_context(recorded_files(stored, self._export))
                settings = self.settings if self.settings.git else load_settings(folder)
                project = self._like(stored, folder, settings)
            stack.callback(project.close)
            job = find_job(stored, lambda playbook: project.read_jobs([project.root / playbook]))
            yield project, job, left_out

    def _export(self, commit: str, folder: Path) -> Exported:
        """Write the files of a commit; of a tracked repository, from its mirror."""
        if self.settings.git is None:
            return export(self.root, commit, folder)
        mirror = import_module("chargehand.git.mirror").Mirror(self.trees.mirror)
        exported: Exported = mirror.export(commit, self.settings.git.path, folder)
        return exported

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
            head=self.head if root == self.root else None,
        )

    def _status_before(self, record: InvocationRecord) -> str | None:
        """How the run before ended; a store that cannot tell keeps no message back."""
        try:
            return self.store.history.status_before(record) if self.records else None
        except StoreError:
            return None

    def _store_url(self) -> str:
        asked = self._environ_store or self.settings.store
        if isinstance(asked, str):
            return asked
        if asked is None:
            return ""
        return self.look_up(read_reference(asked, Place(self.settings.file), question="store: ")).reveal()

    @property
    def _environ_store(self) -> str:
        return os.environ.get(STORE_VARIABLE, "")
