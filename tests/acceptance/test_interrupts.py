"""Stop means stop: after an interrupt, a termination or a time limit nothing is left on the hosts."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repository import Repository, is_running
from sshd import wait_until

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]

OBEDIENT = """#!/bin/sh
echo $$ >> {pids}
exec sleep 600
"""
STUBBORN = """#!/bin/bash
trap '' TERM INT HUP
{% if host.name == "web2" %}
for child in 1 2 3; do (echo $BASHPID >> {pids}; while :; do sleep 1; done) & done
{% endif %}
echo $$ >> {pids}
while :; do sleep 1; done
"""
STUBBORN_PROCESSES = 1 + 4
"""Of web1, which ignores TERM, and of web2, whose children ignore it too."""


class Pids:
    """The processes that scripts wrote down."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def written(self) -> list[str]:
        return self.file.read_text().split() if self.file.exists() else []

    def await_all(self, count: int) -> None:
        wait_until(lambda: len(self.written()) == count, 60, f"{count} processes run")

    def alive(self) -> list[str]:
        return [pid for pid in self.written() if is_running(pid)]


@pytest.fixture
def pids(tmp_path: Path) -> Pids:
    return Pids(tmp_path / "pids")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl_c", "sigterm"]
)
def test_a_signal_ends_everything_on_every_host(
    hosts: Hosts, pids: Pids, number: signal.Signals, code: int
) -> None:
    repository = hosts("web1", "web2", "web3")
    at_once = {"concurrency_control": {"concurrency_level": 2}}
    file = repository.job(STUBBORN.replace("{pids}", str(pids.file)), parameters=at_once)
    with repository.start("run", file, "-o", "json") as running:
        pids.await_all(STUBBORN_PROCESSES)
        running.signal(number)
        answer = running.answer()
    assert answer.code == code, answer.stderr
    assert answer.statuses == dict.fromkeys(("web1", "web2", "web3"), "cancelled")
    assert [result["started_at"] is None for result in answer.results.values()] == [False, False, True]
    assert (answer.document["status_label"], answer.document["cancelled"]) == ("cancelled", 3)
    assert pids.alive() == []
    assert repository.left() == []


def test_a_terminal_that_goes_away_ends_everything_too(hosts: Hosts, pids: Pids) -> None:
    repository = hosts("web1")
    file = repository.job(OBEDIENT.replace("{pids}", str(pids.file)))
    with repository.start("run", file, "-o", "json") as running:
        pids.await_all(1)
        running.signal(signal.SIGHUP)
        answer = running.answer()
    assert answer.code == 129
    assert answer.statuses == {"web1": "cancelled"}
    assert (pids.alive(), repository.left()) == ([], [])


def test_a_second_interrupt_leaves_at_once_and_the_host_ends_it_alone(hosts: Hosts, pids: Pids) -> None:
    repository = hosts("web1")
    with repository.start(
        "run", repository.job(STUBBORN.replace("{pids}", str(pids.file))), "-o", "json"
    ) as running:
        pids.await_all(1)
        running.signal(signal.SIGINT)
        running.await_told("stopping")
        running.signal(signal.SIGINT)
        pressed = time.monotonic()
        answer = running.answer()
        took_s = time.monotonic() - pressed
    assert answer.code == 130
    assert took_s < 8, "sooner than TERM's grace"
    assert answer.statuses == {"web1": "unknown"}
    wait_until(lambda: not pids.alive(), 30, "the host kills what lost its connection")
    (folder,) = repository.left()
    wait_until((repository.work / folder / "exit_code").exists, 30, "the host keeps what nobody heard of")


def test_a_time_limit_ends_everything_too(hosts: Hosts, pids: Pids) -> None:
    repository = hosts("web1", "web2")
    script = STUBBORN.replace("{pids}", str(pids.file))
    answer = repository.run(repository.job(script, parameters={"execution_timeout_interval": 2}))
    assert answer.code == 9
    assert answer.statuses == {"web1": "timed_out", "web2": "timed_out"}
    assert len(pids.written()) == STUBBORN_PROCESSES
    assert pids.alive() == []
    assert repository.left() == []


def test_a_script_that_falls_silent_is_ended(hosts: Hosts, pids: Pids) -> None:
    repository = hosts("web1")
    answer = repository.run(repository.job(OBEDIENT.replace("{pids}", str(pids.file)), idle_timeout="1s"))
    assert answer.statuses == {"web1": "timed_out"}
    assert answer.results["web1"]["code"] == "idle"
    assert (pids.alive(), repository.left()) == ([], [])


def test_a_kill_without_warning_still_ends_what_runs_on_the_host(hosts: Hosts, pids: Pids) -> None:
    repository = hosts("web1", "web2")
    with repository.start("run", repository.job(STUBBORN.replace("{pids}", str(pids.file)))) as running:
        pids.await_all(STUBBORN_PROCESSES)
        running.signal(signal.SIGKILL)
        running.answer()
    wait_until(lambda: not pids.alive(), 30, "the host kills what lost its connection")


def test_a_signal_between_two_jobs_starts_no_other(hosts: Hosts, pids: Pids) -> None:
    repository = hosts("web1")
    one = {"name": "first", "script": OBEDIENT.replace("{pids}", str(pids.file)), "continue_on_failure": True}
    body = {"targeting_type": "static_query", "search_query": "*"}
    file = repository.jobs([one | {"job_invocation": body}, one | {"name": "second", "job_invocation": body}])
    with repository.start("run", file, "-o", "json") as running:
        pids.await_all(1)
        running.signal(signal.SIGINT)
        answer = running.answer()
    assert answer.code == 130
    assert len(pids.written()) == 1
    assert "1 job after `first` not started" in answer.stderr
