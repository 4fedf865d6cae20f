"""The lab's embedded hosts, asked by OpenSSH's own client."""

import json
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chargehand.errors import UsageError
from chargehand.host import Host
from chargehand.lab import Lab, doubles, fleet
from chargehand.secret import Secret


def hosts_of(lab: Lab) -> dict[str, dict[str, object]]:
    tree = json.loads(lab.inventory.read_text())["all"]
    return {name: tree["vars"] | own for name, own in tree["hosts"].items()}


def ssh(lab: Lab, host: str, *command: str) -> list[str]:
    told = hosts_of(lab)[host]
    return [
        "ssh",
        *shlex.split(str(told["ansible_ssh_common_args"])),
        *(
            "-o",
            "BatchMode=yes",
            "-i",
            str(told["ansible_private_key_file"]),
            "-p",
            str(told["ansible_port"]),
        ),
        f"{told['ansible_user']}@{told['ansible_host']}",
        *command,
    ]


def ask(command: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


def wait_until(true: Callable[[], bool], deadline_s: float = 20) -> None:
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("a lab") / "here", fleet(3)) as running:
        yield running


def test_a_command_gets_its_stdin_and_gives_both_streams_and_its_exit_status(lab: Lab) -> None:
    done = ask(ssh(lab, "web1", "cat; echo trouble >&2; exit 7"), b"sent\x00\xff")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"sent\x00\xff", b"trouble\n")


def test_a_signal_is_passed_back_as_a_signal(lab: Lab) -> None:
    done = ask([*ssh(lab, "web1"), "-v", "kill -TERM $$"])
    assert done.returncode == 255
    assert b"exit-signal" in done.stderr


def test_every_host_has_a_home_and_a_name_of_its_own(lab: Lab) -> None:
    said = [ask(ssh(lab, host, 'echo "$LAB_HOST $HOME"')).stdout.decode() for host in ("web1", "web2", "db1")]
    assert said == [f"{name} {lab.folder / 'homes' / name}\n" for name in ("web1", "web2", "db1")]


def test_a_large_output_arrives_whole(lab: Lab) -> None:
    done = ask(ssh(lab, "web1", "head -c 20000000 /dev/zero | tr '\\0' x"))
    assert len(done.stdout) == 20_000_000
    assert set(done.stdout) == {ord("x")}


def test_a_command_that_watches_its_stdin_learns_that_its_client_is_gone(lab: Lab, tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    command = ssh(lab, "web1", f"touch {begun}; cat >/dev/null; touch {ended}")
    with subprocess.Popen(command, stdin=subprocess.PIPE) as client:
        wait_until(begun.exists)
        client.kill()
    wait_until(ended.exists)


def test_a_command_in_flight_dies_with_the_lab(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with Lab(tmp_path / "lab", fleet(1)) as lab:
        client = subprocess.Popen(
            ssh(lab, "web1", f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 600")
        )
        wait_until(mark.exists)
    with client:
        assert client.wait(20) == 255
    pid = int(mark.read_text())
    wait_until(lambda: not is_alive(pid))


def test_nobody_gets_in_without_the_lab_s_own_key(lab: Lab) -> None:
    command = ssh(lab, "web1", "true")
    del command[command.index("-i") : command.index("-i") + 2]
    done = ask([command[0], "-o", "IdentityFile=none", *command[1:]])
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def test_the_keys_are_for_the_owner_alone_and_the_servers_on_loopback_alone(lab: Lab) -> None:
    for name in ("client_key", "host_key"):
        assert stat.S_IMODE((lab.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(lab.folder.stat().st_mode) == 0o700
    ports = {str(told["ansible_port"]) for told in hosts_of(lab).values()}
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3] for line in listening.splitlines()]
    bound = {address for address in addresses if address.rpartition(":")[2] in ports}
    assert bound == {f"127.0.0.1:{port}" for port in ports}


def test_the_inventory_reads_in_ansible_as_it_was_meant(lab: Lab) -> None:
    program = Path(sys.executable).with_name("ansible-inventory")
    done = subprocess.run(
        [program, "-i", lab.inventory, "--list"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["web"]["hosts"] == ["web1", "web2"]
    assert found["db"]["hosts"] == ["db1"]
    assert found["_meta"]["hostvars"]["db1"]["id"] == 3
    assert found["_meta"]["hostvars"]["db1"]["ansible_become"] is False


def test_a_lab_in_the_background_outlives_its_starter_until_it_is_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    script = f"from chargehand.lab import *; Lab({str(folder)!r}, fleet(2)).start()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    lab = Lab(folder)
    try:
        assert lab.pid
        assert ask(ssh(lab, "web2", "true")).returncode == 0
        with pytest.raises(UsageError, match="already"):
            Lab(folder, fleet(1)).start()
    finally:
        assert lab.stop()
    assert lab.pid is None
    assert not lab.stop()


def test_a_lab_dies_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    script = (
        "import os; from chargehand.lab import *\n"
        f"with Lab({str(folder)!r}, fleet(1)): os.kill(os.getpid(), 9)"
    )
    ask([sys.executable, "-c", script])
    assert (folder / "inventory.json").exists()
    wait_until(lambda: Lab(folder).pid is None)


def test_a_lab_that_cannot_start_says_why(tmp_path: Path) -> None:
    lab = Lab(tmp_path, fleet(1))
    (tmp_path / "client_key").write_text("no key")
    with pytest.raises(UsageError, match="did not start"):
        lab.start()


def test_doubles_keep_what_a_job_sees_and_leave_what_leads_to_the_real_host() -> None:
    host = Host(
        name="db9",
        id=41,
        groups=("db", "prod"),
        vars={"ansible_host": "10.1.2.3", "role": "primary", "token": Secret("hunter2")},
    )
    (double,) = doubles([host])
    assert (double.name, double.groups) == ("db9", ("db", "prod"))
    assert double.vars == {"role": "primary", "id": 41}


def test_a_fleet_is_two_thirds_web_and_one_third_db() -> None:
    assert [host.name for host in fleet(7)] == ["web1", "web2", "db1", "web3", "web4", "db2", "web5"]


def test_a_hundred_hosts_are_up_at_once(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", fleet(100)) as lab:
        clients = [subprocess.Popen(ssh(lab, name, "true")) for name in list(hosts_of(lab))[::5]]
        assert [client.wait(60) for client in clients] == [0] * 20
    assert len(list((tmp_path / "lab" / "homes").iterdir())) == 20
