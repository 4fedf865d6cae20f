"""``chargehand validate``."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from chargehand.cli import screen
from chargehand.cli.command import find
from chargehand.cli.pipeline import add_summary, sources_root
from chargehand.cli.planned import next_runs
from chargehand.cli.planning import open_planner
from chargehand.cli.requests.checking import ValidateRequest
from chargehand.errors import InvalidError
from chargehand.invocation import JobInvocation, Recurrence
from chargehand.recurrence import in_words
from chargehand.report.escape import escape
from chargehand.report.forge import Forge, forge_of
from chargehand.validation import Validation

_NEXT_RUNS: Final = 3


def validate(request: ValidateRequest) -> int:
    """Check files and report every problem in the format asked for."""
    validation = _validation(request)
    counted = _counted(validation)
    form = _format(request, os.environ)
    if form == "text":
        for problem in validation.problems:
            screen.note_problem(problem)
        for invocation in validation.invocations:
            if invocation.recurrence is not None:
                screen.say(_recurring(invocation, invocation.recurrence, datetime.now(UTC)))
        screen.say(counted)
    else:
        find("findings:report")(validation, form, sources_root(os.environ))
        screen.note(counted)
    told = "".join(f"{escape(screen.from_here(problem).text())}\n" for problem in validation.problems)
    title = f"chargehand validate: {screen.tally(validation.problems)}"
    add_summary(title, lambda: f"{told}{counted}\n", os.environ)
    return 0 if validation.ok else InvalidError.exit_code


def _validation(request: ValidateRequest) -> Validation:
    """What is found; a project that cannot be opened is a finding like any other."""
    try:
        return open_planner(request).validate(
            request.files or None, run_programs=request.run_programs, every_host=request.every_host
        )
    except InvalidError as error:
        return Validation(files=(), problems=error.problems)


def _format(request: ValidateRequest, environ: Mapping[str, str]) -> str:
    """The format asked for; where none is, annotations for GitHub and text for everybody else."""
    if request.format != "auto":
        return request.format
    return "github" if forge_of(environ) is Forge.GITHUB else "text"


def _counted(validation: Validation) -> str:
    """``2 files, 3 jobs, 8 scripts rendered: 1 warning``."""
    files, jobs = screen.count(len(validation.files), "file"), screen.count(len(validation.jobs), "job")
    scripts = screen.count(validation.rendered, "script")
    return f"{files}, {jobs}, {scripts} rendered: {screen.tally(validation.problems)}"


def _recurring(invocation: JobInvocation, recurrence: Recurrence, now: datetime) -> str:
    """When a job recurs, in words, and the next times it does."""
    zone = "" if recurrence.time_zone == "UTC" else f" ({recurrence.time_zone})"
    starts = ", ".join(next_runs(invocation, now, _NEXT_RUNS)) or "never again"
    return f"{invocation.job.label}: {in_words(recurrence.cron_line)}{zone}, next {starts}"
