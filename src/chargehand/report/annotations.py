"""Annotations: problems in the formats that continuous integration reads."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import quote
from xml.etree import ElementTree as ET

from chargehand import __version__
from chargehand.errors import Place, Problem
from chargehand.report.invocation import dumps

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
FORMATS = ("json", "github", "sarif", "junit")


def annotate(problems: Sequence[Problem], files: Sequence[str], form: str) -> str:
    """The problems of `files` in one of `FORMATS`."""
    return {"json": _json, "github": _github, "sarif": _sarif, "junit": _junit}[form](problems, files)


def _json(problems: Sequence[Problem], files: Sequence[str]) -> str:
    found = [{**asdict(problem), "place": _place(problem.place)} for problem in problems]
    return dumps({"files": list(files), "problems": found})


def _place(place: Place | None) -> dict[str, object] | None:
    return None if place is None else {"file": place.file, "line": place.line, "column": place.column}


def _github(problems: Sequence[Problem], _files: Sequence[str]) -> str:
    """Workflow commands.

    Source:
        GitHub Actions, workflow commands: ``%``, CR and LF are escaped, in properties ``:`` and ``,`` too.
    """
    return "\n".join(
        f"::{problem.severity}{_properties(problem)}::{_escaped(_told(problem))}" for problem in problems
    )


def _properties(problem: Problem) -> str:
    place = problem.place
    where: dict[str, str | int | None] = (
        {"file": place.file, "line": place.line, "col": place.column} if place else {}
    )
    said = (
        f"{key}={_escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in {**where, "title": f"chargehand: {problem.rule}"}.items()
        if value is not None
    )
    return " " + ",".join(said)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _sarif(problems: Sequence[Problem], _files: Sequence[str]) -> str:
    """One SARIF 2.1.0 log with one run."""
    driver = {
        "name": "chargehand",
        "version": __version__,
        "rules": [{"id": rule} for rule in sorted({problem.rule for problem in problems})],
    }
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_sarif_result(problem) for problem in problems]}],
    }
    return dumps(log)


def _sarif_result(problem: Problem) -> dict[str, object]:
    place = problem.place
    result: dict[str, object] = {
        "ruleId": problem.rule,
        "level": problem.severity,
        "message": {"text": _told(problem)},
    }
    if place:
        region = {"startLine": place.line, "startColumn": place.column}
        known = {key: value for key, value in region.items() if value is not None}
        location: dict[str, object] = {"artifactLocation": {"uri": quote(place.file)}}
        result["locations"] = [{"physicalLocation": location | ({"region": known} if known else {})}]
        told = "\0".join((problem.rule, place.file, place.source or "", problem.message))
        result["partialFingerprints"] = {"problem/v1": hashlib.sha256(told.encode()).hexdigest()}
    return result


def _junit(problems: Sequence[Problem], files: Sequence[str]) -> str:
    """One test case for every file, failed when it has an error."""
    named = list(dict.fromkeys([*files, *(_file(problem) for problem in problems)]))
    suite = ET.Element("testsuite", name="chargehand validate", tests=str(len(named)))
    failures = 0
    for file in named:
        case = ET.SubElement(suite, "testcase", classname="chargehand.validate", name=_xml(file))
        own = [problem for problem in problems if _file(problem) == file]
        errors = [problem for problem in own if problem.severity == "error"]
        warnings = [problem for problem in own if problem.severity == "warning"]
        if errors:
            failures += 1
            failure = ET.SubElement(case, "failure", message=_xml(errors[0].message), type=errors[0].rule)
            failure.text = _xml("\n\n".join(problem.text() for problem in errors))
        if warnings:
            said = ET.SubElement(case, "system-out")
            said.text = _xml("\n\n".join(problem.text() for problem in warnings))
    suite.set("failures", str(failures))
    suite.set("errors", "0")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _file(problem: Problem) -> str:
    return problem.place.file if problem.place else "project"


def _xml(text: str) -> str:
    r"""Text with what XML 1.0 cannot hold written out, as ``\x1b``."""
    return _NOT_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _told(problem: Problem) -> str:
    return f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
