"""Composition: every case under `cases/compose/` is a job file, and what comes of it.

A case is the job file itself, a line of three dashes, and what is expected: `problems` and `warnings` as
``LINE:COLUMN part of the message | part of the hint``, in order and complete; or `values` of the invocation
by attribute. `settings` and `overrides` may stand beside them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

import pytest
import yaml

from chargehand import schema
from chargehand.compose import Overrides, compose, in_order
from chargehand.document import parse
from chargehand.errors import InvalidError, Problem
from chargehand.invocation import JobInvocation
from chargehand.job import read_jobs
from chargehand.project import Project
from chargehand.recurrence import CronLine
from chargehand.reference import SecretReference

CASES = Path(__file__).parent / "cases" / "compose"
NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalogue():
    return Project.load(CASES / "project", clock=lambda: NOW).catalogue


def composed(text, catalogue, overrides=None):
    """The invocations of a job file, and every problem of its jobs."""
    document = parse(text, "job.yml")
    problems = schema.check(document)
    invocations = []
    for job in read_jobs(document):
        try:
            invocations.append(compose(job, catalogue, now=NOW, overrides=Overrides(**(overrides or {}))))
        except InvalidError as error:
            problems += error.problems
    return invocations, in_order(problems)


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yml")), ids=lambda path: path.stem)
def test_a_job_file_means_what_its_case_says(path, catalogue):
    text, _, rest = path.read_text(encoding="utf-8").partition("\n---\n")
    expected = yaml.safe_load(rest)
    catalogue = replace(catalogue, settings=replace(catalogue.settings, **expected.get("settings", {})))
    invocations, problems = composed(text + "\n", catalogue, expected.get("overrides"))
    assert_told(problems, expected.get("problems", []))
    if "values" in expected:
        (invocation,) = invocations
        assert {name: value_of(invocation, name) for name in expected["values"]} == expected["values"]
        assert_told(invocation.warnings, expected.get("warnings", []))
    assert "canary" not in "\n".join([*map(str, problems), *map(repr, invocations)])


def assert_told(problems: Iterable[Problem], expected: list[str]) -> None:
    told = [f"{where(problem)} {problem.message} | {problem.hint}" for problem in problems]
    assert [line.partition(" ")[0] for line in told] == [line.partition(" ")[0] for line in expected], told
    for line, wanted in zip(told, expected, strict=True):
        message, _, hint = wanted.partition(" | ")
        assert message.partition(" ")[2].removeprefix("line> ") in line
        assert hint in line.partition(" | ")[2]


def where(problem: Problem) -> str:
    assert problem.place is not None, problem
    return f"{problem.place.line}:{problem.place.column}" if problem.place.line else problem.place.file


def value_of(invocation: JobInvocation, name: str) -> object:
    return plain(attrgetter(name)(invocation))


def plain(value: object) -> object:
    """A value as the cases write it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, CronLine):
        return value.text
    if isinstance(value, SecretReference):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
