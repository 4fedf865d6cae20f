"""`chargehand resume`: what a killed run left is finished, or said to be somebody else's."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from repository import PROGRAM, Repository
from sshd import wait_until

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]


def kill(repository: Repository, file: Path, point: str, *words: str) -> None:
    """Run a job that dies at a named point."""
    done = subprocess.run(
        [PROGRAM, "run", str(file), *words],
        cwd=repository.root,
        env=repository.environ | {"CHARGEHAND_FAILPOINT": f"{point}:KILL"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_killed_run_is_finished_and_told_as_a_whole(hosts: Hosts) -> None:
    repository = hosts("h1", "h2", "h3")
    ran = repository.root / "ran"
    file = repository.job(
        f"echo {{{{ inventory_hostname }}}} | tee -a {ran}",
        parameters={"concurrency_control": {"concurrency_level": 1}},
    )
    kill(repository, file, "before-outcome:2")
    resumed = repository.chargehand("resume", "last", "-o", "json")
    assert resumed.code == 0
    assert resumed.statuses == {"h1": "succeeded", "h2": "succeeded", "h3": "succeeded"}
    assert {host: each["stdout"] for host, each in resumed.results.items()}["h1"] == "h1\n"
    assert ran.read_text().split() == ["h1", "h2", "h3"]
    assert "asking what became of the scripts on h2" in resumed.stderr
    assert repository.left() == []
    shown = repository.chargehand("show", "last", "-o", "json")
    assert (shown.document["succeeded"], shown.document["task"]["state"]) == (3, "stopped")


def test_what_is_over_is_told_once_more_and_nothing_is_done(hosts: Hosts) -> None:
    repository = hosts("h1", "h2")
    repository.run(repository.job('[ "{{ inventory_hostname }}" = h1 ]'))
    resumed = repository.chargehand("resume", "last", "-o", "json")
    assert resumed.code == 5
    assert resumed.statuses == {"h1": "succeeded", "h2": "failed"}
    assert "nothing is left to do" in resumed.stderr


def test_what_somebody_carries_out_is_left_to_them(hosts: Hosts) -> None:
    repository = hosts("h1")
    go = repository.root / "go"
    file = repository.job(f"touch {go}.on; until [ -e {go} ]; do sleep 0.1; done")
    with repository.start("run", file) as running:
        wait_until(Path(f"{go}.on").exists, 60)
        refused = repository.chargehand("resume", "last")
        go.touch()
        assert running.answer().code == 0
    assert refused.code == 2
    assert "which lives" in refused.stderr


def test_scripts_that_changed_run_only_when_told(hosts: Hosts) -> None:
    repository = hosts("h1", "h2")
    kill(repository, repository.job("echo old"), "before-intent:1")
    repository.job("echo new")
    refused = repository.chargehand("resume", "last")
    assert refused.code == 2
    assert "have changed since it began, on h[1-2]" in refused.stderr
    assert "--changed" in refused.stderr
    resumed = repository.chargehand("resume", "last", "--changed", "-o", "json")
    assert {each["stdout"] for each in resumed.results.values()} == {"new\n"}


def test_a_host_that_cannot_be_asked_stays_unknown_until_it_can(hosts: Hosts) -> None:
    repository = hosts("h1", "h2")
    # One at a time: the script of the first is over then, and nobody has stopped it.
    kill(repository, repository.job("echo up"), "before-outcome:1", "-f", "1")
    port = repository.root / "inventory.json"
    reachable = port.read_text()
    hosts("h1", "h2", ansible_port=1)
    cut = repository.chargehand("resume", "last", "-o", "json")
    assert cut.code == 13
    assert "unknown" in cut.statuses.values()
    assert {each["code"] for each in cut.results.values()} <= {"", "not-asked", "refused"}
    port.write_text(reachable)
    assert "unknown" not in repository.chargehand("resume", "last", "-o", "json").statuses.values()


def test_hosts_that_are_gone_from_the_inventory_are_told(hosts: Hosts) -> None:
    repository = hosts("h1", "h2")
    kill(repository, repository.job("true"), "before-intent:1")
    hosts("h1")
    resumed = repository.chargehand("resume", "last", "-o", "json")
    assert resumed.statuses == {"h1": "succeeded", "h2": "not_started"}
    assert "not in the inventory any more: h2" in resumed.stderr


def test_passwords_are_to_be_given_again(hosts: Hosts) -> None:
    repository = hosts("h1")
    inputs = [{"name": "token", "hidden_value": True, "required": True}]
    file = repository.job("echo {{ input('token') }}", template_inputs=inputs)
    kill(repository, file, "before-intent:1", "-e", "token=canary-of-resume")
    assert "-e token=VALUE" in repository.chargehand("resume", "last").stderr
    resumed = repository.chargehand("resume", "last", "-e", "token=canary-of-resume", "-o", "json")
    assert resumed.code == 0
    assert resumed.results["h1"]["stdout"] == "***\n"


def test_a_cancelled_run_is_not_started_by_resuming_it(hosts: Hosts) -> None:
    repository = hosts("h1", "h2")
    ran = repository.root / "ran"
    kill(repository, repository.job(f"touch {ran}"), "before-intent:1")
    repository.chargehand("cancel", "last")
    resumed = repository.chargehand("resume", "last", "-o", "json")
    assert set(resumed.statuses.values()) == {"cancelled"}
    assert not ran.exists()


@pytest.mark.parametrize("idempotent", [True, False])
def test_only_an_idempotent_job_starts_a_script_again(hosts: Hosts, *, idempotent: bool) -> None:
    repository = hosts("h1")
    ran = repository.root / "ran"
    file = repository.job(f"echo x >>{ran}; sleep 2", idempotent=idempotent)
    program = subprocess.Popen(
        [PROGRAM, "run", file],
        cwd=repository.root,
        env=repository.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with program:
        wait_until(ran.exists, 60)
        os.killpg(program.pid, signal.SIGKILL)
    resumed = repository.chargehand("resume", "last", "-o", "json")
    assert resumed.statuses["h1"] == ("succeeded" if idempotent else "unknown")
    assert resumed.code == (0 if idempotent else 13)
    assert len(ran.read_text().split()) == (2 if idempotent else 1)
    assert repository.left() == []
