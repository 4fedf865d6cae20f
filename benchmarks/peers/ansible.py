"""Ansible ad hoc: raw for a command, the script module for a script; cold and warm, and with mitogen.

As its documentation advises for speed: as many forks as hosts at once, pipelining, ControlPersist, no facts.
Warm means that the masters of ControlPersist are there already, left behind by a run that was not measured.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet import USER, Task
from benchmarks.peer import Peer, Start
from benchmarks.peers.openssh import KEX, options

CORE = "ansible-core>=2.19,<2.20"
MITOGEN = ("mitogen>=0.3.30", "ansible-core>=2.18,<2.19")
"""The newest ansible-core that mitogen knows."""


def write_settings(task: Task, folder: Path, kex: str, *extra: str) -> dict[str, str]:
    """Write ansible.cfg and an inventory; returns the variables that name them."""
    ssh = " ".join(f"-o {option}" for option in options(task, kex))
    (folder / "ansible.cfg").write_text(
        "[defaults]\n"
        f"forks = {task.level}\n"
        f"inventory = {folder / 'inventory.ini'}\n"
        f"home = {folder / 'ansible'}\n"
        f"remote_user = {USER}\n"
        f"private_key_file = {task.fleet.key}\n"
        "host_key_checking = True\n"
        "gathering = explicit\n"
        "interpreter_python = /usr/bin/python3\n"
        "timeout = 120\n" + "".join(f"{line}\n" for line in extra) + "[ssh_connection]\n"
        f"ssh_args = -F none -o ControlMaster=auto -o ControlPersist=60s {ssh}\n"
        "pipelining = True\n"
        "usetty = False\n"
    )
    lines = [f"{host} ansible_port={task.fleet.port}\n" for host in task.fleet.hosts]
    (folder / "inventory.ini").write_text("[fleet]\n" + "".join(lines))
    (folder / "script.sh").write_text(f"#!/bin/sh\n{task.script}")
    return {"ANSIBLE_CONFIG": str(folder / "ansible.cfg")}


def _start_raw(kex: str, *, warm: bool) -> Callable[[Task, Path, Path], Start]:
    def start(task: Task, folder: Path, python: Path) -> Start:
        environ = write_settings(task, folder, kex)
        module = ("script", "script.sh") if task.script else ("raw", task.command)
        words = [str(python.with_name("ansible")), "all", "-m", module[0], "-a", module[1]]
        return Start(words=words, environ=environ, before=words if warm else None)

    return start


def _start_mitogen(task: Task, folder: Path, python: Path) -> Start:
    plugins = next((python.parents[1] / "lib").glob("python3*")) / "site-packages/ansible_mitogen/plugins"
    strategy = (f"strategy_plugins = {plugins / 'strategy'}", "strategy = mitogen_free")
    environ = write_settings(task, folder, "-curve25519", *strategy)
    module = ("script", "script.sh") if task.script else ("command", task.command)
    return Start(
        words=[str(python.with_name("ansible")), "all", "-m", module[0], "-a", module[1]], environ=environ
    )


def start_series(jobs: int) -> Callable[[Task, Path, Path], Start]:
    """A playbook of so many plays with one task each; its masters of ControlPersist are there already."""

    def start(task: Task, folder: Path, python: Path) -> Start:
        environ = write_settings(task, folder, "-curve25519")
        module = {"script": "script.sh"} if task.script else {"raw": task.command}
        plays = [{"hosts": "all", "tasks": [module]} for _ in range(jobs)]
        (folder / "plays.json").write_text(json.dumps(plays))
        words = [str(python.with_name("ansible-playbook")), "-v", "plays.json"]
        return Start(words=words, environ=environ, before=words)

    return start


def count_series(jobs: int) -> Callable[[Task, str], int]:
    """Hosts on which all of them went well."""

    def count(task: Task, stdout: str) -> int:
        found = re.findall(r"^(\S+) +: ok=(\d+) ", stdout, re.MULTILINE)
        return sum(1 for host, good in found if host in task.fleet.hosts and int(good) == jobs)

    return count


def _count_good(task: Task, stdout: str) -> int:
    """Hosts that are told as changed, and what they printed, once each."""
    good = stdout.count(" | CHANGED")
    if task.script and task.stdout:
        good = min(good, stdout.replace(r"\r\n", r"\n").count(f'"stdout": {json.dumps(task.stdout)}'))
    return good


ANSIBLE = {
    f"ansible-{'warm' if warm else 'cold'}{kex}": Peer(
        name=f"ansible-{'warm' if warm else 'cold'}{kex}",
        library="ansible-core",
        packages=(CORE,),
        start=_start_raw(kex, warm=warm),
        count_good=_count_good,
        slow=True,
    )
    for kex in KEX
    for warm in (False, True)
} | {
    "mitogen": Peer(
        name="mitogen-curve25519",
        library="mitogen",
        packages=MITOGEN,
        start=_start_mitogen,
        count_good=_count_good,
        slow=True,
    )
}
