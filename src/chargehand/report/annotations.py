"""Annotations: problems in the formats that continuous integration reads."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from chargehand.errors import Place, Problem
from chargehand.report.escape import escape
from chargehand.report.fingerprint import fingerprints
from chargehand.report.invocation import Json
from chargehand.report.jsontext import dumps
from chargehand.report.junit import CheckedFile, checked
from chargehand.report.sarif import sarif, told
from chargehand.report.workflow import command

FORMATS: Final = ("json", "github", "sarif", "junit", "codequality")

_SEVERITIES: Final = {"error": "major", "warning": "minor"}


def annotate(problems: Sequence[Problem], files: Sequence[CheckedFile], form: str) -> str:
    """The problems of `files` in one of `FORMATS`."""
    match form:
        case "github":
            return _github(problems)
        case "sarif":
            return sarif(problems)
        case "junit":
            return checked(problems, files)
        case "codequality":
            return _code_quality(problems)
        case _:
            return _json(problems, files)


def _json(problems: Sequence[Problem], files: Sequence[CheckedFile]) -> str:
    found = [{**asdict(problem), "place": _place(problem.place)} for problem in problems]
    return dumps({"files": [file.path for file in files], "problems": found})


def _place(place: Place | None) -> Json | None:
    return None if place is None else {"file": place.file, "line": place.line, "column": place.column}


def _github(problems: Sequence[Problem]) -> str:
    """Workflow commands; the message begins with the place, which the runner leaves out of its log."""
    return "\n".join(_annotation(problem, problem.place) for problem in problems)


def _annotation(problem: Problem, place: Place | None) -> str:
    where = {"file": escape(place.file), "line": place.line, "col": place.column} if place else {}
    message = f"{place}: {told(problem)}" if place else told(problem)
    return command(problem.severity, escape(message), **where, title=f"chargehand: {problem.rule}")


def _code_quality(problems: Sequence[Problem]) -> str:
    """GitLab's Code Quality report.

    Source:
        GitLab Docs, "Code Quality": ``location`` is required, so a problem of no file is told of the
        settings; severities are info, minor, major, critical and blocker.
    """
    return dumps(
        [
            {
                "description": told(problem),
                "check_name": problem.rule,
                "fingerprint": fingerprint,
                "severity": _SEVERITIES[problem.severity],
                "location": {
                    "path": problem.place.file if problem.place else "chargehand.toml",
                    "lines": {"begin": (problem.place and problem.place.line) or 1},
                },
            }
            for problem, fingerprint in zip(problems, fingerprints(problems), strict=True)
        ]
    )
