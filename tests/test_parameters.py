import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from chargehand.errors import SchemaError
from chargehand.parameters import PAGE, PARAMS, SCHEMA, build, check, load_parameters
from chargehand.schema import schema_path

ROOT = Path(__file__).parents[1]
SEED = Path(__file__).parent / "cases" / "parameters" / "seed.txt"
PARAMETERS = load_parameters(ROOT / PARAMS)
OURS = {"host_ids"}


@dataclass(frozen=True)
class Documented:
    """One parameter as the API's page documents it."""

    path: tuple[str, ...]
    required: bool
    nullable: bool
    validation: str


def read_seed() -> list[Documented]:
    entry = re.compile(
        r"^(?P<name>\w+(?:\[\w+\])*)\n(?P<need>required|optional)(?P<nil> , nil allowed)?\n"
        r"(?:(?!Validations:).*\n)*?Validations:\n\n  • (?P<validation>.*)$",
        re.MULTILINE,
    )
    return [
        Documented(
            path=tuple(re.findall(r"\w+", found["name"])),
            required=found["need"] == "required",
            nullable=bool(found["nil"]),
            validation=found["validation"],
        )
        for found in entry.finditer(SEED.read_text())
    ]


def test_every_parameter_of_the_api_is_documented_as_its_page_documents_it():
    seed = read_seed()
    assert len(seed) == SEED.read_text().count("Validations:")
    ours = [
        Documented(each.path, each.required, each.nullable, each.validation)
        for each in PARAMETERS.walk()
        if each.validation is not None
    ]
    assert sorted(ours, key=lambda each: each.path) == sorted(seed, key=lambda each: each.path)


def test_only_host_ids_is_added_to_the_api_s_own_parameters():
    inside = [each for each in PARAMETERS.walk() if each.path[0] == "job_invocation"]
    assert {each.name for each in inside if each.validation is None} == OURS


def test_every_parameter_says_what_it_does_and_nothing_is_said_twice():
    descriptions = [each.description for each in PARAMETERS.walk()]
    assert all(len(text) > 15 and text.endswith(".") for text in descriptions)
    assert len(set(descriptions)) == len(descriptions)


def test_examples_and_defaults_fit_their_own_schema():
    schema = json.loads((ROOT / SCHEMA).read_text())
    for each in PARAMETERS.walk():
        place = schema["$defs"]["job"]
        for step in each.path:
            place = place.get("items", place)["properties"][step]
        validator = Draft202012Validator({**place, "$defs": schema["$defs"]})
        for value in (each.example, each.default):
            assert value is None or validator.is_valid(value), each.path


def test_the_built_files_are_those_of_a_fresh_build():
    assert check(ROOT) == []
    assert schema_path() == ROOT / SCHEMA


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / PARAMS).parent.mkdir()
    (tmp_path / PARAMS).write_text((ROOT / PARAMS).read_text())
    return tmp_path


def test_a_build_writes_schema_and_page(checkout):
    assert [problem.place.file for problem in check(checkout)] == [
        str(checkout / SCHEMA),
        str(checkout / PAGE),
    ]
    assert build(checkout) == [checkout / SCHEMA, checkout / PAGE]
    assert check(checkout) == []


def test_a_built_file_that_was_changed_by_hand_is_found(checkout):
    build(checkout)
    (checkout / PAGE).write_text((checkout / PAGE).read_text() + "\n")
    (problem,) = check(checkout)
    assert problem.hint == "run `chargehand schema build`"


def test_an_entry_with_a_key_that_is_not_known_is_refused(checkout):
    params = checkout / PARAMS
    params.write_text(params.read_text().replace("otherwise: never", "otherwize: never"))
    with pytest.raises(SchemaError, match=r"stop_after.*otherwize"):
        load_parameters(params)
