r"""JUnit: what was found in files, and what became of hosts, as XML that Jenkins and GitLab show as tests.

What XML 1.0 cannot hold and what a terminal obeys is written out (``\x1b``); what a runner of GitHub
Actions would obey in a log is written as references, which mean the same.

Source:
    The schema ``junit-10.xsd`` of Jenkins' xUnit plugin, which knows no attribute beyond those used here;
    GitLab Docs, "Unit test reports".
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Final
from xml.etree import ElementTree as ET

from chargehand.errors import Problem
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.report.escape import escape
from chargehand.report.invocation import InvocationRecord
from chargehand.result import CapturedOutput, HostResult, Status

OUTPUT_CHARS: Final = 16 * 1024
"""Of each stream of each host; of what is longer, the beginning and the end."""

_NOT_XML: Final = expression("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMMAND: Final = expression(r"^([^\S\n]*)::|##\[", re.MULTILINE)
_ELEMENTS: Final = {
    Status.FAILED: "failure",
    Status.TIMED_OUT: "failure",
    Status.UNREACHABLE: "error",
    Status.NOT_STARTED: "error",
    Status.UNKNOWN: "error",
    Status.CANCELLED: "skipped",
    Status.SKIPPED: "skipped",
    Status.PENDING: "skipped",
}


@frozen
class CheckedJob:
    """A job of a file that was checked.

    Attributes:
        label: What people call it.
        line: Where it begins, from 1; None when nobody knows.
    """

    label: str
    line: int | None = None


@frozen
class CheckedFile:
    """A file that was checked, and its jobs in their order."""

    path: str
    jobs: tuple[CheckedJob, ...] = ()


def checked(problems: Sequence[Problem], files: Sequence[CheckedFile]) -> str:
    """A suite for each file, a case for each job, failed when something is wrong with it.

    What belongs to no job - the text of a file, a template, the inventory - is a case of its own.
    """
    known = {file.path: file for file in files}
    named = dict.fromkeys([*known, *(_file(problem) for problem in problems)])
    root = ET.Element("testsuites")
    for path in named:
        own = [problem for problem in problems if _file(problem) == path]
        suite = ET.SubElement(root, "testsuite", name=_xml(path))
        for label, found in _cases(path, known.get(path), own):
            _add_checked(suite, path, label, found)
        _count(suite)
    return _written(root)


def ran(records: Sequence[InvocationRecord]) -> str:
    """A suite for each job, a case for each host."""
    root = ET.Element("testsuites")
    for record in records:
        name = record.description if not record.id else f"{record.description} ({record.id})"
        suite = ET.SubElement(root, "testsuite", name=_xml(name))
        if record.start_at is not None:
            started = record.start_at.astimezone(UTC).replace(tzinfo=None)
            suite.set("timestamp", started.isoformat(timespec="seconds"))
        if record.start_at is not None and record.ended_at is not None:
            suite.set("time", _seconds((record.ended_at - record.start_at).total_seconds()))
        for result in record.results:
            _add_host(suite, record.description, result)
        _count(suite)
    return _written(root)


def _file(problem: Problem) -> str:
    return problem.place.file if problem.place else "project"


def _cases(
    path: str, file: CheckedFile | None, problems: Sequence[Problem]
) -> Iterator[tuple[str, list[Problem]]]:
    """The cases of a file with their problems: by the line at which each job begins."""
    jobs = file.jobs if file else ()
    of_jobs: list[list[Problem]] = [[] for _ in jobs]
    of_none: list[Problem] = []
    for problem in problems:
        line = problem.place.line if problem.place else None
        begun = [number for number, job in enumerate(jobs) if line and job.line and job.line <= line]
        whose = begun[-1] if begun else 0 if line and len(jobs) == 1 else None
        (of_none if whose is None else of_jobs[whose]).append(problem)
    if of_none or not jobs:
        yield path, of_none
    yield from ((job.label, found) for job, found in zip(jobs, of_jobs, strict=True))


def _add_checked(suite: ET.Element, path: str, label: str, problems: Sequence[Problem]) -> None:
    case = ET.SubElement(suite, "testcase", classname=_xml(path), name=_xml(label))
    errors = [problem for problem in problems if problem.severity == "error"]
    warnings = [problem for problem in problems if problem.severity == "warning"]
    if errors:
        failure = ET.SubElement(case, "failure", message=_xml(errors[0].message), type=_xml(errors[0].rule))
        failure.text = _xml("\n\n".join(problem.text() for problem in errors))
    if warnings:
        said = ET.SubElement(case, "system-out")
        said.text = _xml("\n\n".join(problem.text() for problem in warnings))


def _add_host(suite: ET.Element, job: str, result: HostResult) -> None:
    case = ET.SubElement(suite, "testcase", classname=_xml(job), name=_xml(result.host))
    if result.duration_s is not None:
        case.set("time", _seconds(result.duration_s))
    if not result.ok:
        kind = str(result.status)
        reason = _xml(result.reason or kind.replace("_", " "))
        ended = ET.SubElement(case, _ELEMENTS[result.status], message=reason, type=kind)
        ended.text = reason
    for name, output in (("system-out", result.stdout), ("system-err", result.stderr)):
        if output.size_bytes:
            ET.SubElement(case, name).text = _xml(_shortened(output))


def _shortened(output: CapturedOutput) -> str:
    text = output.text()
    if len(text) <= OUTPUT_CHARS:
        return text
    half = OUTPUT_CHARS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def _count(suite: ET.Element) -> None:
    """Say how many cases a suite has, and how they ended."""
    suite.set("tests", str(len(suite)))
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{element}"))))


def _seconds(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f}"


def _xml(text: str) -> str:
    r"""Text with what XML 1.0 cannot hold, or a terminal obeys, written out, as ``\x1b``."""
    return _NOT_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), escape(text))


def _written(root: ET.Element) -> str:
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", xml_declaration=True)
    return _COMMAND.sub(lambda found: "#&#35;[" if found[1] is None else f"{found[1]}&#58;:", text)
