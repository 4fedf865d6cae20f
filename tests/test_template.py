"""Job templates: read, gathered, given values, described."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.document import parse
from chargehand.errors import InvalidError, Problem, SearchError, TemplateError
from chargehand.template import (
    JobTemplate,
    TemplateInput,
    Templates,
    check_values,
    collection,
    describe,
    fill_values,
    inline_template,
    load_templates,
    read_template,
    templates_with,
)
from laws import tried

CASES = yaml.safe_load((Path(__file__).parent / "cases/template/metadata.yml").read_text())


def template(name: str, *inputs: Any, sets: Any = (), **keys: Any) -> JobTemplate:
    """A job template from its metadata, by way of its file format."""
    metadata = {"name": name, "job_category": "Misc", **keys}
    if inputs:
        metadata["template_inputs"] = [each if isinstance(each, dict) else {"name": each} for each in inputs]
    if sets:
        metadata["foreign_input_sets"] = list(sets)
    return read_template("{#\n" + yaml.safe_dump(metadata) + "#}\n", f"{name}.j2")


def names(templates: Templates, name: str) -> list[str]:
    return [each.name for each in templates.inputs_of(templates.find(name))]


def messages(error: InvalidError) -> str:
    return "\n".join(str(problem) for problem in error.problems)


# reading


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_metadata_is_refused_with_every_problem_at_its_place(case):
    with pytest.raises(InvalidError) as caught:
        read_template(case["text"], "a.j2")
    found = [
        f"{str(problem.place).removeprefix('a.j2:')} {problem.message}" for problem in caught.value.problems
    ]
    assert len(found) == len(case["problems"])
    for problem, expected in zip(found, case["problems"], strict=True):
        assert problem.startswith(expected)


def test_the_hint_of_an_unknown_key_is_the_nearest_known_one():
    with pytest.raises(TemplateError) as caught:
        read_template("{#\nname: A\njob_category: B\nfeatur: x\n#}\n", "a.j2")
    assert caught.value.problems[0].hint == "did you mean `feature`?"


def test_every_key_of_the_metadata_is_kept():
    found = read_template(
        "{#\nkind: job_template\nmodel: JobTemplate\nname: Service Action\nid: 61\njob_category: Services\n"
        'provider_type: SSH\ndescription_format: "%{action} %{service}"\nfeature: service_action\n'
        "effective_user: {value: deploy, overridable: false}\nexecution_timeout_interval: 300\n"
        "description: Acts.\norganizations: [Acme, 3]\nlocations: Berlin, Brno\n"
        "template_inputs:\n  - {name: action, required: true, options: [start, stop], default: stop}\n"
        "  - {name: kernel, input_type: fact, fact_name: kernel, advanced: true}\n"
        "foreign_input_sets: [{template: Run Command, exclude: command}]\n#}\nsystemctl\n",
        "service.j2",
    )
    assert (found.name, found.id, found.job_category) == ("Service Action", 61, "Services")
    assert (found.provider_type, found.feature) == ("script", "service_action")
    assert (found.effective_user.value, found.effective_user.overridable) == ("deploy", False)
    assert (found.execution_timeout_interval, found.description) == (300, "Acts.")
    assert (found.organizations, found.locations) == (("Acme", "3"), ("Berlin", "Brno"))
    assert found.template_inputs[0] == TemplateInput(
        name="action", required=True, options=("start", "stop"), default="stop"
    )
    assert (found.foreign_input_sets[0].include, found.foreign_input_sets[0].exclude) == (None, ("command",))
    assert (found.body, found.first_line) == ("systemctl\n", 20)


def test_options_may_be_lines_of_a_text_and_keep_what_was_written():
    listed = template("A", {"name": "a", "options": ["yes", "no"], "default": "no"})
    lines = read_template(
        "{#\nname: A\njob_category: B\ntemplate_inputs:\n  - name: a\n    default: 0755\n"
        "    options: |\n      0755\n        22:30 \n\n      yes\n#}\n",
        "a.j2",
    )
    assert listed.template_inputs[0].options == ("yes", "no")
    assert lines.template_inputs[0].options == ("0755", "22:30", "yes")
    assert lines.template_inputs[0].default == "0755"


def test_the_body_begins_after_the_metadata_and_its_line_is_known():
    found = read_template("{# name: A\n   job_category: B #}\n#!/bin/sh\necho\n", "a.j2")
    assert (found.body, found.first_line) == ("#!/bin/sh\necho\n", 3)


def test_an_interpreter_line_may_come_before_the_metadata():
    found = read_template("#!/bin/sh\n{#\nname: A\njob_category: B\n#}\necho {{ x }}\n", "a.j2")
    assert found.body.startswith("#!/bin/sh\n")
    assert found.source.splitlines().index("#}echo {{ x }}") == 6 - 1


def test_a_file_with_an_underscore_is_a_snippet_named_after_it():
    found = read_template("{# how to wait #}\nsleep 1\n", "templates/_pause.j2")
    assert (found.name, found.snippet, found.body) == ("pause", True, "{# how to wait #}\nsleep 1\n")


def test_a_snippet_with_metadata_is_called_what_it_says():
    found = read_template("{#\nname: Pause\nsnippet: true\n#}\nsleep 1\n", "_x.j2")
    assert (found.name, found.snippet) == ("Pause", True)


@tried(100)
@given(st.text(alphabet="{}#-:[]'\"\n name a1%", max_size=60))
def test_any_text_is_a_template_or_refused_with_a_problem(text):
    with suppress(InvalidError):
        assert read_template(text, "a.j2").name


# in place


def test_a_script_in_a_job_file_knows_its_lines():
    job = parse("name: J\nscript: |\n  echo {{ input('a') }}\ntemplate_inputs: [{name: a}]\n", "job.yml")
    found = inline_template(job, (), "J")
    assert (found.body, found.file, found.first_line) == ("echo {{ input('a') }}\n", "job.yml", 3)
    assert [each.name for each in found.template_inputs] == ["a"]


def test_a_script_on_one_line_begins_where_its_key_stands():
    job = parse("- name: J\n- name: K\n  script: uptime\n", "job.yml")
    assert inline_template(job, (1,), "K").first_line == 3


def test_an_empty_script_and_a_wrong_input_are_told_together():
    job = parse("script: ''\ntemplate_inputs: [{nam: a}]\n", "job.yml")
    with pytest.raises(TemplateError) as caught:
        inline_template(job, (), "J")
    assert [str(each.place) for each in caught.value.problems] == [
        "job.yml:1:9",
        "job.yml:2:19",
        "job.yml:2:20",
    ]


# collections


def write(folder: Path, file: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(text)


def test_the_shipped_templates_alone_are_read_when_one_is_asked_for(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        collection, "read_template", lambda *given: read.append(given) or read_template(*given)
    )
    templates = templates_with(tmp_path)
    assert not read
    assert len(templates) == len(read) > 0


def test_a_wrong_template_of_the_project_is_told_at_once(tmp_path):
    write(tmp_path, "a.j2", "no metadata")
    with pytest.raises(TemplateError):
        templates_with(tmp_path)


def test_the_projects_own_template_goes_before_a_shipped_one_by_name_and_feature(tmp_path):
    write(tmp_path / "shipped", "a.j2", "{#\nname: A\njob_category: X\nfeature: f\n#}\nshipped a\n")
    write(tmp_path / "shipped", "b.j2", "{#\nname: B\njob_category: X\n#}\nshipped b\n")
    write(tmp_path / "own", "b.j2", "{#\nname: B\njob_category: X\nfeature: f\n#}\nown b\n")
    templates = load_templates([tmp_path / "shipped", tmp_path / "own", tmp_path / "absent"])
    assert [each.name for each in templates] == ["A", "B"]
    assert templates.find("B").body == "own b\n"
    assert templates.for_feature("f").name == "B"
    assert templates.find("A").feature is None


def test_names_ids_and_features_are_taken_once_in_a_folder(tmp_path):
    head = "job_category: X\nid: 5\nfeature: f\n#}\n"
    write(tmp_path, "a.j2", "{#\nname: A\n" + head)
    write(tmp_path, "b.j2", "{#\nname: B\n" + head)
    with pytest.raises(TemplateError, match="id `5` of `B` belongs to `A`") as caught:
        load_templates([tmp_path])
    assert "feature `f` of `B` belongs to `A`" in messages(caught.value)
    write(tmp_path, "b.j2", "{#\nname: A\n" + head)
    with pytest.raises(TemplateError, match="the name `A` is taken by"):
        load_templates([tmp_path])


def test_a_link_out_of_the_folder_a_pipe_and_bytes_that_are_no_text_are_refused(tmp_path):
    write(tmp_path / "t", "good.j2", "{#\nname: G\njob_category: X\n#}\n")
    (tmp_path / "secret").write_text("{#\nname: S\njob_category: X\n#}\n")
    (tmp_path / "t/link.j2").symlink_to(tmp_path / "secret")
    (tmp_path / "t/circle.j2").symlink_to(tmp_path / "t/circle.j2")
    (tmp_path / "t/latin.j2").write_bytes(b"{# name: \xe4 #}")
    (tmp_path / "t/folder.j2").mkdir()
    (tmp_path / "t/large.j2").write_text("x" * (256 * 1024 + 1))
    with pytest.raises(TemplateError) as caught:
        load_templates([tmp_path / "t"])
    told = {Path(str(each.place)).name: each.message.split(":")[0] for each in caught.value.problems}
    assert told == {
        "circle.j2": "cannot be read",
        "folder.j2": "is no regular file",
        "large.j2": "is larger than 256 KiB",
        "latin.j2": "is not UTF-8 at byte 9",
        "link.j2": "leads out of the templates folder",
    }


def test_templates_are_found_by_name_and_by_id():
    templates = Templates([template("Run", id=61), template("Reboot")])
    assert templates.find("Run") is templates.find("61") is templates.find(61)
    with pytest.raises(TemplateError, match="no job template `Rebot`") as caught:
        templates.find("Rebot")
    assert caught.value.problems[0].hint == "did you mean `Reboot`?"


def test_a_snippet_is_not_selectable():
    with pytest.raises(TemplateError, match="is a snippet"):
        Templates([template("S", snippet=True)]).find("S")


def test_an_unknown_feature_names_the_near_ones():
    templates = Templates([template("A", feature="puppet_run_host")])
    with pytest.raises(TemplateError) as caught:
        templates.for_feature("puppet_run_hosts")
    assert caught.value.problems[0].hint == "did you mean `puppet_run_host`?"


# foreign input sets; the cases of Foreman's own documentation and tests


@pytest.mark.parametrize(
    ("foreign", "taken"),
    [
        ({}, ["package", "action", "debug"]),
        ({"include_all": True}, ["package", "action", "debug"]),
        ({"include_all": True, "exclude": "action,debug"}, ["package"]),
        ({"include": "package, debug", "exclude": "action,debug"}, ["package"]),
        ({"include": " debug ,, ", "exclude": ""}, ["debug"]),
        ({"exclude": "package, action, debug"}, []),
    ],
)
def test_inputs_are_taken_over_from_another_template(foreign, taken):
    base = template("Base", "package", "action", "debug")
    assert names(Templates([base, template("T", sets=[{"template": "Base", **foreign}])]), "T") == taken


def test_inputs_are_inherited_through_several_templates_after_the_own_ones():
    templates = Templates(
        [
            template("A", "a"),
            template("B", "b", sets=[{"template": "A"}]),
            template("C", "c", sets=[{"template": "B"}]),
        ]
    )
    assert names(templates, "C") == ["c", "b", "a"]
    assert templates.inherited_by(templates.find("C")) == {"B": ["b", "a"]}


def test_a_circle_of_foreign_input_sets_is_refused():
    templates = Templates([template("A", sets=[{"template": "B"}]), template("B", sets=[{"template": "A"}])])
    with pytest.raises(TemplateError, match="A > B > A"):
        templates.inputs_of(templates.find("A"))
    assert templates.check()


def test_an_input_that_comes_twice_is_refused():
    templates = Templates(
        [template("Run", "command"), template("T", "command", sets=[{"template": "Run"}], id=7)]
    )
    with pytest.raises(TemplateError, match="input `command` of `Run` is declared twice in `T`") as caught:
        templates.inputs_of(templates.find(7))
    assert caught.value.problems[0].hint == "add `exclude: command`"


def test_names_that_a_foreign_input_set_gets_wrong_are_told():
    templates = Templates(
        [
            template("Run", "command"),
            template("T", sets=[{"template": "Run", "exclude": "comand"}, {"template": "Rnu"}]),
        ]
    )
    assert [(each.message, each.hint) for each in templates.check()] == [
        ("`Run` has no input `comand`", "did you mean `command`?"),
        ("no job template `Rnu`", "did you mean `Run`?"),
    ]


# values


def refused(values: dict[str, object], *inputs: Any) -> list[str]:
    found = check_values(
        template("T", *inputs).template_inputs, values, template_name="T", compile_search=no_search
    )
    assert all(isinstance(problem, Problem) for problem in found)
    return [problem.message for problem in found]


def no_search(query: str) -> None:
    if query.endswith("="):
        raise SearchError("a value is missing")


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        ({"options": ["a", "b"]}, "c", "`c` is none of the options of input `x`"),
        ({"options": ["a", "b"], "hidden_value": True}, "c", "the value is none of the options of input `x`"),
        ({"required": True}, "", "input `x` is required and must not be empty"),
        ({}, None, "input `x` must not be null"),
        ({"value_type": "date"}, "next week", "input `x` must be an ISO 8601 date or time"),
        ({"value_type": "search"}, "name =", "input `x` is no search query: a value is missing"),
        ({"value_type": "resource"}, " ", "input `x` must be an id or a name"),
        (
            {"input_type": "fact", "fact_name": "kernel"},
            "Linux",
            "input `x` is the fact `kernel` of each host; a job cannot set it",
        ),
    ],
)
def test_a_value_is_held_against_its_input(declared, value, message):
    assert refused({"x": value}, {"name": "x", **declared}) == [message]


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({"options": ["a", "b"]}, "a"),
        ({"options": ["a", "b"]}, ""),
        ({"required": True}, object()),
        ({"value_type": "date"}, "2027-01-31"),
        ({"value_type": "date"}, "2027-01-31T09:00:00+01:00"),
        ({"value_type": "search"}, "name = a"),
        ({"value_type": "resource"}, "17"),
        ({"required": True}, "x" * 7_000_000),
    ],
)
def test_a_value_that_fits_is_accepted(declared, value):
    assert refused({"x": value}, {"name": "x", **declared}) == []


def test_unknown_and_missing_inputs_are_told_together():
    inputs = (
        {"name": "package", "required": True},
        {"name": "action", "required": True, "default": "install"},
    )
    assert refused({"packge": "nginx"}, *inputs) == [
        "unknown input `packge` for template `T`",
        "input `package` of template `T` is required",
    ]


def test_a_required_fact_is_no_reason_to_refuse_a_job():
    assert refused({}, {"name": "k", "input_type": "fact", "fact_name": "kernel", "required": True}) == []


def test_defaults_are_filled_in_and_an_empty_value_goes_before_them():
    inputs = template("T", {"name": "a", "default": "1"}, {"name": "b", "default": "2"}, "c").template_inputs
    assert fill_values(inputs, {"b": ""}) == {"a": "1", "b": ""}


# descriptions


def described(found: JobTemplate, values: dict[str, object], description_format: str | None = None) -> str:
    return describe(found, found.template_inputs, values, description_format)


def test_the_description_of_the_published_example_comes_out_to_the_letter():
    found = template("Job template 181", "Template input 59")
    assert described(found, {}) == "Job template 181 with inputs Template input 59=\"''\""


@pytest.mark.parametrize(
    ("description_format", "expected"),
    [
        (None, 'T with inputs a="1" b="***"'),
        ("", ""),
        ("just text", "just text"),
        ("%{template_name}/%{job_category}: %{a} %{b}", "T/Misc: 1 ***"),
        ("%{nope} %{}", "'' %{}"),
        ("%{a", "%{a"),
    ],
)
def test_placeholders_of_a_description_are_replaced(description_format, expected):
    found = template("T", "a", {"name": "b", "hidden_value": True})
    assert described(found, {"a": "1", "b": "hunter2"}, description_format) == expected


def test_a_description_is_replaced_once_and_cut():
    found = template("T", "a", "b", description_format="%{a}")
    assert described(found, {"a": "%{b}", "b": "x"}) == "%{b}"
    assert described(found, {"a": "x" * 300}) == "x" * 255
