"""Render workers that are forked from one that imported all it needs, which takes a fifth of a second.

A worker is told what it may cost, takes the limits upon itself and ends as the program would; what only the
program has - its arguments, its environment - is tested with the program: `with_programs`.
"""

import array
import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import SimpleNamespace

_lock = threading.Lock()
_ours: list[tuple[socket.socket, subprocess.Popen[bytes] | None]] = []


def use(wishes: socket.socket | None = None) -> None:
    """Have renderers fork their workers from now on; of the process at the other end, or of one of ours."""
    if wishes is not None:
        _ours.append((wishes, None))
    process = import_module("chargehand.render.process")
    process.subprocess = SimpleNamespace(
        Popen=Forked, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )


@contextmanager
def with_programs() -> Iterator[None]:
    """Have renderers start their workers as programs meanwhile."""
    process = import_module("chargehand.render.process")
    before, process.subprocess = process.subprocess, subprocess
    try:
        yield
    finally:
        process.subprocess = before


def wishes() -> socket.socket:
    """Where one asks for a worker; whoever inherits it may."""
    with _lock:
        if not _ours:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                program = subprocess.Popen(
                    [sys.executable, *("-I", "-B", "-X", "utf8"), __file__, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            _ours.append((ours, program))
            atexit.register(_end, os.getpid())
    return _ours[0][0]


def _end(owner: int) -> None:
    if os.getpid() == owner:
        asked, program = _ours.pop()
        asked.close()
        if program:
            program.wait()


class Forked:
    """As much of a `subprocess.Popen` as a renderer uses."""

    def __init__(self, command: Sequence[str], *, stdin: int, **_: object) -> None:
        self.returncode: int | None = None
        self._told, told = os.pipe()
        try:
            asked = array.array("q", map(int, command[-2:])).tobytes()
            socket.send_fds(wishes(), [asked], [stdin, told])
        finally:
            os.close(told)
        (self.pid,) = self._hear(None) or (0,)

    def poll(self) -> int | None:
        """How it ended; None while it goes on."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            (self.returncode,) = self._hear(timeout) or (1,)
            os.close(self._told)
        return self.returncode

    def kill(self) -> None:
        """End it."""
        if self.poll() is None and self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _hear(self, timeout: float | None) -> Sequence[int]:
        if timeout is not None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a worker", timeout)
        numbers = array.array("i")
        numbers.frombytes(os.read(self._told, numbers.itemsize))
        return numbers


def _serve(asked: socket.socket) -> None:
    """Fork for every wish and tell how each ended, until nobody can wish any more."""
    heard, rang = os.pipe()
    os.set_blocking(rang, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(rang)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asked, heard], [], [])
        if heard in ready:
            os.read(heard, 1 << 16)
            _tell_ended(running)
        if asked in ready:
            wish, streams, _, _ = socket.recv_fds(asked, 64, 2)
            if not wish:
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number in (asked.fileno(), heard, rang, streams[1], *running.values()):
                    os.close(number)
                os._exit(_become(streams[0], array.array("q", wish)))
            os.close(streams[0])
            running[pid] = streams[1]
            os.write(streams[1], array.array("i", [pid]).tobytes())


def _tell_ended(running: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            told = running.pop(pid)
            with suppress(BrokenPipeError):
                os.write(told, array.array("i", [os.waitstatus_to_exitcode(status)]).tobytes())
            os.close(told)


def _become(stdin: int, limits: Sequence[int]) -> int:
    os.setsid()
    os.dup2(stdin, 0)
    os.close(stdin)
    try:
        import_module("chargehand.render.worker").main(*limits)
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    import_module("chargehand.render.worker")
    with socket.socket(fileno=int(sys.argv[1])) as theirs:
        _serve(theirs)
