"""A warm interpreter: runs the command line as processes of its own without importing it anew for each.

`run_command` has a process that imported everything fork for each command: its own session, folder,
environment and streams, from `main` to its exit code. Half of a short command is imports, and tests run a
thousand of them. What depends on the start - signals, arguments as others see them - takes the program.
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
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import migrated
import workers

_MOST = 1 << 20
_lock = threading.Lock()
_ours: list[tuple[socket.socket, subprocess.Popen[bytes]]] = []


def run_command(
    words: Sequence[str], *, folder: Path, environ: Mapping[str, str], stdin: str, timeout_s: float
) -> tuple[int, str, str]:
    """Run ``chargehand`` with some words: its exit code, what it printed, what it complained of."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        ended, told = os.pipe()
        try:
            wish = json.dumps({"words": list(words), "folder": str(folder), "environ": dict(environ)})
            with _lock:
                socket.send_fds(
                    _interpreter(), [wish.encode()], [given.fileno(), out.fileno(), err.fileno(), told]
                )
            os.close(told)
            code = _await(ended, timeout_s)
        finally:
            os.close(ended)
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


def _await(ended: int, timeout_s: float) -> int:
    """The exit code; the number of the process comes first, so that one that hangs can be ended."""
    deadline, numbers = time.monotonic() + timeout_s, array.array("i")
    while len(numbers) < 2:
        ready, _, _ = select.select([ended], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(ended, numbers.itemsize) if ready else b""
        if not piece:
            if numbers:
                with suppress(ProcessLookupError):
                    os.killpg(numbers[0], signal.SIGKILL)
            raise AssertionError(f"no end within {timeout_s} s")
        numbers.frombytes(piece)
    return numbers[1]


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
    os.write(streams[3], array.array("i", [pid]).tobytes())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
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
        for name in ("chargehand.ssh", "chargehand.local", "sqlalchemy.dialects.sqlite"):
            import_module(name)
        migrated.remember()
        with tempfile.TemporaryDirectory() as folder:
            import_module("chargehand.store").open_store(
                "", state=Path(folder) / "state", clock=import_module("chargehand.runner").utc_now
            ).close()
        workers.use(socket.socket(fileno=int(sys.argv[2])))
        _serve(theirs)
