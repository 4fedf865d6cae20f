"""Findings: what a validation found, as a document of its own, for those that read no text."""

from collections import defaultdict
from pathlib import Path

from chargehand.cli import screen
from chargehand.report.annotations import annotate
from chargehand.report.junit import CheckedFile, CheckedJob
from chargehand.validation import Validation


def report(validation: Validation, form: str, root: Path) -> None:
    """The problems on stdout, their files as seen from `root`."""
    problems = [screen.from_here(problem, root) for problem in validation.problems]
    document = annotate(problems, _checked_files(validation, root), form)
    if document:
        screen.say_report(document)


def _checked_files(validation: Validation, root: Path) -> list[CheckedFile]:
    jobs: defaultdict[str, list[CheckedJob]] = defaultdict(list)
    for job in validation.jobs:
        label = job.text("name") or f"job {int(job.root[0]) + 1 if job.root else 1}"
        jobs[job.document.file].append(CheckedJob(label=label, line=job.place().line))
    return [CheckedFile(path=screen.seen(file, root), jobs=tuple(jobs[file])) for file in validation.files]
