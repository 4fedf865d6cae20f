import json
from xml.etree import ElementTree as ET

import pytest

from chargehand.errors import Place, Problem
from chargehand.report.annotations import FORMATS, annotate

WRONG = Problem(
    "50% is, no: number\nand more",
    Place("playbooks/a,b:c.yml", 3, 7, "  level: 50%"),
    hint="write 50",
    rule="schema",
)
BARE = Problem("nothing\x1b here", Place("playbooks/empty.yml"), rule="document")
DOUBTFUL = Problem("hardly meant", Place("playbooks/fine.yml", 1), rule="lint", severity="warning")
PROBLEMS = (WRONG, BARE, DOUBTFUL)
FILES = ("playbooks/fine.yml", "playbooks/good.yml")


def test_a_github_annotation_is_one_line_with_its_properties_escaped() -> None:
    lines = annotate(PROBLEMS, FILES, "github").splitlines()
    assert lines == [
        (
            "::error file=playbooks/a%2Cb%3Ac.yml,line=3,col=7,title=chargehand%3A schema"
            "::50%25 is, no: number%0Aand more%0Awrite 50"
        ),
        "::error file=playbooks/empty.yml,title=chargehand%3A document::nothing\x1b here",
        "::warning file=playbooks/fine.yml,line=1,title=chargehand%3A lint::hardly meant",
    ]


def test_a_problem_without_a_file_is_still_annotated() -> None:
    said = annotate([Problem("no inventory")], (), "github")
    assert said == "::error title=chargehand%3A invalid::no inventory"


def test_a_sarif_log_has_every_rule_once_and_a_place_for_every_result() -> None:
    log = json.loads(annotate((*PROBLEMS, WRONG), FILES, "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["document", "lint", "schema"]
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning", "error"]
    first, second = (result["locations"][0]["physicalLocation"] for result in run["results"][:2])
    assert first["region"] == {"startLine": 3, "startColumn": 7}
    assert "region" not in second
    assert first["artifactLocation"]["uri"] == "playbooks/a%2Cb%3Ac.yml"


def test_a_junit_report_has_one_case_for_every_file_and_survives_control_characters() -> None:
    root = ET.fromstring(annotate(PROBLEMS, FILES, "junit"))
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    failed = {case.get("name"): case.find("failure") is not None for case in suite.iter("testcase")}
    assert failed == {
        "playbooks/fine.yml": False,
        "playbooks/good.yml": False,
        "playbooks/a,b:c.yml": True,
        "playbooks/empty.yml": True,
    }
    assert r"nothing\x1b here" in (suite.findtext("testcase[@name='playbooks/empty.yml']/failure") or "")


def test_json_lists_the_files_and_every_problem() -> None:
    document = json.loads(annotate(PROBLEMS, FILES, "json"))
    assert document["files"] == list(FILES)
    assert document["problems"][0] == {
        "message": WRONG.message,
        "place": {"file": "playbooks/a,b:c.yml", "line": 3, "column": 7},
        "hint": "write 50",
        "rule": "schema",
        "severity": "error",
    }


@pytest.mark.parametrize("form", FORMATS)
def test_no_problem_is_a_valid_report_too(form: str) -> None:
    said = annotate((), FILES, form)
    if form == "github":
        assert said == ""
    elif form == "junit":
        assert ET.fromstring(said).find(".//failure") is None
    else:
        assert json.loads(said)
