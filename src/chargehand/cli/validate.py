"""``chargehand validate``."""

import os
from datetime import datetime
from typing import Final

from chargehand.cli import screen
from chargehand.cli.plan import next_runs
from chargehand.cli.planning import open_planner
from chargehand.cli.requests import ValidateRequest
from chargehand.errors import InvalidError
from chargehand.invocation import JobInvocation, Recurrence
from chargehand.recurrence import in_words
from chargehand.report.annotations import annotate

_NEXT_RUNS: Final = 3


def validate(request: ValidateRequest) -> int:
    """Check files and report every problem in the format asked for."""
    project = open_planner(request)
    validation = project.validate(
        request.files or None, run_programs=request.run_programs, every_host=request.every_host
    )
    if request.format != "text":
        report = annotate(
            [screen.from_here(problem) for problem in validation.problems],
            [os.path.relpath(file) for file in validation.files],
            request.format,
        )
        if report:
            screen.say(report)
    else:
        for problem in validation.problems:
            screen.note_problem(problem)
        for invocation in validation.invocations:
            if invocation.recurrence is not None:
                screen.say(_recurring(invocation, invocation.recurrence, project.now()))
        files, jobs = screen.count(len(validation.files), "file"), screen.count(validation.jobs, "job")
        scripts = screen.count(validation.rendered, "script")
        screen.say(f"{files}, {jobs}, {scripts} rendered: {screen.tally(validation.problems)}")
    failed = any(problem.severity == "error" for problem in validation.problems)
    return InvalidError.exit_code if failed else 0


def _recurring(invocation: JobInvocation, recurrence: Recurrence, now: datetime) -> str:
    """When a job recurs, in words, and the next times it does."""
    zone = "" if recurrence.time_zone == "UTC" else f" ({recurrence.time_zone})"
    starts = ", ".join(next_runs(invocation, now, _NEXT_RUNS)) or "never again"
    return f"{invocation.job.label}: {in_words(recurrence.cron_line)}{zone}, next {starts}"
