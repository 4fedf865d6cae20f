"""Lists of jobs, waves and retries on real hosts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repository import Repository, job, reached
from sshd import Sshd

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


def noting(ledger: Path, then: str = "true") -> str:
    return f"echo {{{{ host.name }}}} >> {ledger}\n{then}\n"


def test_jobs_run_in_order_each_when_the_one_before_is_done(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1", "web2")
    jobs = [job(f"sleep 0.3; echo {name} >> {ledger}", name=name) for name in ("first", "second", "third")]
    answer = repository.run(repository.jobs(jobs))
    assert answer.code == 0
    assert ledger.read_text().split() == ["first"] * 2 + ["second"] * 2 + ["third"] * 2
    assert [len(document["results"]) for document in answer.document] == [2, 2, 2]


def test_the_first_job_that_fails_is_the_last(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1", "web2")
    fails = noting(ledger, "[ {{ host.name }} = web1 ]")
    answer = repository.run(repository.jobs([job(fails, name="first"), job(noting(ledger), name="second")]))
    assert answer.code == 5
    assert sorted(ledger.read_text().split()) == ["web1", "web2"]
    assert "1 job after `first` not started" in answer.stderr


def test_a_job_may_fail_and_the_others_go_on_and_the_failure_is_not_forgotten(
    hosts: Hosts, ledger: Path
) -> None:
    repository = hosts("web1")
    first = job(noting(ledger, "exit 3"), name="first", continue_on_failure=True)
    answer = repository.run(repository.jobs([first, job(noting(ledger), name="second")]))
    assert answer.code == 5
    assert ledger.read_text().split() == ["web1", "web1"]
    assert [document["status_label"] for document in answer.document] == ["failed", "succeeded"]


def test_several_files_are_one_list(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1")
    files = [repository.job(f"echo {name} >> {ledger}", name=name) for name in ("b", "a")]
    assert repository.run(files[0], files[1]).code == 0
    assert ledger.read_text().split() == ["b", "a"]


def test_waves_go_one_after_the_other(hosts: Hosts, ledger: Path) -> None:
    repository = hosts(*(f"web{number}" for number in range(1, 7)))
    script = "for what in begin end; do echo $what {{ host.name }} >> LEDGER; sleep 0.3; done"
    file = repository.job(script.replace("LEDGER", str(ledger)), waves=[1, 2, "50%"])
    assert repository.run(file).code == 0
    events = [line.split() for line in ledger.read_text().splitlines()]
    waves = [["web1"], ["web2", "web3"], ["web4", "web5", "web6"]]
    for wave in waves:
        now, events = events[: 2 * len(wave)], events[2 * len(wave) :]
        assert sorted(now) == sorted([what, host] for what in ("begin", "end") for host in wave)


def test_a_failure_in_the_first_wave_spares_the_rest(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1", "web2", "web3", "web4")
    answer = repository.run(repository.job(noting(ledger, "exit 1"), waves=[1, "100%"], stop_after=1))
    assert answer.code == 8
    assert ledger.read_text().split() == ["web1"]
    assert list(answer.statuses.values()) == ["failed", "skipped", "skipped", "skipped"]


def test_a_host_that_comes_up_late_is_tried_again(
    repository: Repository, ledger: Path, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "first") as up, Sshd(tmp_path / "second") as late:
        late.stop()
        repository.settings(known_hosts_files=[str(up.known_hosts), str(late.known_hosts)])
        repository.hosts({"db1": reached(up), "db2": reached(late)})
        file = repository.job(noting(ledger), retry_unreachable={"times": 30, "delay": "1s"})
        with repository.start("run", file, "-o", "json") as running:
            running.await_told("try 2 of 31")
            late.start()
            answer = running.answer()
    assert answer.code == 0, answer.stderr
    assert sorted(ledger.read_text().split()) == ["db1", "db2"]
    assert answer.results["db2"]["attempts"] > 1
