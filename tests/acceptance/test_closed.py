"""Nothing is connected to when anything is invalid, and nobody is run on who was not meant."""

from collections.abc import Callable

import pytest

from repository import Answer, Repository, job, reached
from sshd import Sshd

pytestmark = pytest.mark.sshd

Alone = Callable[..., Answer]


@pytest.fixture
def alone(repository: Repository, sshd: Sshd) -> Alone:
    """Runs a job file, and makes sure by the server's log that nobody knocked there."""
    repository.settings(known_hosts_files=[str(sshd.known_hosts)])

    def run(content: object, *words: str, **variables: object) -> Answer:
        repository.hosts({"web1": reached(sshd), "web2": reached(sshd, **variables)})
        before = sshd.log()
        answer = repository.run(repository.jobs(content), *words)
        assert "Connection from" not in sshd.log().removeprefix(before)
        return answer

    return run


def fails(answer: Answer, code: int, *said: str) -> None:
    assert answer.code == code, answer.stderr
    assert answer.stdout == ""
    for words in said:
        assert words in answer.stderr


def test_a_second_job_that_is_invalid_keeps_the_first_from_running(alone: Alone) -> None:
    answer = alone([job(name="first"), job("{{ input('nobody') }}", name="second", stop_after=0)])
    fails(answer, 3, "playbooks/job.json:1:", "stop_after")


def test_a_second_job_for_nobody_keeps_the_first_from_running(alone: Alone) -> None:
    fails(alone([job(name="first"), job(name="second", query="name = web9")]), 4, "name = web9")


def test_a_second_job_whose_secret_is_missing_keeps_the_first_from_running(alone: Alone) -> None:
    second = job(name="second", parameters={"password": {"env": "NO_SUCH_VARIABLE"}})
    fails(alone([job(name="first"), second]), 3, "NO_SUCH_VARIABLE")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"inputs": {"nobody": "x"}}, "nobody"),
        ({"search_query": "nam = web1"}, "nam"),
        ({"search_query": ""}, "search_query"),
        ({"host_ids": [1, 99], "search_query": None}, "99"),
        ({"bookmark_id": 77, "search_query": None}, "77"),
        ({"location_id": 4}, "location_id"),
        ({"ssh": {"effective_usr": "root"}}, "effective_user"),
        ({"concurrency_control": {"concurrency_level": 0}}, "concurrency_level"),
        ({"execution_timeout_interval": "ten"}, "execution_timeout_interval"),
        ({"password": "in plain sight"}, "a secret must not stand in a file"),
    ],
)
def test_an_invalid_parameter_is_told_and_nothing_runs(
    alone: Alone, parameters: dict[str, object], said: str
) -> None:
    answer = alone(job(parameters=parameters))
    fails(answer, 3, said)
    assert "in plain sight" not in answer.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"ansible_port": "twenty-two"},
        {"ansible_user": "-oProxyCommand=id"},
        {"ansible_host": "a b"},
        {"ansible_connection": "winrm"},
        {"ansible_become_method": "magic"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_one_host_with_a_bad_connection_variable_stops_everybody(
    alone: Alone, variables: dict[str, object]
) -> None:
    fails(alone(job(), **variables), 3, next(iter(variables)))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-l", "web9"], 4, "web9"),
        (["-l", "name = web9"], 4, ""),
        (["-l", "name = "], 3, ""),
        (["-l", "web1:&nobody"], 4, "nobody"),
        (["--exclude", "*"], 4, ""),
        (["-e", "nobody=x"], 3, "nobody"),
        (["-e", "nobody"], 2, "nobody"),
        (["-f", "0"], 2, "-f"),
        (["-i", "nowhere.ini"], 3, "nowhere.ini"),
        (["--no-such-option"], 2, "--no-such-option"),
        (["no-such-file.yml"], 3, "no-such-file.yml"),
        (["-k"], 2, "terminal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_line_that_is_wrong_runs_nothing(
    alone: Alone, words: list[str], code: int, said: str
) -> None:
    fails(alone(job(), *words), code, said)


def test_a_run_without_a_file_is_a_usage_error(repository: Repository) -> None:
    fails(repository.chargehand("run"), 2, "FILE")


def test_a_limit_keeps_those_it_names_and_never_adds_one(repository: Repository, sshd: Sshd) -> None:
    repository.settings(known_hosts_files=[str(sshd.known_hosts)])
    repository.hosts({name: reached(sshd) for name in ("db1", "web1", "web2", "web3")})
    file = repository.job(query="name ~ web")
    assert list(repository.run(file, "-l", "web1:web2:db1").results) == ["web1", "web2"]
    assert list(repository.run(file, "-l", "name != web2").results) == ["web1", "web3"]
    assert repository.run(file, "-l", "db1").code == 4
