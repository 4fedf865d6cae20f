"""What is remembered of real runs, looked at, followed and cancelled from another terminal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repository import Answer, Repository, Running, is_running
from sshd import wait_until

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]

PATIENT = """#!/bin/sh
echo $$ >> {pids}
echo begun on {{{{ host.name }}}}
while [ ! -e {gate} ]; do sleep 0.1; done
echo done on {{{{ host.name }}}}
{{% if host.name == "web2" %}}exit 3{{% endif %}}
"""


class Gate:
    """A script that waits on its hosts until the gate is open.

    Attributes:
        script: The script.
    """

    def __init__(self, folder: Path) -> None:
        self._gate, self._pids = folder / "gate", folder / "pids"
        self.script = PATIENT.format(gate=self._gate, pids=self._pids)

    def open(self) -> None:
        self._gate.touch()

    def pids(self) -> list[str]:
        return self._pids.read_text().split() if self._pids.exists() else []

    def await_scripts(self, count: int) -> None:
        wait_until(lambda: len(self.pids()) == count, 60, f"{count} scripts run")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def start(repository: Repository, gate: Gate, **parameters: object) -> Running:
    return repository.start("run", repository.job(gate.script, parameters=parameters), "-o", "json")


def shown(repository: Repository, number: object = "last") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(repository.chargehand("show", str(number), "-o", "json").stdout)
    return found


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {each["host"]: each["status"] for each in document["results"]}


def test_a_run_is_remembered_as_it_was_told(hosts: Hosts) -> None:
    repository = hosts("web1", "web2")
    file = repository.job("echo $(hostname); echo grün >&2; {% if host.name == 'web2' %}exit 3{% endif %}")
    told = repository.run(file)
    assert told.code == 5
    remembered = shown(repository, told.document["id"])
    assert remembered == told.document
    (row,) = json.loads(
        repository.chargehand("list", "host = web2 and status = failed", "-o", "json").stdout
    )["results"]
    assert row == {name: remembered[name] for name in row}
    page = repository.chargehand("show", "last").stdout
    assert "failed     1  web2\n" in page
    assert "web2: failed: exit status 3\n  ! grün\n" in page
    assert repository.chargehand("list", "host_status.failed = web1").stdout == ""


def test_runs_that_differ_are_told_apart(hosts: Hosts) -> None:
    repository = hosts("web1", "web2", "web3")
    repository.run(repository.job("echo same"))
    assert repository.chargehand("diff", "-1", "-1", "--detailed-exitcode").code == 0
    repository.run(repository.job("{% if host.name == 'web3' %}echo other{% else %}echo same{% endif %}"))
    told = repository.chargehand("diff", "-2", "-1", "--detailed-exitcode")
    assert told.code == 10
    assert told.stdout.splitlines()[-6:] == [
        "output of web3", "  --- stdout", "  +++ stdout", "  @@ -1 +1 @@", "  -same", "  +other",
    ]  # fmt: skip


def test_another_terminal_follows_a_run_to_its_end_and_ends_like_it(hosts: Hosts, gate: Gate) -> None:
    repository = hosts("web1", "web2")
    with start(repository, gate) as run:
        gate.await_scripts(2)
        with repository.start("output", "last", "--follow") as following:
            following.await_printed("web1 | begun on web1\n")
            following.await_printed("web2 | begun on web2\n")
            assert shown(repository)["status_label"] == "running"
            gate.open()
            heard = following.answer()
        assert run.answer().code == heard.code == 5
    assert sorted(heard.stdout.splitlines()) == [
        "web1 | begun on web1", "web1 | done on web1", "web2 | begun on web2", "web2 | done on web2",
    ]  # fmt: skip
    assert repository.chargehand("output", "last", "web2").stdout == "begun on web2\ndone on web2\n"


def test_another_terminal_cancels_a_run(hosts: Hosts, gate: Gate) -> None:
    repository = hosts("web1", "web2", "web3")
    with start(repository, gate, concurrency_control={"concurrency_level": 2}) as run:
        gate.await_scripts(2)
        cancelled = repository.chargehand("cancel", "last")
        ended = run.answer()
    assert (cancelled.code, cancelled.stdout) == (0, "cancelled  3  web[1-3]\n")
    assert ended.code == 5
    assert ended.statuses == dict.fromkeys(("web1", "web2", "web3"), "cancelled")
    assert not any(map(is_running, gate.pids()))
    assert shown(repository)["status_label"] == "cancelled"
    assert repository.left() == []
    again = repository.chargehand("cancel", "last")
    assert again.code == 2
    assert "could not be cancelled: it ended" in again.stderr


@pytest.mark.parametrize("limit", ["web1", "name = web1", "status = pending and id = 1"])
def test_another_terminal_cancels_one_host_and_the_others_go_on(hosts: Hosts, gate: Gate, limit: str) -> None:
    repository = hosts("web1", "db1")
    with start(repository, gate) as run:
        gate.await_scripts(2)
        assert repository.chargehand("cancel", "-1", "-l", limit).code == 0
        assert statuses(shown(repository)) == {"web1": "cancelled", "db1": "pending"}
        gate.open()
        ended: Answer = run.answer()
    assert ended.statuses == {"web1": "cancelled", "db1": "succeeded"}
    assert shown(repository)["status_label"] == "failed"


def test_a_run_can_be_pruned_when_it_is_over(hosts: Hosts) -> None:
    repository = hosts("web1")
    for _ in range(3):
        repository.run(repository.job())
    assert repository.chargehand("prune", "--keep", "1").stdout.startswith("removed 2 invocations; ")
    (line,) = repository.chargehand("list").stdout.splitlines()[1:]
    assert line.split()[:2] == ["3", "succeeded"]
