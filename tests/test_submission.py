"""`run` of a job that starts later writes it down; whoever starts what is due starts it, once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repository import Repository

LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=300)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "repository")
    repository.hosts({name: {"ansible_connection": "local"} for name in ("web1", "web2")})
    return repository


def later(**parameters: Any) -> dict[str, Any]:
    return {"scheduling": {"start_at": LATER.isoformat()}} | parameters


def listed(repository: Repository) -> list[Any]:
    return list(repository.chargehand("list", "-o", "json").document["results"])


def test_a_job_that_starts_later_is_written_down_and_says_who_starts_it(repository: Repository) -> None:
    answer = repository.chargehand("run", repository.job(parameters=later()))
    assert answer.code == 0
    assert answer.stdout == f"invocation 1 is scheduled: `job` starts at {LATER:%Y-%m-%d %H:%M:%S} UTC\n"
    assert "chargehand serve" in answer.stderr
    assert "chargehand tick" in answer.stderr
    assert [each["status_label"] for each in listed(repository)] == ["queued"]


def test_its_document_is_that_of_a_queued_invocation(repository: Repository) -> None:
    answer = repository.run(repository.job(parameters=later()))
    assert (answer.code, answer.document["status"], answer.document["mode"]) == (0, 2, "future")
    assert answer.document["scheduling"]["start_at"] == f"{LATER:%Y-%m-%d %H:%M:%S} UTC"
    assert [each["name"] for each in answer.document["targeting"]["hosts"]] == ["web1", "web2"]


def test_run_and_tick_together_write_it_down_once_whoever_comes_first(repository: Repository) -> None:
    file = repository.job(parameters=later())
    assert repository.chargehand("tick").code == 0
    answer = repository.chargehand("run", file)
    assert (answer.code, "scheduled already" in answer.stdout) == (0, True)
    assert repository.chargehand("tick").code == 0
    assert len(listed(repository)) == 1


def test_options_that_the_one_written_down_lacks_are_not_silently_left_out(repository: Repository) -> None:
    file = repository.job(parameters=later())
    assert repository.chargehand("tick").code == 0
    answer = repository.chargehand("run", file, "-l", "web1")
    assert (answer.code, "without these options" in answer.stderr) == (2, True)


def test_now_starts_it_at_once(repository: Repository) -> None:
    answer = repository.run(repository.job(parameters=later()), "--now")
    assert (answer.code, answer.document["status"]) == (0, 0)


def test_a_limit_fixes_the_hosts_of_a_static_targeting(repository: Repository) -> None:
    answer = repository.run(repository.job(parameters=later()), "-l", "web2")
    assert [each["name"] for each in answer.document["targeting"]["hosts"]] == ["web2"]


@pytest.mark.parametrize(
    ("own", "words", "code", "said"),
    [
        (later(password={"prompt": True}), [], 3, "`password` is asked for"),
        (later(targeting_type="dynamic_query"), ["-l", "web1"], 2, "looks its hosts up when it starts"),
        (later(), ["--lab", "2"], 2, "the lab is gone by then"),
    ],
    ids=["a_prompt", "a_limit_of_a_dynamic_targeting", "a_lab"],
)
def test_what_would_be_forgotten_until_it_starts_is_refused(
    repository: Repository, own: dict[str, Any], words: Sequence[str], code: int, said: str
) -> None:
    answer = repository.chargehand("run", repository.job(parameters=own), *words)
    assert (answer.code, said in answer.stderr) == (code, True), answer.stderr
    assert listed(repository) == []


def test_a_job_file_from_elsewhere_is_written_down_every_time_and_kept(
    repository: Repository, tmp_path: Path
) -> None:
    file = repository.job(parameters=later()).rename(tmp_path / "elsewhere.json")
    for _ in range(2):
        assert repository.chargehand("run", file).code == 0
    assert repository.chargehand("tick").code == 0
    assert [each["status_label"] for each in listed(repository)] == ["queued", "queued"]


def test_a_list_submits_in_its_order_what_starts_later(repository: Repository) -> None:
    body = {"targeting_type": "static_query", "search_query": "web1"}
    first = {"name": "first", "script": "true", "job_invocation": body}
    second = {"name": "second", "script": "true", "job_invocation": body | later()}
    answer = repository.run(repository.jobs([first, second]))
    assert [each["status_label"] for each in answer.document] == ["succeeded", "queued"]
