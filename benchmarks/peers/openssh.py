"""Peers that start OpenSSH's client: xargs, clush and pssh, with its default key exchange and with another.

OpenSSH's default since 9.0 guards against quantum computers and costs several times the processor time of
curve25519, which is what all Python libraries here use; both are shown.
"""

from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet import USER, Task
from benchmarks.peer import Peer, Start

KEX = {"": (), "-curve25519": ("KexAlgorithms=curve25519-sha256",)}
"""By what the name of a peer ends with."""


def options(task: Task, kex: str) -> list[str]:
    """What ssh is told with ``-o``: this key, this known_hosts, and nothing of this machine."""
    return [
        f"IdentityFile={task.fleet.key}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        f"UserKnownHostsFile={task.fleet.known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "ConnectTimeout=120",
        *KEX[kex],
    ]


def _starter(words: Callable[[Task, str, Path, Path], list[str]], kex: str) -> Callable[..., Start]:
    """A start of a command whose stdin is the script."""

    def start(task: Task, folder: Path, python: Path) -> Start:
        (folder / "hosts").write_text("".join(f"{host}\n" for host in task.fleet.hosts))
        stdin = None
        if task.script:
            stdin = folder / "script.sh"
            stdin.write_text(task.script)
        return Start(words=words(task, kex, folder, python), stdin=stdin)

    return start


def _clush(task: Task, kex: str, folder: Path, python: Path) -> list[str]:
    ssh = " ".join(f"-o {option}" for option in options(task, kex))
    return [
        str(python.with_name("clush")),
        *("--hostfile", str(folder / "hosts")),
        *("-f", str(task.level), "-l", USER, "-S"),
        *("-o", f"-F none -p {task.fleet.port} {ssh}"),
        *(() if task.script else ("-n",)),
        task.command,
    ]


def _pssh(task: Task, kex: str, folder: Path, _python: Path) -> list[str]:
    return [
        "parallel-ssh",
        *("-h", str(folder / "hosts"), "-p", str(task.level), "-l", USER, "-t", "0"),
        *("-x", f"-F none -p {task.fleet.port}"),
        *(word for option in options(task, kex) for word in ("-O", option)),
        *(("-I",) if task.script else ()),
        *(("-i",) if task.script else ()),
        task.command,
    ]


def _xargs(task: Task, kex: str, folder: Path, _python: Path) -> list[str]:
    """Every ssh gets the script anew."""
    ssh = [word for option in options(task, kex) for word in ("-o", option)]
    stdin = str(folder / "script.sh") if task.script else "/dev/null"
    one = ["sh", "-c", 'stdin=$1 host=$2; shift 2; exec "$@" <"$stdin"', "sh", stdin, "{}"]
    words = ["ssh", "-F", "none", "-p", str(task.fleet.port), "-l", USER, *ssh, "{}", task.command]
    return ["xargs", "-P", str(task.level), "-I", "{}", "-a", str(folder / "hosts"), *one, *words]


def _count_xargs(task: Task, stdout: str) -> int:
    """By the least printed of all lines; of silent commands the exit code tells."""
    lines = stdout.splitlines()
    return min(
        (lines.count(line) for line in (task.stdout or "").splitlines()), default=len(task.fleet.hosts)
    )


def _count_clush(task: Task, stdout: str) -> int:
    """Hosts that printed what they should; of silent ones its exit code tells."""
    printed = dict.fromkeys(task.fleet.hosts, "")
    for line in stdout.splitlines():
        host, _, text = line.partition(": ")
        if host in printed:
            printed[host] += text + "\n"
    return sum(1 for text in printed.values() if text == task.stdout)


def _count_pssh(task: Task, stdout: str) -> int:
    """Hosts called a success below which stands what they should print."""
    blocks = stdout.split("\n[") if task.script else stdout.splitlines()
    wanted = (task.stdout or "").rstrip("\n")
    return sum(1 for block in blocks if "[SUCCESS]" in block and wanted in block)


CLUSH = {
    f"clush{kex}": Peer(
        name=f"clush{kex}",
        library="clustershell",
        packages=("clustershell",),
        start=_starter(_clush, kex),
        count_good=_count_clush,
    )
    for kex in KEX
}
XARGS = {
    f"ssh{kex}": Peer(
        name=f"xargs ssh{kex}",
        library="openssh-client",
        start=_starter(_xargs, kex),
        count_good=_count_xargs,
    )
    for kex in KEX
}
PSSH = {
    f"pssh{kex}": Peer(name=f"pssh{kex}", library="pssh", start=_starter(_pssh, kex), count_good=_count_pssh)
    for kex in KEX
}
