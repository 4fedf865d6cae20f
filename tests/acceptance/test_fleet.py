"""A fleet of real servers: every host has its result, and never more than asked for are at work at once."""

import json
import socket
from pathlib import Path

import pytest

from repository import LINES, Repository, loopback, reached
from sshd import Sshd

pytestmark = pytest.mark.sshd

COUNT = 300
SCRIPT = """#!/bin/sh
echo "begin" >> {ledger}
echo "{{{{ host.name }}}} at ${{SSH_CONNECTION% *}}"
echo "end" >> {ledger}
"""


def names(count: int) -> list[str]:
    return [f"web{number:03}" for number in range(1, count + 1)]


def fleet_of(repository: Repository, sshd: Sshd, count: int) -> None:
    repository.settings(known_hosts_files=[str(sshd.known_hosts)])
    hosts = zip(names(count), sshd.addresses, strict=True)
    repository.hosts({name: reached(sshd, address) for name, address in reversed(list(hosts))})


def most_at_once(ledger: Path) -> int:
    """The most scripts that were between their two lines at one time."""
    running, most = 0, 0
    for line in ledger.read_text().split():
        running += 1 if line == "begin" else -1
        most = max(most, running)
    assert running == 0
    return most


def test_three_hundred_hosts_all_succeed_and_never_more_than_fifty_at_once(
    repository: Repository, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    with Sshd(tmp_path / "sshd", addresses=loopback(COUNT), lines=LINES) as sshd:
        fleet_of(repository, sshd, COUNT)
        file = repository.job(
            SCRIPT.format(ledger=ledger), parameters={"concurrency_control": {"concurrency_level": 50}}
        )
        answer = repository.run(file)
    assert answer.code == 0, answer.stderr
    assert list(answer.results) == names(COUNT)
    assert set(answer.statuses.values()) == {"succeeded"}
    for (name, result), address in zip(answer.results.items(), loopback(COUNT), strict=True):
        assert result["stdout"].startswith(f"{name} at "), "every host answered for itself"
        assert f" {address}\n" in result["stdout"]
    assert 2 <= most_at_once(ledger) <= 50
    document = answer.document
    assert (document["succeeded"], document["failed"], document["pending"]) == (COUNT, 0, 0)
    assert repository.left() == []


def test_a_randomized_order_is_another_one_and_the_record_tells_it(
    repository: Repository, tmp_path: Path, sshd: Sshd
) -> None:
    ledger = tmp_path / "ledger"
    repository.settings(known_hosts_files=[str(sshd.known_hosts)])
    repository.hosts({name: reached(sshd) for name in names(16)})
    file = repository.job(
        f"echo {{{{ host.name }}}} >> {ledger}",
        parameters={"randomized_ordering": True, "concurrency_control": {"concurrency_level": 1}},
    )
    answer = repository.run(file)
    started = ledger.read_text().split()
    assert sorted(started) == names(16)
    assert started != names(16), "one in 16! runs is in order by chance"
    targeting = answer.document["targeting"]
    assert targeting["randomized_ordering"] is True
    assert [host["name"] for host in targeting["hosts"]] == started
    assert list(answer.results) == started


@pytest.mark.parametrize(
    "addresses", [loopback(100), loopback(1) * 100], ids=["of_many_hosts", "of_one_host"]
)
def test_no_host_is_lost_to_a_server_with_the_usual_limits(
    repository: Repository, tmp_path: Path, addresses: list[str]
) -> None:
    several = list(dict.fromkeys(addresses))
    with Sshd(tmp_path / "sshd", addresses=several, lines=LINES, max_startups="10:30:100") as sshd:
        repository.settings(known_hosts_files=[str(sshd.known_hosts)])
        hosts = zip(names(100), addresses, strict=True)
        repository.hosts({name: reached(sshd, address) for name, address in hosts})
        answer = repository.run(repository.job(parameters={"concurrency_control": {"concurrency_level": 50}}))
        turned_away = sshd.log().count("past MaxStartups")
    assert set(answer.statuses.values()) == {"succeeded"}, answer.stderr
    assert (answer.code, len(answer.results)) == (0, 100)
    if len(several) == 1:
        assert turned_away < 10, "one address is hardly ever asked for more than it takes"
    else:
        assert turned_away, "a server of many addresses is, and turned away none for good"


def test_hosts_that_never_answer_keep_nobody_waiting(repository: Repository, sshd: Sshd) -> None:
    """Those that take the connection and stay silent are given up when all others are long done."""
    good = names(60)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as tarpit:
        mute = {"ansible_host": "127.0.0.1", "ansible_port": tarpit.getsockname()[1]}
        silent = dict.fromkeys((f"a{number:02}" for number in range(8)), mute)
        repository.settings(known_hosts_files=[str(sshd.known_hosts)])
        repository.hosts({**silent, **{name: reached(sshd) for name in good}})
        file = repository.job("true\n", parameters={"concurrency_control": {"concurrency_level": 16}})
        answer = repository.chargehand("run", file, "-o", "ndjson")
    ends = [
        event for event in map(json.loads, answer.stdout.splitlines()) if event["type"] == "host_finished"
    ]
    assert answer.code == 6, answer.stderr
    assert {end["host"] for end in ends[:60]} == set(good)
    assert {end["host"]: end["status"] for end in ends[60:]} == dict.fromkeys(silent, "unreachable")
