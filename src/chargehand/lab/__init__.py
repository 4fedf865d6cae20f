"""Lab: embedded SSH hosts on this machine, to try jobs on without a fleet.

Every host of a lab is an SSH server of its own port on 127.0.0.1 that really runs what it is asked, as
the user who started the lab, with a home folder of its own. A lab lives in a folder, which holds its
keys, its log and ``inventory.json``, an inventory of its hosts and nobody else's; its servers are one
child process (``python -m chargehand.lab FOLDER``), alive as long as it holds the lock on ``pid``.
"""

import fcntl
import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from chargehand.errors import UsageError
from chargehand.frozen import frozen
from chargehand.host import Host

MOST_HOSTS = 2000
_READY_S = 60.0
_STOP_S = 15.0


@frozen
class LabHost:
    """One host a lab is to embed; its connection variables are the lab's to say."""

    name: str
    groups: tuple[str, ...] = ()
    vars: dict[str, object] = field(default_factory=dict)


def fleet(count: int) -> tuple[LabHost, ...]:
    """`count` made-up hosts: ``web1``, ``web2`` ... and, every third, ``db1``, ``db2`` ..."""
    facts = {"kernel": platform.system(), "architecture": platform.machine()}
    hosts = []
    for number in range(1, count + 1):
        group, ordinal = ("db", number // 3) if number % 3 == 0 else ("web", number - number // 3)
        own = {"id": number, "http_port": 8000 + number, "facts": facts}
        hosts.append(LabHost(name=f"{group}{ordinal}", groups=(group,), vars=own))
    return tuple(hosts)


def doubles(hosts: Iterable[Host]) -> tuple[LabHost, ...]:
    """Embedded hosts that stand in for `hosts`: same names, ids, groups and plain variables.

    Connection variables (``ansible_*``) and secrets stay behind, so that nothing in the lab can reach a
    real host.
    """
    return tuple(
        LabHost(
            name=host.name,
            groups=host.groups,
            vars={name: value for name, value in host.vars.items() if _plain(name, value)} | {"id": host.id},
        )
        for host in hosts
    )


class Lab:
    """The lab of one folder.

    As a context manager it runs while the block runs, and dies with this process however that ends;
    `start` and `stop` are for a lab that outlives the command that made it.
    """

    def __init__(self, folder: Path | str, hosts: Sequence[LabHost] = ()) -> None:
        self.folder = Path(folder).absolute()
        self.hosts = tuple(hosts)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def inventory(self) -> Path:
        """The inventory of the embedded hosts."""
        return self.folder / "inventory.json"

    @property
    def log(self) -> Path:
        """Where the servers write what they see."""
        return self.folder / "log"

    def __enter__(self) -> Self:
        self._child = self._spawn(detached=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is None:
            return
        with self._child as child:
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
        self._child = None

    def start(self) -> int:
        """Start the servers in the background and return their process id.

        Raises:
            UsageError: A lab runs in this folder already, or the servers cannot start.
        """
        child = self._spawn(detached=True)
        child.returncode = 0  # it outlives us on purpose: Popen has nothing to warn about
        if child.stdout is not None:
            child.stdout.close()
        return child.pid

    def serve(self) -> int:
        """Run the servers in the foreground until interrupted; the exit code."""
        self._prepare()
        with suppress(KeyboardInterrupt):
            subprocess.run([*self._command(), "--foreground"], check=False)  # noqa: S603 - this very program
        return 0

    @property
    def pid(self) -> int | None:
        """Process id of the running servers; None when none run."""
        try:
            with (self.folder / "pid").open() as file:
                return None if _lockable(file.fileno()) else int(file.read() or 0) or None
        except FileNotFoundError:
            return None

    def stop(self) -> bool:
        """End the servers and everything they run; whether there was anything to end."""
        pid = self.pid
        if pid is None:
            return False
        deadline = time.monotonic() + _STOP_S
        _send(pid, signal.SIGTERM)
        while self.pid == pid:
            if time.monotonic() > deadline:
                _send(pid, signal.SIGKILL)
            time.sleep(0.02)
        return True

    def _spawn(self, *, detached: bool) -> subprocess.Popen[bytes]:
        self._prepare()
        with self.log.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - this very program
                [*self._command(), *(["--detached"] if detached else [])],
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._await_ready(child)
        return child

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "chargehand.lab", str(self.folder)]

    def _prepare(self) -> None:
        if find_spec("asyncssh") is None:
            raise UsageError("the lab needs asyncssh: pip install 'chargehand[lab]'")
        if not 1 <= len(self.hosts) <= MOST_HOSTS:
            raise UsageError(f"a lab has 1 to {MOST_HOSTS} hosts, not {len(self.hosts)}")
        if self.pid is not None:
            raise UsageError(f"a lab runs in {self.folder} already; end it with `chargehand lab down`")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        hosts = [asdict(host) for host in self.hosts]
        (self.folder / "hosts.json").write_text(json.dumps(hosts), encoding="utf-8")
        self.inventory.unlink(missing_ok=True)

    def _await_ready(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdout is None:
            return
        readable, _, _ = select.select([child.stdout], [], [], _READY_S)
        if readable and child.stdout.readline() == b"ready\n":
            return
        with child:
            child.kill()
        last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise UsageError(f"the lab did not start: {' '.join(last) or 'no word why'} (log: {self.log})")


def _plain(name: str, value: object) -> bool:
    if name.startswith("ansible_"):
        return False
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _lockable(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
