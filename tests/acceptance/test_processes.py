"""A command whose hosts are reached by worker processes: what signals do to it, and to them."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from repository import Repository, Running, is_running, reached
from sshd import Sshd, descendants, wait_until

pytestmark = pytest.mark.sshd


@pytest.fixture
def fleet(repository: Repository, sshd: Sshd) -> Repository:
    """Two hosts, by worker processes."""
    repository.settings(known_hosts_files=[str(sshd.known_hosts)], ssh_provider="ssh-processes")
    repository.hosts({name: reached(sshd) for name in ("web1", "web2")})
    return repository


def workers(running: Running) -> list[int]:
    """The worker processes of a command."""
    found = []
    for pid in descendants(running.pid):
        with suppress(OSError):
            if b"chargehand.workers.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def begin(fleet: Repository, pids: Path) -> Running:
    """A command whose scripts run, until they are stopped."""
    running = fleet.start("run", fleet.job(f"echo $$ >>{pids}\nexec sleep 600"), "-o", "json")
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, 60, "two scripts run")
    return running


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_everybody_is_the_commands_to_obey(
    fleet: Repository, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    pids = tmp_path / "pids"
    with begin(fleet, pids) as running:
        (worker,) = workers(running)
        os.kill(worker, number)  # as systemd does; a terminal does not even reach it
        os.killpg(running.pid, number)
        answer = running.answer()
    assert answer.code == code, answer.stderr
    assert answer.statuses == dict.fromkeys(("web1", "web2"), "cancelled")
    assert not [pid for pid in pids.read_text().split() if is_running(pid)]
    assert fleet.left() == []
    assert not is_running(str(worker))


def test_a_command_that_is_killed_leaves_no_worker_and_no_script(fleet: Repository, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with begin(fleet, pids) as running:
        (worker,) = workers(running)
        running.signal(signal.SIGKILL)
        wait_until(lambda: not is_running(str(worker)), 10, "the worker ends")
    for pid in pids.read_text().split():
        wait_until(lambda pid=pid: not is_running(pid), 30, "the host stops what lost its connection")
    assert len(fleet.left()) == 2, "whoever comes after it may ask"


def test_a_worker_that_is_killed_leaves_its_hosts_unknown_and_the_command_whole(
    fleet: Repository, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    with begin(fleet, pids) as running:
        (worker,) = workers(running)
        os.kill(worker, signal.SIGKILL)
        answer = running.answer()
    assert answer.statuses == dict.fromkeys(("web1", "web2"), "unknown")
    assert {result["code"] for result in answer.results.values()} == {"worker-lost"}
    assert "was killed by SIGKILL" in answer.results["web1"]["reason"]


def test_results_are_what_they_are_without_workers(fleet: Repository) -> None:
    answer = fleet.run(fleet.job("echo out; echo err >&2; exit 3"))
    assert answer.statuses == dict.fromkeys(("web1", "web2"), "failed")
    assert [(each["stdout"], each["stderr"], each["exit_status"]) for each in answer.results.values()] == [
        ("out\n", "err\n", 3)
    ] * 2
    assert fleet.left() == []
