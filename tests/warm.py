"""A warm interpreter: runs the command line as processes of its own without importing it anew for each.

A process that imported everything forks for each command: its own session, folder, environment and
streams, from `main` to its exit code, with the signals and failpoints of a program. Half of a short command
is imports, and tests run thousands. What depends on the start - arguments and environment as others see
them, a terminal, a library to preload - takes the program.
"""

import array
import atexit
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import BinaryIO

import migrated
import workers

_MOST = 1 << 20
_lock = threading.Lock()
_ours: list[tuple[socket.socket, subprocess.Popen[bytes]]] = []


class Command:
    """One that goes on; as much of a `subprocess.Popen` as tests use."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        stdin: BinaryIO,
        stdout: BinaryIO,
        stderr: BinaryIO,
    ) -> None:
        self.returncode: int | None = None
        self._ended, told = os.pipe()
        wish = json.dumps({"words": list(words), "folder": str(folder), "environ": dict(environ)})
        streams = [each.fileno() for each in (stdin, stdout, stderr)]
        try:
            with _lock:
                socket.send_fds(_interpreter(), [wish.encode()], [*streams, told])
        finally:
            os.close(told)
        self.pid = self._hear(None)

    def poll(self) -> int | None:
        """How it ended; None while it goes on."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end: its exit code, or that of a signal below 0."""
        if self.returncode is None:
            self.returncode = self._hear(timeout)
            os.close(self._ended)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still goes on."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, and all that it started and did not send away."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has only just begun, or is over
                self.send_signal(signal.SIGKILL)

    def _hear(self, timeout: float | None) -> int:
        if timeout is not None and not select.select([self._ended], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("chargehand", timeout)
        numbers = array.array("i")
        numbers.frombytes(os.read(self._ended, numbers.itemsize))
        return numbers[0]


def run_command(
    words: Sequence[str], *, folder: Path, environ: Mapping[str, str], stdin: str, timeout_s: float
) -> tuple[int, str, str]:
    """Run ``chargehand`` with some words: its exit code, what it printed, what it complained of."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        command = Command(words, folder=folder, environ=environ, stdin=given, stdout=out, stderr=err)
        try:
            code = command.wait(timeout_s)
        finally:
            command.kill()
            command.wait()
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(), err.read().decode()


def _interpreter() -> socket.socket:
    if not _ours:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
        renders = workers.wishes().fileno()
        with theirs:
            program = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), str(renders)],
                pass_fds=[theirs.fileno(), renders],
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        _ours.append((ours, program))
        atexit.register(_end)
    return _ours[0][0]


def _end() -> None:
    wishes, program = _ours.pop()
    wishes.close()
    program.wait()


def _serve(wishes: socket.socket) -> None:
    """Fork for every wish, until nobody can wish any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        wish, streams, _, _ = socket.recv_fds(wishes, _MOST, 4)
        if not wish:
            return
        if os.fork() == 0:
            wishes.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _attend(json.loads(wish), streams)
        for stream in streams:
            os.close(stream)


def _attend(wish: Mapping[str, object], streams: Sequence[int]) -> None:
    """Run one command in a child, and tell how it ended."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(streams[3])
        os._exit(_become(wish, streams))
    for number in streams[:3]:
        os.close(number)
    os.write(streams[3], array.array("i", [pid]).tobytes())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(streams[3], array.array("i", [code]).tobytes())
    os._exit(0)


def _become(wish: Mapping[str, object], streams: Sequence[int]) -> int:
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = io.TextIOWrapper(open(0, "rb", closefd=False)), _text(1)  # noqa: SIM115
    sys.stderr = _text(2, line_buffering=True)
    os.chdir(str(wish["folder"]))
    os.environ.clear()
    os.environ.update(wish["environ"])  # type: ignore[call-overload]
    failpoint = import_module("chargehand.failpoint")
    failpoint._WISH = os.environ.get("CHARGEHAND_FAILPOINT", "")  # read once, when a program begins
    words = list(wish["words"])  # type: ignore[call-overload]
    sys.argv = ["chargehand", *words]
    code: object = 1
    try:
        import_module("chargehand.cli").main(words)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return code if isinstance(code, int) else 1


def _text(number: int, *, line_buffering: bool = False) -> io.TextIOWrapper:
    binary = open(number, "wb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        binary, "utf-8", "backslashreplace" if number == 2 else "strict", None, line_buffering
    )


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as theirs:
        cli = import_module("chargehand.cli")
        for module in iter_modules(cli.__path__, "chargehand.cli."):
            import_module(module.name)
        for name in (
            "chargehand.ssh",
            "chargehand.local",
            "sqlalchemy.dialects.sqlite",
            "chargehand.store.postgresql",
        ):
            import_module(name)
        migrated.remember()
        with tempfile.TemporaryDirectory() as folder:
            import_module("chargehand.store").open_store(
                "", state=Path(folder) / "state", clock=import_module("chargehand.moment").utc_now
            ).close()
        workers.use(socket.socket(fileno=int(sys.argv[2])))
        _serve(theirs)
