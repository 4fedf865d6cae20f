"""``chargehand validate``."""

import os

from chargehand.cli import screen
from chargehand.cli.opening import open_project
from chargehand.cli.requests import ValidateRequest
from chargehand.errors import InvalidError
from chargehand.report.annotations import annotate


def validate(request: ValidateRequest) -> int:
    """Check files and report every problem in the format asked for."""
    project = open_project(request)
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
        files, jobs = screen.count(len(validation.files), "file"), screen.count(validation.jobs, "job")
        scripts = screen.count(validation.rendered, "script")
        screen.say(f"{files}, {jobs}, {scripts} rendered: {screen.tally(validation.problems)}")
    failed = any(problem.severity == "error" for problem in validation.problems)
    return InvalidError.exit_code if failed else 0
