"""The example of the API's documentation, from its request in a file to its answer, on two real servers."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from repository import LINES, Repository, reached
from sshd import Sshd

pytestmark = pytest.mark.sshd

PROJECT = Path(__file__).parents[2]
REQUEST = PROJECT / "playbooks" / "seed.json"
RESPONSE = PROJECT / "tests" / "cases" / "report" / "seed_response.json"


@pytest.fixture
def answer(repository: Repository, tmp_path: Path) -> Any:
    """What `chargehand run playbooks/seed.json` answers, its two hosts on two servers."""
    with (
        Sshd(tmp_path / "host137", addresses=["127.0.0.137"], lines=LINES) as first,
        Sshd(tmp_path / "host138", addresses=["127.0.0.138"], lines=LINES) as second,
    ):
        repository.settings(
            templates=str(PROJECT / "playbooks" / "templates"),
            known_hosts_files=[str(first.known_hosts), str(second.known_hosts)],
        )
        repository.hosts({"host137": reached(first, id=132), "host138": reached(second, id=133)})
        return repository.run(REQUEST)


def shape(value: Any) -> Any:
    """Keys and types of a JSON value."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


def without_unknown(found: Any, known: Any) -> Any:
    """`found` without the keys that `known` does not have."""
    if isinstance(found, dict) and isinstance(known, dict):
        return {key: without_unknown(found[key], known[key]) for key in known if key in found}
    if isinstance(found, list) and isinstance(known, list):
        return [without_unknown(*pair) for pair in zip(found, known, strict=True)]
    return found


def test_the_documented_request_gets_the_documented_answer(answer: Any) -> None:
    assert answer.code == 0, answer.stderr
    documented = json.loads(RESPONSE.read_text(encoding="utf-8"))
    document = answer.document
    # The documentation shows an invocation that is planned; this one is over.
    ended = documented | {"succeeded": 2, "failed": 0, "pending": 0}
    ended["targeting"] = documented["targeting"] | {"user_id": os.getuid()}
    assert shape(without_unknown(document, ended)) == shape(ended)
    own = ("id", "targeting_id", "start_at", "status", "status_label", "dynflow_task", "task")
    told = without_unknown(document, ended)
    assert {key: told[key] for key in ended if key not in own} == {
        key: value for key, value in ended.items() if key not in own
    }
    assert (document["status"], document["status_label"]) == (0, "succeeded")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", document["start_at"])
    assert document["dynflow_task"]["id"] == document["task"]["id"]


def test_the_scripts_of_the_documented_request_really_ran(answer: Any) -> None:
    assert {host: result["stdout"] for host, result in answer.results.items()} == {
        "host137": "Template input 59 is \n",
        "host138": "Template input 59 is \n",
    }
