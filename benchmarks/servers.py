"""Servers that clients are measured against: a cheap one of our own, and a real sshd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.fleet import USER, Fleet, script_output

FOLDER = Path(__file__).parent
ANSWER_S = 10.0


def compile_program(source: str, folder: Path, *libraries: str) -> Path:
    """Compile one C file of this package into `folder`."""
    program = folder / Path(source).stem
    words = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(FOLDER / source)]
    subprocess.run([*words, *(f"-l{library}" for library in libraries)], check=True)
    return program


@contextmanager
def cheap_server(
    fleet: Fleet,
    *,
    device: str = "lo",
    there: Sequence[str] = (),
    here: Sequence[str] = (),
    text: str | None = None,
) -> Iterator[None]:
    """Answer on all addresses of a device with `cheap_server.c`.

    Args:
        fleet: Whose keys and port.
        device: The network device.
        there: Words before the command, such as those that enter a network namespace.
        here: Such words for clients.
        text: What hosts print, where nothing is to run on them.
    """
    program = compile_program("cheap_server.c", fleet.folder, "ssh")
    words = [str(program), device, str(fleet.port), str(fleet.host_key), f"{fleet.key}.pub"]
    words += [] if text is None else [text]
    with _running([*there, *words], fleet, here):
        yield


@contextmanager
def sshd(
    fleet: Fleet, *, device: str = "lo", there: Sequence[str] = (), here: Sequence[str] = ()
) -> Iterator[None]:
    """Answer on all addresses of a device with the sshd of this machine; needs root.

    No limit of its own makes a client fail: clients are to be compared, not their luck.
    """
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    config = fleet.folder / "sshd_config"
    config.write_text(
        f"ListenAddress 0.0.0.0:{fleet.port} rdomain {device}\n"
        f"HostKey {fleet.host_key}\n"
        f"PidFile {fleet.folder / 'sshd.pid'}\n"
        f"AuthorizedKeysCommand /bin/cat {fleet.key}.pub\n"
        f"AuthorizedKeysCommandUser {USER}\n"
        "AuthorizedKeysFile none\n"
        "StrictModes no\n"
        "UsePAM no\n"
        "PermitRootLogin yes\n"
        "PrintMotd no\n"
        "UseDNS no\n"
        "MaxStartups 4096\n"
        "MaxSessions 100\n"
        "Subsystem sftp internal-sftp\n"
        "SetEnv SHLVL=1\n"  # bash then reads no ~/.bashrc, which is not ours
    )
    program = shutil.which("sshd", path=f"/usr/sbin:{os.environ['PATH']}") or "sshd"
    with _running([*there, program, "-D", "-e", "-f", str(config)], fleet, here):
        yield


def answering_server(
    fleet: Fleet, *, device: str = "lo", there: Sequence[str] = (), here: Sequence[str] = ()
) -> AbstractContextManager[None]:
    """The cheap server where nothing runs: it prints what `SCRIPT` does, and ends well."""
    return cheap_server(fleet, device=device, there=there, here=here, text=script_output())


SERVERS = {"cheap": cheap_server, "answering": answering_server, "sshd": sshd}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(words: list[str], fleet: Fleet, here: Sequence[str]) -> Iterator[None]:
    """Run a server during the block, and end it with every process that serves a connection."""
    log = fleet.folder / "server.log"
    with log.open("wb") as written:
        program = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=written,
            start_new_session=True,
        )
    try:
        _await(fleet, program, log, here)
        yield
    finally:
        os.killpg(program.pid, signal.SIGTERM)
        program.wait()


def _await(fleet: Fleet, program: subprocess.Popen[bytes], log: Path, here: Sequence[str]) -> None:
    """Wait until the server answers on the last address."""
    scan = ["ssh-keyscan", "-T", "2", "-t", "ed25519", "-p", str(fleet.port), fleet.hosts[-1]]
    end = time.monotonic() + ANSWER_S
    while not subprocess.run([*here, *scan], capture_output=True, check=False).stdout:
        if program.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the server does not answer: {log.read_text(errors='replace')}")
        time.sleep(0.05)
