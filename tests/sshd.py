"""A real OpenSSH server on loopback, and real accounts on this machine: what the tests hold ssh against."""

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chargehand.connection import ConnectionSettings
from chargehand.strand import Signal

PROGRAM = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))
ROOT = os.geteuid() == 0


def wait_until(condition: Callable[[], object], deadline_s: float = 10.0, what: str = "") -> None:
    """Look again and again until `condition` holds; fail the test when it does not in time."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        Signal().wait(0.01)  # in a strand others go on meanwhile


class Sshd:
    """One sshd with its own folder: configuration, keys, known_hosts and log.

    Any account of this machine may log in with `client_key`. Every address of 127.0.0.0/8 is answered when
    `addresses` holds more than the 16 that sshd can listen on one by one (it is then bound to the loopback
    interface). Stopped, with every session it serves, at the end of the ``with`` block or of this process.
    """

    def __init__(
        self,
        folder: Path,
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
        lines: Sequence[str] = (),
        max_startups: str = "500",
        log_level: str = "VERBOSE",
    ) -> None:
        self.folder = folder
        self.addresses = tuple(addresses)
        self.lines = tuple(lines)
        self.max_startups = max_startups
        self.log_level = log_level
        self.port = 0
        self.client_key = folder / "client_key"
        self.host_key = folder / "host_key"
        self.known_hosts = folder / "known_hosts"
        self._log = folder / "sshd.log"
        self._program: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Sshd":
        self.folder.mkdir(parents=True, exist_ok=True)
        for key in (self.client_key, self.host_key):
            make_key(key)
        self._log.touch()
        self.port = _free_port(self.addresses[0])
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Write the configuration and known_hosts, start, and return when connections are answered."""
        if ROOT:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config = self.folder / "sshd_config"
        config.write_text("\n".join(self._configuration()) + "\n")
        public = self.host_key.with_suffix(".pub").read_text().split()[:2]
        self.known_hosts.write_text(
            "".join(f"[{address}]:{self.port} {' '.join(public)}\n" for address in self.addresses)
        )
        command = [PROGRAM or "sshd", "-D", "-f", str(config), "-E", str(self._log)]
        self._program = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, what=f"sshd answers; log: {self.log()}")

    def stop(self) -> None:
        """Stop the server and every session it serves."""
        if self._program is None:
            return
        family = [self._program.pid, *descendants(self._program.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._program.wait()
        self._program = None

    def sessions(self) -> list[int]:
        """The processes of sshd that serve a connection: what a test kills or freezes."""
        assert self._program is not None
        return [pid for pid in descendants(self._program.pid) if _name(pid).startswith("sshd")]

    def log(self) -> str:
        """Everything sshd logged so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def swap_host_key(self) -> None:
        """Answer with another host key from now on; known_hosts keeps the old one."""
        known = self.known_hosts.read_bytes()
        self.stop()
        for path in (self.host_key, self.host_key.with_suffix(".pub")):
            path.unlink()
        make_key(self.host_key)
        self.start()
        self.known_hosts.write_bytes(known)

    def settings(self, **changes: Any) -> ConnectionSettings:
        """How to reach this server, independent of the files of whoever runs the tests."""
        values: dict[str, Any] = {
            "address": self.addresses[0],
            "port": self.port,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "private_key_file": str(self.client_key),
            "agent": False,
            "known_hosts_files": (str(self.known_hosts),),
            "ssh_config_file": "/dev/null",
        }
        return ConnectionSettings(**(values | changes))

    def _configuration(self) -> Iterator[str]:
        """The test's own lines come first, because the first value wins; its Match blocks last."""
        match = next((at for at, line in enumerate(self.lines) if line.startswith("Match ")), len(self.lines))
        yield from self.lines[:match]
        if len(self.addresses) > 16:
            yield f"ListenAddress 0.0.0.0:{self.port} rdomain lo"
        else:
            yield from (f"ListenAddress {address}:{self.port}" for address in self.addresses)
        yield f"HostKey {self.host_key}"
        yield f"PidFile {self.folder / 'sshd.pid'}"
        if ROOT:  # the folders of pytest are closed to the accounts that log in
            yield f"AuthorizedKeysCommand /bin/cat {self.client_key.with_suffix('.pub')}"
            yield "AuthorizedKeysCommandUser root"
            yield "AuthorizedKeysFile none"
        else:
            yield f"AuthorizedKeysFile {self.client_key.with_suffix('.pub')}"
        yield f"UsePAM {'yes' if ROOT else 'no'}"
        yield "StrictModes no"
        yield "PermitRootLogin yes"
        yield "PrintMotd no"
        yield "UseDNS no"
        yield "Subsystem sftp internal-sftp"
        yield f"MaxStartups {self.max_startups}"
        yield f"LogLevel {self.log_level}"
        yield from self.lines[match:]
        if ROOT:  # at this level bash does not read ~/.bashrc, which for root is not ours and may be slow
            yield from ("Match User root", "SetEnv SHLVL=1")

    def _answers(self) -> bool:
        assert self._program is not None
        if self._program.poll() is not None:
            raise AssertionError(f"sshd ended: {self.log()}")
        try:
            with socket.create_connection((self.addresses[-1], self.port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


class Account:
    """A real account of this machine, made for one test and removed with all its processes. Needs root."""

    def __init__(self, *, shell: str = "/bin/sh", password: str = "") -> None:
        self.name = f"ch{secrets.token_hex(4)}"
        self.shell = shell
        self.password = password
        self.sudoers = Path("/etc/sudoers.d") / self.name
        self.home = Path("/home") / self.name

    def __enter__(self) -> "Account":
        with _account_files():
            _run("useradd", "--create-home", "--home-dir", str(self.home), "--shell", self.shell, self.name)
            if self.password:
                _run("chpasswd", stdin=f"{self.name}:{self.password}\n")
        return self

    def __exit__(self, *_: object) -> None:
        self.sudoers.unlink(missing_ok=True)
        for pid in self.running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with _account_files():
            _run("userdel", "--force", self.name, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def uid(self) -> int:
        """The numeric id."""
        return pwd.getpwnam(self.name).pw_uid

    def may_sudo(self, *rules: str) -> None:
        """Allow sudo: each rule is what follows ``NAME ALL=``, or a line that begins with Defaults."""
        lines = [
            rule.replace("Defaults", f"Defaults:{self.name}", 1)
            if rule.startswith("Defaults ")
            else f"{self.name} ALL={rule}"
            for rule in rules
        ]
        draft = self.sudoers.with_name(f"{self.name}.draft")  # sudo ignores names with a dot
        draft.write_text("\n".join(lines) + "\n")
        draft.chmod(0o440)
        draft.replace(self.sudoers)

    def write(self, name: str, text: str) -> None:
        """Put a file into the home, such as a shell's start-up file."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for made in (path, *path.parents):
            if made == self.home:
                break
            shutil.chown(made, self.name)

    def running(self) -> list[int]:
        """Its processes."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if _owner(entry) == self.uid]


def make_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> None:
    """Make a key pair at `path` unless there is one."""
    if not path.exists():
        _run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path))


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, nearest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            fields = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found += below
        waiting += below
    return found


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _owner(entry: Path) -> int:
    try:
        return entry.stat().st_uid if entry.name.isdigit() else -1
    except OSError:
        return -1


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _run(*command: str, stdin: str = "", check: bool = True) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise AssertionError(f"{command[0]}: {done.stderr}")


@contextmanager
def _account_files() -> Iterator[None]:
    """The account files have one writer at a time; test processes queue instead of failing."""
    with open("/run/lock/chargehand-accounts", "w") as lock:  # noqa: PTH123 - a lock, not a document
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
