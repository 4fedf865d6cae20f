"""The benchmarks' own machinery: that what they tell of clients is so."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.contest import Contest, measure
from benchmarks.fleet import USER, Fleet, Task, addresses, script_task, true_task
from benchmarks.ours import OURS, count_good
from benchmarks.peer import Peer, Start
from benchmarks.peers.catalogue import ASYNCSSH
from benchmarks.record import Record, Table
from benchmarks.servers import answering_server, cheap_server, free_port
from benchmarks.wrapper import command, start

from sshd import wait_until

pytestmark = pytest.mark.libssh

HERE = dataclasses.replace(ASYNCSSH, packages=())
"""From the venv of the tests."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    fleet = Fleet(folder=folder, hosts=tuple(addresses(3)), port=free_port())
    fleet.write()
    with cheap_server(fleet):
        yield fleet


def ssh(fleet: Fleet, *words: str) -> list[str]:
    options = f"-F none -i {fleet.key} -p {fleet.port} -l {USER} -o UserKnownHostsFile={fleet.known_hosts}"
    return ["ssh", *options.split(), "-o", "IdentityAgent=none", fleet.hosts[0], *words]


def test_a_contest_measures_ours_beside_a_peer_and_tells_their_ratio(fleet: Fleet, tmp_path: Path) -> None:
    task = script_task(fleet, 2)
    rows = tuple(Contest(title="three hosts", task=task, ours=OURS, peers=(HERE,), pairs=1).run())
    assert [(row.peer.name, len(row.runs), row.runs[0].failed) for row in rows] == [
        ("chargehand", 1, 0),
        ("asyncssh", 1, 0),
    ]
    assert all(run.cpu_s > 0.05 and run.largest_mib > 10 for row in rows for run in row.runs)
    assert rows[1].ratios("cpu_s") == [rows[0].runs[0].cpu_s / rows[1].runs[0].cpu_s]
    table = Table(title="three hosts", hosts=3, rows=rows)
    page = Record(name="fanout", machine={"cores": 2}, tables=(table,)).markdown()
    assert [line.split(" | ")[5] for line in page.splitlines() if line.startswith("| chargehand")] == ["0"]


def test_a_host_that_prints_something_else_counts_as_failed(fleet: Fleet) -> None:
    task = dataclasses.replace(script_task(fleet, 3), stdout="good bye\n", stdout_bytes=9)
    assert measure(HERE, task, Path(sys.executable)).failed == 3


def test_ours_is_judged_by_what_people_see(fleet: Fleet) -> None:
    task = dataclasses.replace(script_task(fleet, 3), stdout="one\ntwo\n", stdout_bytes=8)
    together = "127.1.0.[1-2]:\n  one\n  two\n"
    assert count_good(task, f"{together}\n127.1.0.3:\n  one\n  two\n\nsucceeded  3  127.1.0.[1-3]\n") == 3
    assert count_good(task, f"{together}127.1.0.3: one\nsucceeded  3  127.1.0.[1-3]\n") == 2
    assert count_good(task, f"{together}\nsucceeded  1  127.1.0.1\nfailed  2  127.1.0.[2-3]\n") == 1


@pytest.mark.parametrize("make", [true_task, script_task], ids=["true", "script"])
def test_a_server_on_which_nothing_runs_answers_as_one_on_which_it_does(
    fleet: Fleet, tmp_path: Path, make: Callable[[Fleet, int], Task]
) -> None:
    other = dataclasses.replace(fleet, folder=tmp_path, port=free_port())
    other.write()
    with answering_server(other):
        for peer in (OURS, HERE):
            run = measure(peer, make(other, 2), Path(sys.executable))
            assert (run.failed, run.code) == (0, 0), run.stdout


def test_what_a_command_leaves_behind_is_counted_and_ended(fleet: Fleet, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    burn = (
        "import os, pathlib, time\n"
        "while time.process_time() < 0.45: pass\n"
        f"pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    script = f'setsid "{sys.executable}" -c "$0" & until [ -s "{told}" ]; do sleep 0.05; done'

    def start(_task: Task, _folder: Path, _python: Path) -> Start:
        return Start(words=["sh", "-c", script, burn])

    peer = Peer(name="litter", library="none", start=start, count_good=lambda _task, _stdout: 3)
    assert measure(peer, true_task(fleet, 1), Path(sys.executable)).cpu_s >= 0.4
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_the_cheap_server_passes_on_streams_and_how_a_command_ended(fleet: Fleet) -> None:
    done = subprocess.run(
        ssh(fleet, "cat; echo err >&2; exit 7"),
        input=b"x" * 3_000_000,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"x" * 3_000_000, b"err\n")


def test_the_stdin_of_a_command_on_the_cheap_server_ends_when_its_client_dies(
    fleet: Fleet, tmp_path: Path
) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    command = ssh(fleet, f"touch {begun}; cat >/dev/null; touch {ended}")
    with subprocess.Popen(command, stdin=subprocess.PIPE) as client:
        wait_until(begun.exists)
        assert not ended.exists()
        client.kill()
        wait_until(ended.exists)


def test_a_start_on_a_host_is_carried_through_and_measured() -> None:
    assert start().wall_s > 0, "it says so itself when the host does not say that the script ended"
    assert command().wall_s > 0
