import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from chargehand.document import Vaulted, load, parse
from chargehand.errors import Problem
from chargehand.schema import PROBLEMS_SHOWN, check, schema_path, violation
from chargehand.schema.fit import content_of, fits
from laws import tried

ROOT = Path(__file__).parents[1]
CASES = Path(__file__).parent / "cases" / "schema"
SEED_BODY = '{"job_invocation": {"feature": "remote_execution_feature_8", "host_ids": [132, 133]}}'
JOB = "job_invocation: {targeting_type: static_query, search_query: '*', job_template_id: 1}\n"


def violations(text: str) -> list[Problem]:
    return check(parse(text, "job.yml"))


def held(case: dict[str, str], problems: list[Problem]) -> None:
    if not case["says"]:
        assert problems == []
        return
    (problem,) = [problem for problem in problems if case["says"] in problem.message]
    assert str(problem.place) == f"job.yml:{case['at']}"
    assert problem.hint == case.get("hint")
    assert "hunter2" not in problem.text()


@pytest.mark.parametrize("case", load(CASES / "refused.yml").data, ids=lambda case: case["job"])
def test_a_key_of_a_job_is_held_to_its_shape(case):
    held(case, violations(JOB + case["job"]))


@pytest.mark.parametrize("case", load(CASES / "refused_invocation.yml").data, ids=lambda case: case["job"])
def test_a_key_of_a_job_invocation_is_held_to_its_shape(case):
    needed = "" if "targeting_type" in case["job"] else "  targeting_type: static_query\n"
    held(case, violations(f"name: x\njob_invocation:\n  {case['job']}\n{needed}"))


def test_the_body_of_the_api_is_a_job_file():
    assert violations(SEED_BODY) == []


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.[yj]*")), ids=lambda path: path.name)
def test_every_example_has_the_shape_of_its_schema(path):
    assert check(load(path)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a job, or a list of jobs, not null"),
        ("5", "expected a job, or a list of jobs, not 5"),
        ("[]", "expected a list of at least one job, not an empty list"),
        ("- 5", "expected a mapping, not 5"),
        ("name: x", "`job_invocation` is missing"),
        ("job_invocation: 5", "`job_invocation`: expected a mapping, not 5"),
        ("job_invocation: {}", "`targeting_type` is missing in `job_invocation`"),
        ("job_invocation: {feature: null}", "`targeting_type` is missing in `job_invocation`"),
    ],
)
def test_what_is_no_job_is_refused_with_one_useful_message(text, message):
    assert [problem.message for problem in violations(text)] == [message]


def test_all_violations_are_told_in_the_order_of_the_file():
    problems = violations(f"overlap: x\nfoo: 1\n{JOB}bar: 2\nwaves: 0")
    assert [problem.place.line for problem in problems] == [1, 2, 4, 5]


def test_violations_in_a_list_of_jobs_are_told_by_place():
    problems = violations(f"- {JOB}- {JOB}  wave: [1]")
    assert [str(problem) for problem in problems] == [
        "job.yml:3:3: error: unknown key `wave`\n      wave: [1]\n      ^\n  = did you mean `waves`?"
    ]


def test_a_long_value_is_cut():
    (problem,) = violations(JOB + f"overlap: {'x' * 500}")
    assert f"not `{'x' * 60}...`" in problem.message


@pytest.mark.parametrize(
    "text", ["[" + "1," * 50_000 + "]", "{" + "".join(f"k{n}: 1," for n in range(15_000)) + "}"]
)
def test_violations_without_end_are_cut(text):
    problems = violations(text)
    assert len(problems) == PROBLEMS_SHOWN + 1
    assert "more violations" in problems[-1].message


def test_the_schema_is_valid_and_refers_to_nothing_outside():
    schema = json.loads(schema_path().read_text())
    Draft202012Validator.check_schema(schema)
    references = [
        line.split('"')[3] for line in json.dumps(schema, indent=0).splitlines() if '"$ref"' in line
    ]
    assert set(references) == {"#/$defs/job", "#/$defs/secret_reference"}


def test_jsonschema_itself_agrees_on_what_is_refused():
    """An editor that knows nothing of us flags what we flag; only our stricter numbers differ."""
    plain = Draft202012Validator(json.loads(schema_path().read_text()))
    for name in ("refused", "refused_invocation"):
        for case in load(CASES / f"{name}.yml").data:
            text = JOB + case["job"]
            if name != "refused":
                text = f"job_invocation: {{targeting_type: static_query, {case['job']}}}"
            if "!vault" in text or ".0" in text or ".inf" in text or ".nan" in text or "\n\n" in text:
                continue
            if text.count("targeting_type") > 1:
                text = f"job_invocation: {{{case['job']}}}"
            assert plain.is_valid(parse(text, "f").data) == (not case["says"]), text


def test_a_wheel_carries_the_schemas():
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert '"schemas" = "chargehand/schemas"' in pyproject


WHOLE = content_of("job")
ODD = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        1.0,
        1.5,
        math.inf,
        "",
        "x",
        "1h",
        "0 3 * * *",
        [],
        [1],
        ["x"],
        {},
        {"x": 1},
        Vaulted("x"),
    ]
)


def nearly(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What is as a schema says, or not quite."""
    return ODD if isinstance(schema, bool) else st.one_of(*(meant(schema) * 3), ODD)


def meant(schema: dict[str, Any]) -> list[st.SearchStrategy[Any]]:
    if "$ref" in schema:
        return [st.deferred(lambda: nearly(WHOLE["$defs"][schema["$ref"].rpartition("/")[2]]))]
    if "enum" in schema:
        return [st.sampled_from(schema["enum"])]
    if "properties" in schema:
        keys = {
            name: st.deferred(lambda each=each: nearly(each)) for name, each in schema["properties"].items()
        }
        needed = set(schema.get("required", ())) & set(keys)
        names = st.sets(st.sampled_from(sorted(keys)), max_size=3)
        return [
            names.flatmap(lambda some: st.fixed_dictionaries({name: keys[name] for name in some | needed}))
        ]
    if "anyOf" in schema:
        return [nearly(each) for each in schema["anyOf"]]
    if "items" in schema:
        return [st.lists(st.deferred(lambda: nearly(schema["items"])), max_size=2)]
    return [st.sampled_from(schema["examples"])] if "examples" in schema else [ODD]


@tried(60)
@given(nearly(WHOLE))
def test_what_fits_is_what_jsonschema_finds_nothing_wrong_with(value):
    assert fits(value, WHOLE, WHOLE) is violation._validator("job").is_valid(value)
