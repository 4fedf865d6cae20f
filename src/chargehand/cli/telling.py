"""Telling: what a run says while it goes on and when it is over, in the format asked for."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Protocol

from chargehand.cli import screen
from chargehand.cli.interruption import Interruption
from chargehand.cli.lognotices import LogNotices
from chargehand.cli.pipeline import add_summary, mask, set_outputs
from chargehand.cli.requests.again import ResumeRequest
from chargehand.cli.requests.launching import LaunchRequest
from chargehand.errors import Problem, StoreError
from chargehand.event import Notice, Observer
from chargehand.execution import Execution
from chargehand.frozen import frozen
from chargehand.plan import Plan
from chargehand.project import Project
from chargehand.provenance import Launch, Provenance
from chargehand.recording import Book
from chargehand.report.backlog import Backlog
from chargehand.report.display import Display, display_for
from chargehand.report.forge import forge_of
from chargehand.report.invocation import InvocationRecord, document
from chargehand.report.jsontext import dumps
from chargehand.report.ndjson import EventWriter
from chargehand.report.plain import PlainDisplay
from chargehand.report.recap import outcome, recap, tally
from chargehand.rerun import parts_of
from chargehand.result import Status
from chargehand.runner import Runner, Stage
from chargehand.secret import MASKED


class CarryOut(Protocol):
    """Carries something out: a plan, or the rest of one."""

    def __call__(self, *, observers: Sequence[Observer], on_start: Callable[[Runner], None]) -> Execution:
        """To its end."""


@frozen(kw_only=False)
class Rerun:
    """The command line that runs the same again without the record of it.

    Attributes:
        before: The words before the hosts.
        after: Those after.
        in_lab: Whether the hosts go with a lab, so that the record is of no use.
    """

    before: Sequence[str]
    after: Sequence[str] = ()
    in_lab: bool = False

    def on(self, hosts: Sequence[str]) -> str:
        """The command line for some hosts."""
        return shlex.join([*self.before, ",".join(hosts), *self.after])


class Telling:
    """Carries plans out and tells of them: how it goes on stderr, what came out on stdout.

    A run goes on to its end when nobody reads stdout any more.

    Attributes:
        interrupted: The exit code a signal asks for; 0 when none came.
    """

    def __init__(self, request: LaunchRequest | ResumeRequest, rerun: Rerun | None) -> None:
        self.interrupted = 0
        self._output = request.output
        self._verbosity = int(request.verbose)
        self._rerun = rerun
        self._records: list[InvocationRecord] = []
        self._statuses = Counter[Status]()
        self._number: int | None = None
        self._stdout_closed = False
        self._warned: set[Problem] = set()

    def warn(self, problems: Iterable[Problem]) -> None:
        """Tell what is allowed and yet hardly meant; the same only once."""
        for problem in problems:
            if problem not in self._warned:
                self._warned.add(problem)
                screen.note_problem(problem)

    def mask(self, plan: Plan) -> None:
        """See to it that no log of a pipeline shows a secret of a plan."""
        mask({secret for share in plan.template_invocations for secret in share.secrets}, os.environ)

    def run(
        self,
        project: Project,
        plan: Plan,
        launch: Launch,
        provenance: Provenance | None = None,
        *,
        stage: Stage | None = None,
    ) -> int:
        """Carry one plan out, on a stage that several may share, and tell of it; its exit code."""
        self.mask(plan)
        if window := plan.invocation.blackout.at(project.now()):
            screen.note(f"warning: nothing starts by itself during `{window}`; by hand it does")
        try:
            with project.begin(plan, launch=launch, provenance=provenance) as book:
                return self.follow(
                    book.record.id,
                    project.now,
                    partial(project.execute, plan, book, stage=stage),
                    lambda ended: self._again(ended, book, launch),
                )
        except StoreError as error:
            screen.note(f"chargehand: {error}")
            return error.exit_code

    def follow(
        self,
        number: int,
        now: Callable[[], datetime],
        carry_out: CarryOut,
        again: Callable[[Execution], Callable[[Sequence[str]], str]],
    ) -> int:
        """Tell of something that is carried out; its exit code.

        Args:
            number: The id of the invocation.
            now: The time, aware, UTC.
            carry_out: Given who watches, and who is to be given the runner.
            again: Gives the command that runs the same again on some hosts.
        """
        display = self._display()
        observers: list[Observer] = [display]
        if self._output == "ndjson":
            observers.append(EventWriter(number, self._write))

        def tell(message: str) -> None:
            display(Notice(at=now(), message=message))

        with Interruption(tell) as interruption, display, ExitStack() as stack:
            told = [stack.enter_context(Backlog(each)) for each in observers]
            stack.enter_context(LogNotices(told[0], now))
            ended = carry_out(observers=told, on_start=interruption.watch)
        self.interrupted = interruption.exit_code if interruption.number else 0
        if self._output == "text":
            self._write(recap(ended.result, rerun=again(ended), forge=forge_of(os.environ)))
        self._remember(ended.record)
        title = f"{ended.record.description}: {tally(ended.result)}"
        add_summary(title, lambda: outcome(ended.result), os.environ)
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
        if self._rerun and (book.store is None or ended.unrecorded or self._rerun.in_lab or unclear):
            return self._rerun.on
        return rerun_of(book.record.id, parts, launch)

    def put_off(self, record: InvocationRecord, line: str) -> None:
        """Tell of an invocation that is not run now."""
        self._remember(record)
        if self._output == "text":
            self._write(f"{screen.safe(line)}\n")
        elif self._output != "json":
            screen.note(line)

    def close(self, code: int) -> int:
        """Tell what is told only at the end; the exit code of everything."""
        if self._output == "json":
            documents = [document(record) for record in self._records]
            self._write(dumps(documents[0] if len(documents) == 1 else documents) + "\n")
        elif self._output == "junit":
            self._write(import_module("chargehand.report.junit").ran(self._records) + "\n")
        code = code or (screen.STDOUT_CLOSED if self._stdout_closed else 0)
        set_outputs(self._outputs(code), os.environ)
        return code

    def _remember(self, record: InvocationRecord) -> None:
        """Keep what is told at the end, and no output that is not."""
        self._number = record.id or self._number
        self._statuses.update(result.status for result in record.results)
        if self._output in ("json", "junit"):
            self._records.append(record)

    def _outputs(self, code: int) -> dict[str, int | None]:
        """What later steps of a pipeline may ask: of all jobs together, and the id of the last."""
        count = self._statuses
        return {
            "run_id": self._number,
            "exit_code": code,
            "total": count.total(),
            "succeeded": count[Status.SUCCEEDED],
            "failed": count[Status.FAILED] + count[Status.TIMED_OUT] + count[Status.NOT_STARTED],
            "unreachable": count[Status.UNREACHABLE],
            "unknown": count[Status.UNKNOWN],
        }

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
        except OSError as error:  # the run goes on, and is in the record
            self._stdout_closed = True
            screen.forget_stdout()
            if not isinstance(error, BrokenPipeError):
                screen.note(f"stdout cannot be written any more: {error.strerror}")


def rerun_of(number: int, parts: Iterable[str], launch: Launch) -> Callable[[Sequence[str]], str]:
    """Gives the command that runs an invocation again on some parts of its hosts."""
    words = ["chargehand", "rerun", str(number), *(f"--{part}" for part in parts)]
    for name in launch.left_out:
        if name.startswith("-"):
            words += name.split(" ", 1) if name in ("-k", "-K") else ["-e", f"{name[3:]}={MASKED}"]
    return lambda _: shlex.join(words)
