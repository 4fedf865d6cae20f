"""Telling: what a run says while it goes on and when it is over, in the format asked for."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from chargehand.cli import screen
from chargehand.cli.interruption import Interruption
from chargehand.cli.lognotices import LogNotices
from chargehand.cli.requests import LaunchRequest
from chargehand.errors import Problem, StoreError
from chargehand.event import Notice, Observer
from chargehand.execution import Execution
from chargehand.plan import Plan
from chargehand.project import Project
from chargehand.provenance import Launch, Provenance
from chargehand.recording import Book
from chargehand.report.backlog import Backlog
from chargehand.report.invocation import Json, document, dumps
from chargehand.report.ndjson import EventWriter
from chargehand.report.plain import PlainDisplay
from chargehand.report.recap import recap
from chargehand.report.terminal import Display, display_for
from chargehand.rerun import parts_of
from chargehand.result import Status
from chargehand.secret import MASKED


@dataclass(frozen=True, slots=True)
class Rerun:
    """The command line that runs the same again: the words before the hosts, and those after."""

    before: Sequence[str]
    after: Sequence[str] = ()

    def on(self, hosts: Sequence[str]) -> str:
        """The command line for some hosts."""
        return shlex.join([*self.before, ",".join(hosts), *self.after])


class Telling:
    """Carries plans out and tells of them: how it goes on stderr, what came out on stdout.

    A run goes on to its end when nobody reads stdout any more.

    Attributes:
        interrupted: The exit code a signal asks for; 0 when none came.
    """

    def __init__(self, request: LaunchRequest, rerun: Rerun | None) -> None:
        self.interrupted = 0
        self._output = request.output
        self._verbosity = int(request.verbose)
        self._rerun = rerun
        self._passing = request.lab is not None
        self._documents: list[Json] = []
        self._stdout_closed = False
        self._warned: set[Problem] = set()

    def warn(self, problems: Iterable[Problem]) -> None:
        """Tell what is allowed and yet hardly meant; the same only once."""
        for problem in problems:
            if problem not in self._warned:
                self._warned.add(problem)
                screen.note_problem(problem)

    def run(self, project: Project, plan: Plan, launch: Launch, provenance: Provenance | None = None) -> int:
        """Carry one plan out and tell of it; its exit code."""
        if window := plan.invocation.blackout.at(project.now()):
            screen.note(f"warning: nothing starts by itself during `{window}`; by hand it does")
        try:
            with project.begin(plan, launch=launch, provenance=provenance) as book:
                return self._run(project, plan, book, launch)
        except StoreError as error:
            screen.note(f"chargehand: {error}")
            return error.exit_code

    def _run(self, project: Project, plan: Plan, book: Book, launch: Launch) -> int:
        display = self._display()
        observers: list[Observer] = [display]
        if self._output == "ndjson":
            observers.append(EventWriter(book.record.id, self._write))

        def tell(message: str) -> None:
            display(Notice(at=project.now(), message=message))

        with Interruption(tell) as interruption, display, ExitStack() as stack:
            told = [stack.enter_context(Backlog(each)) for each in observers]
            stack.enter_context(LogNotices(told[0], project.now))
            ended = project.execute(plan, book, observers=told, on_start=interruption.watch)
        self.interrupted = interruption.exit_code if interruption.number else 0
        if self._output == "text":
            self._write(f"{recap(ended.result, rerun=self._again(ended, book, launch))}")
        elif self._output == "json":
            self._documents.append(document(ended.record))
        if ended.unrecorded:
            screen.note(f"chargehand: {ended.unrecorded}")
        return self.interrupted or ended.exit_code

    def _again(self, ended: Execution, book: Book, launch: Launch) -> Callable[[Sequence[str]], str]:
        """Gives the command that runs the same again on some hosts.

        It names them where nothing is recorded, where they go with the lab, and where a part of the hosts
        in the record holds one on which the script may have run.
        """
        statuses = {result.status for result in ended.result.results}
        parts = parts_of(statuses - {Status.UNKNOWN})
        unclear = Status.UNKNOWN in statuses and "unreached" in parts
        if self._rerun and (book.store is None or ended.unrecorded or self._passing or unclear):
            return self._rerun.on
        words = ["chargehand", "rerun", str(book.record.id), *(f"--{part}" for part in parts)]
        for name in launch.left_out:
            if name.startswith("-"):
                words += name.split(" ", 1) if name in ("-k", "-K") else ["-e", f"{name[3:]}={MASKED}"]
        return lambda _: shlex.join(words)

    def close(self, code: int) -> int:
        """Tell what is told only at the end; the exit code of everything."""
        if self._output == "json":
            one = len(self._documents) == 1
            self._write(dumps(self._documents[0] if one else self._documents) + "\n")
        return code or (screen.STDOUT_CLOSED if self._stdout_closed else 0)

    def _display(self) -> Display:
        """How it goes, on stderr; no live region where events are written to the same terminal."""
        if self._output == "ndjson" and sys.stdout.isatty():
            return PlainDisplay(sys.stderr, verbosity=self._verbosity)
        return display_for(sys.stderr, os.environ, verbosity=self._verbosity)

    def _write(self, text: str) -> None:
        if self._stdout_closed:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self._stdout_closed = True
            screen.forget_stdout()
