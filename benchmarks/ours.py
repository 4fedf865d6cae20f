"""Chargehand as a user has it: a project with an inventory and a job file, run by the command line."""

import compileall
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet import USER, Task
from benchmarks.peer import Peer, Start, start_program

import chargehand
from chargehand.hostset import expand

PACKAGE = Path(chargehand.__file__).parent
PROGRAM = Path(sys.executable).with_name("chargehand")


def write_project(task: Task, folder: Path, *, jobs: int = 1, provider: str = "ssh") -> None:
    """Write settings, an inventory of the task's hosts, and a job file that runs the task `jobs` times."""
    fleet = task.fleet
    (folder / "playbooks").mkdir(parents=True, exist_ok=True)
    (folder / "chargehand.toml").write_text(
        f"private_key_file = {json.dumps(str(fleet.key))}\n"
        f"known_hosts_files = [{json.dumps(str(fleet.known_hosts))}]\n"
        'ssh_config_file = "/dev/null"\n'
        "agent = false\n"
        f'ssh_provider = "{provider}"\n'
        f'ssh_user = "{USER}"\n'
        f"ssh_port = {fleet.port}\n"
    )
    (folder / "inventory.ini").write_text("[fleet]\n" + "".join(f"{host}\n" for host in fleet.hosts))
    job = {
        "name": "Benchmark",
        "job_invocation": {
            "targeting_type": "static_query",
            "search_query": "*",
            "ssh": {"effective_user": USER},
            "concurrency_control": {"concurrency_level": task.level},
        },
        "script": task.script or task.command,
    }
    whole = job if jobs == 1 else [job | {"name": f"Benchmark {number}"} for number in range(1, jobs + 1)]
    (folder / "playbooks" / "job.json").write_text(json.dumps(whole, indent=2) + "\n")


def start_ours(task: Task, folder: Path, python: Path) -> Start:  # noqa: ARG001 - we run ourselves
    """The whole command in a project that was used before, so that its store is there.

    The project lives as long as the fleet. The package is compiled, as pip leaves it.
    """
    compileall.compile_dir(PACKAGE, quiet=2)
    project = task.fleet.folder / "project"
    used = (project / ".chargehand").exists()
    write_project(task, project)
    words = [str(PROGRAM), "run", "playbooks/job.json", "-i", "inventory.ini"]
    before = None if used else [*words, "-l", task.fleet.hosts[0]]
    # What is remembered of hosts is of these hosts only, as on a machine that has no others.
    environ = {"XDG_CACHE_HOME": str(task.fleet.folder)}
    return Start(words=words, folder=project, before=before, environ=environ)


def start_unrecorded(task: Task, folder: Path, python: Path) -> Start:
    """The same without a store."""
    start = start_ours(task, folder, python)
    return Start(words=start.words, folder=start.folder, environ={**start.environ, "CHARGEHAND_STORE": "off"})


def start_processes(task: Task, folder: Path, python: Path) -> Start:
    """The same with worker processes, as many as cores but one."""
    start = start_ours(task, folder, python)
    write_project(task, task.fleet.folder / "project", provider="ssh-processes")
    return start


def start_series(jobs: int) -> Callable[[Task, Path, Path], Start]:
    """The task so many times in one job file."""

    def start(task: Task, folder: Path, python: Path) -> Start:
        begun = start_ours(task, folder, python)
        write_project(task, task.fleet.folder / "project", jobs=jobs)
        return begun

    return start


def count_series(jobs: int) -> Callable[[Task, str], int]:
    """Hosts of the job on which the fewest did what they should; all jobs have to be told."""

    def count(task: Task, stdout: str) -> int:
        parts = re.split(r"(?m)^total .*$", stdout)[:-1]
        return min(count_good(task, part) for part in parts) if len(parts) == jobs else 0

    return count


def count_good(task: Task, stdout: str) -> int:
    """Hosts that succeeded and printed what they should, from the text that people see.

    Hosts whose outputs are equal stand together: ``HOSTS: LINE``, or ``HOSTS:`` above indented lines.
    """
    succeeded, printed = 0, dict.fromkeys(task.fleet.hosts, "")
    together: list[str] = []
    for line in stdout.splitlines():
        names, colon, text = line.partition(":")
        if line.startswith("succeeded "):
            succeeded = int(line.split()[1])
        elif line.startswith("  "):
            for host in together:
                printed[host] += f"{line[2:]}\n"
        elif colon and names.startswith(task.fleet.hosts[0].split(".")[0]):
            together = expand(names)
            for host in together if text else ():
                printed[host] += f"{text[1:]}\n"
    if task.stdout is None:
        return succeeded
    return min(succeeded, sum(1 for text in printed.values() if text == task.stdout))


OURS = Peer(name="chargehand", library="chargehand", start=start_ours, count_good=count_good)
UNRECORDED = Peer(
    name="chargehand, store off", library="chargehand", start=start_unrecorded, count_good=count_good
)
PROCESSES = Peer(
    name="chargehand, ssh-processes", library="chargehand", start=start_processes, count_good=count_good
)
PROVIDER = Peer(name="chargehand's provider", library="chargehand", start=start_program("chargehand"))
"""What a host costs without the command around it; visits one host at a time, whatever the level."""
