"""Fleet: a made-up fleet whose hosts are addresses of one network device, and the files that clients need."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

USER = "root"
"""Who logs in: commands run as whoever started the server, and sshd needs an account of this machine."""

SCRIPT = """\
set -eu
name=$(cat /etc/hostname)
echo "hello from $name"
for line in 1 2 3; do echo "line $line"; done
exit 0
"""
"""Five lines, sent over stdin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Hosts and how they are reached.

    Attributes:
        folder: Holds keys and known_hosts.
        hosts: Addresses.
        port: The same on all of them.
    """

    folder: Path
    hosts: tuple[str, ...]
    port: int

    @property
    def key(self) -> Path:
        """The client's private key, ed25519."""
        return self.folder / "client_key"

    @property
    def host_key(self) -> Path:
        """The private key of every host, ed25519."""
        return self.folder / "host_key"

    @property
    def known_hosts(self) -> Path:
        """One line for each address, which every client understands."""
        return self.folder / "known_hosts"

    def write(self) -> None:
        """Make keys that are missing, and known_hosts."""
        for key in (self.key, self.host_key):
            if not key.exists():
                words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", str(key)]
                subprocess.run(words, check=True)
        public = " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])
        self.known_hosts.write_text("".join(f"[{host}]:{self.port} {public}\n" for host in self.hosts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every client has to get done, and what it must have seen in the end.

    Attributes:
        fleet: On all of these hosts.
        level: At most so many at once.
        command: What the host is asked to run.
        script: Goes to the command's stdin, which then ends; empty when nothing does.
        stdout: What each host must print, with exit status 0; None where only its size is known.
        stdout_bytes: How much each host must print.
    """

    fleet: Fleet
    level: int
    command: str = "true"
    script: str = ""
    stdout: str | None = ""
    stdout_bytes: int = 0

    def write(self, path: Path) -> None:
        """Write the task for the programs in `peers`, which know nothing of this package."""
        wish = {
            "hosts": self.fleet.hosts,
            "port": self.fleet.port,
            "user": USER,
            "key": str(self.fleet.key),
            "known_hosts": str(self.fleet.known_hosts),
            "level": self.level,
            "command": self.command,
            "script": self.script,
            "stdout": self.stdout,
            "stdout_bytes": self.stdout_bytes,
        }
        path.write_text(json.dumps(wish))


def script_output() -> str:
    """What `SCRIPT` prints here."""
    name = Path("/etc/hostname").read_text().strip()
    return f"hello from {name}\nline 1\nline 2\nline 3\n"


def true_task(fleet: Fleet, level: int) -> Task:
    """The least that can be run."""
    return Task(fleet=fleet, level=level)


def script_task(fleet: Fleet, level: int) -> Task:
    """Five lines over stdin."""
    expected = script_output()
    return Task(
        fleet=fleet,
        level=level,
        command="/bin/sh -s",
        script=SCRIPT,
        stdout=expected,
        stdout_bytes=len(expected),
    )


def addresses(count: int, network: str = "127.1") -> Iterator[str]:
    """The first `count` addresses of a network of two bytes: ``127.1.0.1``, ``127.1.0.2``, ..."""
    for number in range(count):
        yield f"{network}.{number // 250}.{number % 250 + 1}"
