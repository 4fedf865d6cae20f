"""How a run ends is its exit code; each by a run on real hosts."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from chargehand import Project
from repository import LINES, Repository, is_running, reached
from sshd import Sshd, wait_until

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]
DOWN = {"ansible_host": "127.0.0.1", "ansible_port": 1}


def test_0_when_every_host_succeeded(hosts: Hosts) -> None:
    repository = hosts("web1", "web2")
    assert repository.run(repository.job("true")).code == 0


def test_5_when_a_host_failed_with_the_exit_status_kept(hosts: Hosts) -> None:
    repository = hosts("web1", "web2")
    answer = repository.run(repository.job("[ {{ host.name }} = web1 ] || exit 42"))
    assert answer.code == 5
    assert answer.statuses == {"web1": "succeeded", "web2": "failed"}
    assert answer.results["web2"]["exit_status"] == 42
    assert (answer.document["status"], answer.document["succeeded"], answer.document["failed"]) == (1, 1, 1)


def test_5_when_a_host_did_not_render_and_is_left_alone(hosts: Hosts, sshd: Sshd) -> None:
    repository = hosts("web1")
    repository.hosts({"web1": reached(sshd, colour="red"), "web2": reached(sshd)})
    answer = repository.run(repository.job("echo {{ host_param('colour') }}"))
    assert answer.code == 5
    assert answer.statuses == {"web1": "succeeded", "web2": "not_started"}
    assert "colour" in answer.results["web2"]["reason"]
    assert answer.results["web2"]["attempts"] == 0


def test_6_when_hosts_are_unreachable_and_none_failed(hosts: Hosts, sshd: Sshd) -> None:
    repository = hosts("web1")
    repository.hosts({"web1": reached(sshd), "web2": DOWN})
    answer = repository.run(repository.job("true"))
    assert answer.code == 6
    assert answer.statuses == {"web1": "succeeded", "web2": "unreachable"}


def test_7_when_some_are_unreachable_and_some_failed(hosts: Hosts, sshd: Sshd) -> None:
    repository = hosts("web1")
    repository.hosts({"web1": reached(sshd), "web2": DOWN})
    assert repository.run(repository.job("false")).code == 7


def test_8_when_too_many_failed_and_the_rest_is_left_alone(hosts: Hosts) -> None:
    repository = hosts("web1", "web2", "web3", "web4")
    one_at_a_time = {"concurrency_control": {"concurrency_level": 1}}
    answer = repository.run(repository.job("exit 1", stop_after=2, parameters=one_at_a_time))
    assert answer.code == 8
    assert list(answer.statuses.values()) == ["failed", "failed", "skipped", "skipped"]


def test_9_when_the_deadline_passed_and_nothing_is_left_running(hosts: Hosts, tmp_path: Path) -> None:
    repository = hosts("web1", "web2")
    pid = tmp_path / "pid"
    one_at_a_time = {"concurrency_control": {"concurrency_level": 1}}
    script = f"echo $$ > {pid}; sleep 600"
    answer = repository.run(repository.job(script, deadline="4s", parameters=one_at_a_time))
    assert answer.code == 9
    assert answer.statuses == {"web1": "timed_out", "web2": "skipped"}
    assert not is_running(pid.read_text().strip())
    assert repository.left() == []


def test_9_when_every_failure_is_a_script_over_its_time(hosts: Hosts) -> None:
    repository = hosts("web1", "web2")
    script = "[ {{ host.name }} = web1 ] || exec sleep 600"
    answer = repository.run(repository.job(script, parameters={"execution_timeout_interval": 1}))
    assert answer.code == 9
    assert answer.statuses == {"web1": "succeeded", "web2": "timed_out"}
    assert repository.left() == []


def test_13_when_a_connection_is_cut_in_the_middle_of_a_script(
    repository: Repository, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with Sshd(tmp_path / "sshd", lines=LINES) as sshd:
        repository.settings(known_hosts_files=[str(sshd.known_hosts)])
        repository.hosts({"web1": reached(sshd)})
        file = repository.job(f"echo $$ > {started}; sleep 600")
        with repository.start("run", file, "-o", "json") as running:
            wait_until(lambda: started.exists() and started.read_text(), 60, "the script runs")
            for pid in sshd.sessions():
                os.kill(pid, signal.SIGKILL)
            answer = running.answer()
    assert answer.code == 13
    assert answer.statuses == {"web1": "unknown"}
    pid = started.read_text().strip()
    wait_until(lambda: not is_running(pid), what="the script ends with its connection")


def test_the_python_api_gives_the_same_result_and_exit_code(hosts: Hosts) -> None:
    repository = hosts("web1", "web2")
    repository.job("[ {{ host.name }} = web1 ] || exit 42")
    project = Project.load(repository.root, inventory=[str(repository.root / "inventory.json")])
    assert [host.name for host in project.inventory.search("name = web2")] == ["web2"]
    (job,) = project.jobs
    assert project.validate().ok
    assert [host.name for host in project.plan(job).hosts] == ["web1", "web2"]
    heard: list[object] = []
    result = project.run(job, observer=heard.append).result
    assert result.exit_code == 5
    assert [(each.host, str(each.status), each.exit_status) for each in result.results] == [
        ("web1", "succeeded", 0),
        ("web2", "failed", 42),
    ]
    assert heard
