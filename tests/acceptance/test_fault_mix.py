"""One run over hosts that fail in every way there is: each is told for what it is, and harms no other."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from repository import LINES, Repository, reached
from sshd import Account, Sshd, make_key

pytestmark = [pytest.mark.sshd, pytest.mark.root]

SCRIPT = """#!/bin/sh
case {{ host.name }} in
  fails) exit 3 ;;
  killed) kill -SEGV $$ ;;
  slow) sleep 600 ;;
  dropped) echo $$ > NOTE; sleep 600 ;;
esac
echo {{ host_param('word') }}
"""


@contextmanager
def mute() -> Iterator[int]:
    """A port that takes connections and never speaks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def closed() -> Iterator[int]:
    """A port that refuses connections as long as nobody else is given it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextmanager
def cut_when(note: Path, sshd: Sshd) -> Iterator[None]:
    """Kill the sessions of a server once a script wrote a note there."""
    over = threading.Event()

    def cut() -> None:
        while not over.wait(0.05):
            if note.exists() and note.read_text():
                for pid in sshd.sessions():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        yield
    finally:
        over.set()
        cutter.join()


EXPECTED = {
    "changed_key": ("unreachable", "host-key-changed"),
    "dropped": ("unknown", "connection-lost"),
    "fails": ("failed", "exit"),
    "fine1": ("succeeded", ""),
    "fine2": ("succeeded", ""),
    "key_rejected": ("unreachable", "auth"),
    "killed": ("failed", "signal"),
    "mute": ("unreachable", "banner-timeout"),
    "no_such_user": ("unreachable", "auth"),
    "not_in_sudoers": ("not_started", "become-denied"),
    "refused": ("unreachable", "refused"),
    "slow": ("timed_out", "timed_out"),
    "unknown_key": ("unreachable", "host-key-unknown"),
    "unresolved": ("unreachable", "dns"),
    "wordless": ("not_started", "render"),
    "wrong_sudo": ("not_started", "become-wrong-password"),
}


@pytest.fixture
def faults(repository: Repository, tmp_path: Path) -> Iterator[Repository]:
    """A repository whose hosts are named after what is wrong with them."""
    note = repository.root / "note"
    stranger = tmp_path / "stranger"
    make_key(stranger)
    secret = repository.root / "sudo_password"
    secret.touch(mode=0o600)
    secret.write_text("not the password")
    with ExitStack() as stack:
        good, swapped, unknown, cutting = (
            stack.enter_context(Sshd(tmp_path / name, lines=LINES))
            for name in ("good", "swapped", "unknown", "cutting")
        )
        sudoer = stack.enter_context(Account(password="the password"))
        sudoer.may_sudo("(ALL) ALL")
        nobody = stack.enter_context(Account(password="not the password"))
        swapped.swap_host_key()
        repository.settings(
            known_hosts_files=[str(each.known_hosts) for each in (good, swapped, cutting)],
            effective_user_password={"file": str(secret)},
        )
        loopback = {"ansible_host": "127.0.0.1"}
        variables: dict[str, dict[str, object]] = {
            "changed_key": reached(swapped),
            "dropped": reached(cutting),
            "key_rejected": reached(good, ansible_ssh_private_key_file=str(stranger)),
            "mute": loopback | {"ansible_port": stack.enter_context(mute())},
            "no_such_user": reached(good, ansible_user="nobody-of-that-name"),
            "not_in_sudoers": reached(good, ansible_user=nobody.name, ansible_become_user="root"),
            "refused": loopback | {"ansible_port": stack.enter_context(closed())},
            "unknown_key": reached(unknown),
            "unresolved": {"ansible_host": "no-such-host.invalid"},
            "wrong_sudo": reached(good, ansible_user=sudoer.name, ansible_become_user="root"),
        }
        inventory = {
            name: variables.get(name, reached(good)) | ({} if name == "wordless" else {"word": name})
            for name in EXPECTED
        }
        repository.hosts(inventory)
        stack.enter_context(cut_when(note, cutting))
        yield repository


def test_every_fault_is_told_for_what_it_is_and_harms_no_other(faults: Repository) -> None:
    script = SCRIPT.replace("NOTE", str(faults.root / "note"))
    answer = faults.run(faults.job(script, parameters={"execution_timeout_interval": 5}))
    told = {host: (result["status"], result["code"]) for host, result in answer.results.items()}
    assert told == EXPECTED
    assert answer.code == 13, "what is not known outweighs all"
    results = answer.results
    assert {results[host]["stdout"] for host in ("fine1", "fine2")} == {"fine1\n", "fine2\n"}
    assert results["fails"]["exit_status"] == 3
    assert results["killed"]["signal"] == "SEGV"
    for host, result in results.items():
        assert bool(result["reason"]) == (result["status"] != "succeeded"), host
        assert "\n" not in result["reason"]
    document = answer.document
    assert (document["total"], document["succeeded"], document["failed"], document["pending"]) == (
        16,
        2,
        14,
        0,
    )


def test_without_the_host_that_is_not_known_it_is_7(faults: Repository) -> None:
    file = faults.job(SCRIPT)
    assert faults.run(file, "--exclude", "dropped:slow:mute").code == 7
    assert faults.run(file, "-l", "refused:unresolved:fine1").code == 6
