"""The servers of a lab, one process for all of its hosts; the only importer of asyncssh."""

import argparse
import asyncio
import contextlib
import fcntl
import getpass
import json
import logging
import os
import resource
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import asyncssh

_CHUNK_BYTES = 64 * 1024
_GRACE_S = 10.0  # a wrapper that saw its stdin end may still be stopping its script
_LOOPBACK = "127.0.0.1"


class EmbeddedHosts:
    """The SSH servers of one lab folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[int, str] = {}  # the port a client came in by says which host it asked for
        self._sessions: set[asyncio.Task[None]] = set()
        self._grace_s = _GRACE_S
        self._acceptors: list[asyncssh.SSHAcceptor] = []

    async def open(self) -> None:
        """Bind one port for every host, then write the inventory that leads to them."""
        hosts = json.loads((self._folder / "hosts.json").read_text(encoding="utf-8"))
        host_key = _key(self._folder / "host_key")
        client_key = _key(self._folder / "client_key")
        authorized = client_key.export_public_key().decode()
        options = asyncssh.SSHServerConnectionOptions(
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(authorized),
            process_factory=self._serve,
            encoding=None,
            allow_pty=False,
            agent_forwarding=False,
            gss_host=None,
        )
        ports = []
        for host in hosts:
            acceptor = await asyncssh.listen(_LOOPBACK, 0, options=options)
            self._acceptors.append(acceptor)
            ports.append(acceptor.get_port())
            self._names[ports[-1]] = host["name"]
        public = host_key.export_public_key().decode().strip()
        known = "".join(f"[{_LOOPBACK}]:{port} {public}\n" for port in ports)
        (self._folder / "known_hosts").write_text(known, encoding="utf-8")
        self._write_inventory(hosts, ports)

    async def close(self) -> None:
        """Stop listening and end everything that still runs."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._grace_s = 1.0
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        session = asyncio.create_task(self._run(process))
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)
        await asyncio.shield(session)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        name = self._names[process.get_extra_info("sockname")[1]]
        command = process.command
        home = self._folder / "homes" / name
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            *(["-c", command] if command is not None else ["-s"]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=home,
            env=_environment(name, home),
        )
        relay = asyncio.create_task(_relay(process, child))
        gone = asyncio.create_task(process.channel.wait_closed())
        try:
            await asyncio.wait((relay, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (relay, gone):
                task.cancel()
            await asyncio.gather(relay, gone, return_exceptions=True)
            await _end(child, grace_s=self._grace_s)
            process.close()

    def _write_inventory(self, hosts: Sequence[dict[str, object]], ports: Sequence[int]) -> None:
        leaves: dict[str, object] = {}
        children: dict[str, dict[str, dict[str, object]]] = {}
        known_hosts = shlex.quote(f'UserKnownHostsFile="{self._folder / "known_hosts"}"')
        for host, port in zip(hosts, ports, strict=True):
            name, own, groups = host["name"], host["vars"], host["groups"]
            if not (isinstance(name, str) and isinstance(own, dict) and isinstance(groups, list)):
                raise TypeError(f"hosts.json is not ours: {host!r}")
            leaves[name] = own | {"ansible_host": _LOOPBACK, "ansible_port": port}
            for group in groups:
                children.setdefault(group, {"hosts": {}})["hosts"][name] = {}
        lab_vars = {
            "ansible_user": getpass.getuser(),
            "ansible_private_key_file": str(self._folder / "client_key"),
            "ansible_ssh_common_args": f"-F /dev/null -o {known_hosts}",
            "ansible_become": False,
        }
        inventory = {"all": {"hosts": leaves, "children": children, "vars": lab_vars}}
        draft = self._folder / ".inventory.json"
        draft.write_text(json.dumps(inventory, indent=1), encoding="utf-8")
        draft.replace(self._folder / "inventory.json")


async def _relay(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    """Carry bytes both ways until the child has ended and all it printed is sent; then its status."""
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise RuntimeError("a child without its three pipes")
    feeding = asyncio.create_task(_feed(process, child, child.stdin))
    try:
        await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
        status = await child.wait()
        if status >= 0:
            process.exit(status)
        else:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(
    process: asyncssh.SSHServerProcess[bytes],
    child: asyncio.subprocess.Process,
    stdin: asyncio.StreamWriter,
) -> None:
    while True:
        try:
            chunk = await process.stdin.read(_CHUNK_BYTES)
        except asyncssh.SignalReceived as received:
            _signal_group(child, getattr(signal, f"SIG{received.signal}", signal.SIGTERM))
            continue
        except (asyncssh.Error, OSError):
            chunk = b""
        if not chunk:
            break
        with contextlib.suppress(OSError):  # the child closed its stdin; like sshd, drop the rest
            stdin.write(chunk)
            await stdin.drain()
    stdin.close()


async def _pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    while chunk := await source.read(_CHUNK_BYTES):
        sink.write(chunk)
        await sink.drain()


async def _end(child: asyncio.subprocess.Process, *, grace_s: float) -> None:
    """Close the child's stdin, as sshd does when a client is gone; after the grace kill its group.

    The group is killed as well when the lab ends meanwhile and cancels this.
    """
    if child.stdin is not None:
        child.stdin.close()
    ended = False
    try:
        async with asyncio.timeout(grace_s):
            await asyncio.gather(_drain(child.stdout), _drain(child.stderr), child.wait())
        ended = True
    except TimeoutError:
        pass
    finally:
        if not ended:
            _signal_group(child, signal.SIGKILL)
    await child.wait()


async def _drain(source: asyncio.StreamReader | None) -> None:
    while source is not None and await source.read(_CHUNK_BYTES):
        pass


def _signal_group(child: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _environment(name: str, home: Path) -> dict[str, str]:
    user = getpass.getuser()
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ}
    return kept | {"HOME": str(home), "USER": user, "LOGNAME": user, "SHELL": "/bin/sh", "LAB_HOST": name}


def _key(path: Path) -> asyncssh.SSHKey:
    """The key kept at `path`, made and written for the owner alone when there is none."""
    if path.exists():
        return asyncssh.read_private_key(path)
    key = asyncssh.generate_private_key("ssh-ed25519")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.export_private_key())
    return key


def _lock(folder: Path) -> IO[str]:
    file = (folder / "pid").open("a+", encoding="ascii")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


async def _main(folder: Path, *, detached: bool, foreground: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    hosts = EmbeddedHosts(folder)
    await hosts.open()
    print(f"{folder / 'inventory.json'}" if foreground else "ready", flush=True)  # noqa: T201 - told to the starter
    if not (detached or foreground):
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        starter = asyncio.create_task(reader.read())
        starter.add_done_callback(lambda _: stopped.set())
    await stopped.wait()
    await hosts.close()


def main() -> None:
    """Serve one folder until told to stop, or until the starter's end of stdin closes."""
    parser = argparse.ArgumentParser(prog="python -m chargehand.lab")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detached", action="store_true")
    parser.add_argument("--foreground", action="store_true")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with _lock(asked.folder):
        asyncio.run(_main(asked.folder, detached=asked.detached, foreground=asked.foreground))


if __name__ == "__main__":
    main()
