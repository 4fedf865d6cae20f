"""Problems and results in the formats of continuous integration, held against what reads them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import Place, Problem
from chargehand.report.annotations import FORMATS, annotate
from chargehand.report.fingerprint import fingerprints
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.report.junit import OUTPUT_CHARS, CheckedFile, CheckedJob, ran
from chargehand.report.sarif import MEANINGS
from chargehand.result import CapturedOutput, HostResult, Status
from npm import node_file

SOURCE = Path(__file__).parents[1] / "src" / "chargehand"
WRONG = Problem(
    "50% is, no: number\nand more",
    Place("playbooks/a,b:c.yml", 3, 7, "  level: 50%"),
    hint="write 50",
    rule="schema",
)
BARE = Problem("nothing\x1b here", Place("playbooks/empty.yml"), rule="syntax")
DOUBTFUL = Problem("hardly meant", Place("playbooks/fine.yml", 9), rule="template", severity="warning")
NOWHERE = Problem("no inventory", rule="inventory")
PROBLEMS = (WRONG, BARE, DOUBTFUL, NOWHERE)
FILES = (
    CheckedFile(
        path="playbooks/fine.yml",
        jobs=(CheckedJob(label="first", line=2), CheckedJob(label="<second>", line=8)),
    ),
    CheckedFile(path="playbooks/good.yml", jobs=(CheckedJob(label="alone", line=1),)),
)
JUNIT: Final[Mapping[str, tuple[set[str], set[str], set[str]]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
    "system-err": (set(), set(), set()),
}
"""Attributes that are needed, those that may be there, and elements within: Jenkins' junit-10.xsd."""


def as_junit(text: str) -> ET.Element:
    """A report, after every element of it was held against the schema of Jenkins."""
    root = ET.fromstring(text)
    for element in root.iter():
        needed, allowed, within = JUNIT[element.tag]
        assert needed <= set(element.attrib) <= needed | allowed
        assert {child.tag for child in element} <= within
        if element.tag == "testsuite":
            assert element.get("tests") == str(len(element.findall("testcase")))
        if "time" in element.attrib:
            assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.attrib["time"])
    return root


# -- GitHub ---------------------------------------------------------------------------------------------


def test_a_github_annotation_is_one_line_with_its_properties_escaped() -> None:
    assert annotate(PROBLEMS, FILES, "github").splitlines() == [
        (
            "::error file=playbooks/a%2Cb%3Ac.yml,line=3,col=7,title=chargehand%3A schema"
            "::playbooks/a,b:c.yml:3:7: 50%25 is, no: number%0Aand more%0Awrite 50"
        ),
        (
            "::error file=playbooks/empty.yml,title=chargehand%3A syntax"
            "::playbooks/empty.yml: nothing\\x1b here"
        ),
        (
            "::warning file=playbooks/fine.yml,line=9,title=chargehand%3A template"
            "::playbooks/fine.yml:9: hardly meant"
        ),
        "::error title=chargehand%3A inventory::no inventory",
    ]


# -- SARIF ----------------------------------------------------------------------------------------------


@pytest.mark.node
def test_a_sarif_log_is_valid_by_the_schema_of_the_standard() -> None:
    schema = json.loads(node_file("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json").read_text())
    validator = jsonschema.validators.validator_for(schema)
    check = validator(schema, format_checker=jsonschema.FormatChecker())
    for problems in ((), PROBLEMS, (*PROBLEMS, WRONG, replace(WRONG, place=Place("/etc/a b", 1, 1)))):
        check.validate(json.loads(annotate(problems, FILES, "sarif")))
    with pytest.raises(jsonschema.ValidationError):
        check.validate({"version": "2.1.0", "runs": [{"results": []}]})


def test_a_sarif_log_has_every_rule_once_and_a_region_for_every_result() -> None:
    (run,) = json.loads(annotate((*PROBLEMS, WRONG), FILES, "sarif"))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["inventory", "schema", "syntax", "template"]
    assert all(rule["shortDescription"]["text"].endswith(".") for rule in run["tool"]["driver"]["rules"])
    assert [rules[result["ruleIndex"]] for result in run["results"]] == [
        "schema",
        "syntax",
        "template",
        "schema",
    ]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["region"] for place in places[:2]] == [{"startLine": 3, "startColumn": 7}, {"startLine": 1}]
    assert places[0]["artifactLocation"] == {"uri": "playbooks/a%2Cb%3Ac.yml", "uriBaseId": "%SRCROOT%"}
    (notified,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notified["message"]["text"] == "no inventory"


def test_every_rule_that_the_source_names_has_a_meaning() -> None:
    named = re.compile(r'\b(?:\w*RULE(?:: Final)? = |rule(?:: str)? ?= ?)"([\w-]+)"')
    rules = {rule for file in SOURCE.rglob("*.py") for rule in named.findall(file.read_text("utf-8"))}
    assert len(rules) > 20
    assert rules - set(MEANINGS) == set()


# -- fingerprints ---------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from((WRONG, BARE, DOUBTFUL, NOWHERE)), max_size=8),
    st.integers(min_value=0, max_value=99),
)
def test_fingerprints_are_unique_and_stay_when_lines_are_put_above(
    problems: Sequence[Problem], lines: int
) -> None:
    def moved(problem: Problem) -> Problem:
        place = problem.place
        if place is None or place.line is None:
            return problem
        return replace(problem, place=replace(place, line=place.line + lines))

    found = fingerprints(problems)
    assert len(set(found)) == len(found)
    assert fingerprints([moved(problem) for problem in problems]) == found


def test_a_fingerprint_does_not_count_the_lines_that_a_message_names() -> None:
    place = Place("a.yml", 5, 1, "name: x")
    first, second = (Problem(f"written twice, first in line {line}", place) for line in (2, 30))
    assert fingerprints([first]) == fingerprints([second])
    assert fingerprints([first]) != fingerprints([replace(first, place=replace(place, source="name: y"))])


# -- GitLab ---------------------------------------------------------------------------------------------


def test_a_code_quality_report_has_what_gitlab_asks_for_and_nothing_else() -> None:
    found = json.loads(annotate((*PROBLEMS, WRONG), FILES, "codequality"))
    assert found[0] == {
        "description": "50% is, no: number\nand more\nwrite 50",
        "check_name": "schema",
        "fingerprint": found[0]["fingerprint"],
        "severity": "major",
        "location": {"path": "playbooks/a,b:c.yml", "lines": {"begin": 3}},
    }
    assert [each["severity"] for each in found] == ["major", "major", "minor", "major", "major"]
    assert [each["location"]["lines"]["begin"] for each in found] == [3, 1, 9, 1, 3]
    assert len({each["fingerprint"] for each in found}) == len(found)


# -- JUnit ----------------------------------------------------------------------------------------------


def test_a_junit_report_has_a_suite_for_every_file_and_a_case_for_every_job() -> None:
    root = as_junit(annotate((*PROBLEMS, replace(WRONG, place=Place(FILES[0].path, 3))), FILES, "junit"))
    cases = {
        str(suite.get("name")): {
            str(case.get("name")): case.find("failure") is not None for case in suite.iter("testcase")
        }
        for suite in root
    }
    assert cases == {
        "playbooks/fine.yml": {"first": True, "<second>": False},
        "playbooks/good.yml": {"alone": False},
        "playbooks/a,b:c.yml": {"playbooks/a,b:c.yml": True},
        "playbooks/empty.yml": {"playbooks/empty.yml": True},
        "project": {"project": True},
    }
    assert [suite.get("failures") for suite in root] == ["1", "0", "1", "1", "1"]
    assert "hardly meant" in (root.findtext(".//testcase[@name='<second>']/system-out") or "")
    assert r"nothing\x1b here" in (root.findtext("testsuite[4]/testcase/failure") or "")


def record(*results: HostResult) -> InvocationRecord:
    start = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
    hosts = tuple((result.host, number) for number, result in enumerate(results, 1))
    return InvocationRecord(
        id=7,
        description="Patch",
        job_category="Jobs",
        task_id="t",
        state="stopped",
        targeting=TargetingRecord(id=1, search_query="*", targeting_type="dynamic_query", hosts=hosts),
        start_at=start,
        ended_at=start + timedelta(seconds=3600.25),
        results=results,
    )


def output(content: bytes) -> CapturedOutput:
    return CapturedOutput(head=content, size_bytes=len(content))


def test_a_run_is_a_suite_and_each_host_a_case_that_passed_failed_erred_or_was_skipped() -> None:
    results = [
        HostResult(host=f"web-{status}", status=status, reason=f"because <{status}>", duration_s=0.5)
        for status in Status
    ]
    root = as_junit(ran([record(*results), record()]))
    suite, empty = root
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["9", "2", "3", "3"]
    assert (suite.get("name"), suite.get("time")) == ("Patch (7)", "3600.250")
    assert suite.get("timestamp") == "2026-11-29T03:00:00"
    found = {str(case.get("name")): [child.tag for child in case] for case in suite}
    assert found["web-succeeded"] == []
    assert found["web-failed"] == found["web-timed_out"] == ["failure"]
    assert found["web-unreachable"] == found["web-not_started"] == found["web-unknown"] == ["error"]
    assert found["web-cancelled"] == found["web-skipped"] == found["web-pending"] == ["skipped"]
    assert suite.find("testcase/failure[@message='because <failed>']") is not None
    assert empty.get("tests") == "0"


def test_what_a_host_printed_is_cut_and_safe_in_a_junit_report() -> None:
    loud = output(b"begin\x00\x1b[2J\xff]]></system-out>" + b"x" * 3 * OUTPUT_CHARS + b"end")
    sly = output(b"  ::stop-commands::x\nlook: ##[add-mask]y\n")
    text = ran([record(HostResult(host="h", status=Status.SUCCEEDED, stdout=loud, stderr=sly))])
    root = as_junit(text)
    printed = root.findtext(".//system-out") or ""
    assert printed.startswith(r"begin\x00\x1b[2J\xff]]></system-out>x")
    assert printed.endswith("xend")
    assert "characters left out" in printed
    assert len(printed) < OUTPUT_CHARS + 100
    assert root.findtext(".//system-err") == "  ::stop-commands::x\nlook: ##[add-mask]y\n"
    assert re.search(r"^\s*::|##\[", text, re.MULTILINE) is None


# -- all of them ----------------------------------------------------------------------------------------


def test_json_lists_the_files_and_every_problem() -> None:
    document = json.loads(annotate(PROBLEMS, FILES, "json"))
    assert document["files"] == [file.path for file in FILES]
    assert document["problems"][0] == {
        "message": WRONG.message,
        "place": {"file": "playbooks/a,b:c.yml", "line": 3, "column": 7},
        "hint": "write 50",
        "rule": "schema",
        "severity": "error",
    }


def read(said: str, form: str) -> Any:
    return said if form == "github" else as_junit(said) if form == "junit" else json.loads(said)


@pytest.mark.parametrize("form", FORMATS)
def test_no_problem_is_a_valid_report_too(form: str) -> None:
    found = read(annotate((), FILES, form), form)
    if form == "github":
        assert found == ""
    if form == "junit":
        assert found.find(".//failure") is None


@given(st.text(), st.sampled_from(FORMATS))
def test_no_text_of_a_file_makes_a_report_unreadable(text: str, form: str) -> None:
    problem = Problem(text, Place(f"playbooks/{text}.yml", 1, 1, text), text, rule="schema")
    said = annotate([problem], (), form)
    read(said, form)
    assert set(said) & {chr(code) for code in (*range(9), 11, 12, *range(14, 32), 127, 0x9B)} == set()
    if form == "github":
        assert len(said.split("\n")) == 1
        assert said.startswith("::error file=playbooks/")
