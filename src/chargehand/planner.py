"""Planner: what the jobs of a user's repository mean and would do; connects to nobody."""

import random
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from chargehand.compose import NO_OVERRIDES, Overrides, compose
from chargehand.credentials import resolve_credentials, settings_references
from chargehand.errors import InvalidError, Problem, SecretError
from chargehand.host import Host
from chargehand.inventory import Programs
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.layout import job_files
from chargehand.plan import EVERY_HOST, NO_ACCESS, Access, Plan, Selection, choose_hosts, make_plan
from chargehand.reference import Prompt, refuse_prompt
from chargehand.render.limits import PREVIEW_LIMITS, RenderLimits
from chargehand.render.renderer import Renderer
from chargehand.repository import Repository
from chargehand.validation import Validation, compose_files, read_files, validate_files


class Planner(Repository):
    """A user's repository, and what its jobs would do."""

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

    def playbook_of(self, job: Job) -> str:
        """The file of a job, relative to the project."""
        return Path(job.document.file).relative_to(self.root).as_posix()

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
        overrides: Overrides = NO_OVERRIDES,
    ) -> Validation:
        """Check files as far as that is possible offline; the hosts of every job are rendered.

        Nothing that the files say is carried out, so that those of a stranger can be checked.

        Args:
            files: None means every job file of the project.
            run_programs: Whether executable inventories are run all the same, where the setting allows it.
            every_host: Whether all are rendered; else a few seconds' worth, and a warning names the rest.
            overrides: What is changed about every job.
        """
        project, doubts = self._offline("run" if run_programs else "skip")
        return validate_files(
            self.job_files if files is None else tuple(files),
            lambda: project.catalogue,
            now=self.now(),
            doubts=doubts,
            every_host=every_host,
            overrides=overrides,
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

    def _renderer(self, limits: RenderLimits) -> AbstractContextManager[Renderer]:
        return Renderer(self.templates, self.inventory.hosts, self.inventory.groups, limits)

    def _offline(self, programs: Programs) -> tuple[Self, list[Problem]]:
        """The project as validation sees it, which may lack the vault passwords, and warnings of that."""
        settings, doubts = self.settings, []
        try:
            _ = self.vault_passwords
        except SecretError as error:
            settings = replace(settings, vault_password_files=())
            doubts = [replace(problem, severity="warning") for problem in error.problems]
        project = type(self)(
            self.root,
            settings,
            inventory=self.sources,
            programs=programs,
            vault_passwords=self._vault_passwords,
            clock=self._clock,
            home=self.home,
            head=self.head,
        )
        return project, doubts
