"""pyinfra: exec for a command, server.script for a script, as many hosts at once as the level says.

Only its most talkative level shows what a script printed.
"""

import re
from pathlib import Path

from benchmarks.fleet import USER, Task
from benchmarks.peer import Peer, Start


def _start(task: Task, folder: Path, python: Path) -> Start:
    login = {
        "ssh_user": USER,
        "ssh_port": task.fleet.port,
        "ssh_key": str(task.fleet.key),
        "ssh_known_hosts_file": str(task.fleet.known_hosts),
        "ssh_strict_host_key_checking": "yes",
        "ssh_config_file": "/dev/null",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    }
    (folder / "inventory.py").write_text(f"fleet = ({list(task.fleet.hosts)!r}, {login!r})\n")
    (folder / "script.sh").write_text(f"#!/bin/sh\n{task.script}")
    (folder / "deploy.py").write_text(
        "from pyinfra.operations import server\n\nserver.script(src='script.sh')\n"
    )
    words = [str(python.with_name("pyinfra")), "-y", "--parallel", str(task.level), "inventory.py"]
    words += ["-vvv", "deploy.py"] if task.script else ["exec", "--", task.command]
    return Start(words=["sh", "-c", 'exec "$@" 2>&1', "sh", *words])


def _count_good(task: Task, stdout: str) -> int:
    """Hosts that it calls a success and whose output, if there is to be one, it shows."""
    succeeded = set(re.findall(r"^ *\[(\S+)\] +Success$", stdout, re.MULTILINE))
    printed, expected = dict.fromkeys(succeeded, ""), (task.stdout or "").splitlines()
    for host, line in re.findall(r"^\[(\S+)\] +(.*)$", stdout, re.MULTILINE):
        if host in printed and line in expected:
            printed[host] += f"{line}\n"
    return sum(1 for text in printed.values() if text == task.stdout)


PYINFRA = Peer(
    name="pyinfra", library="pyinfra", packages=("pyinfra",), start=_start, count_good=_count_good, slow=True
)
