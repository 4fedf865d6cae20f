"""The process that a worker is, and the socket to it."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import Any

from chargehand.interpreter import start
from chargehand.render import frame
from chargehand.render.limits import RenderLimits

_READ_BYTES = 64 * 1024


class WorkerLostError(Exception):
    """The worker ended, or did not answer in time; says why."""


class WorkerProcess:
    """One worker process and the socket to it."""

    def __init__(self, limits: RenderLimits) -> None:
        self._limits = limits
        self.has_inventory = False
        self._unread = memoryview(b"")
        self._link, theirs = socket.socketpair()
        with theirs:
            self._process = start(
                "chargehand.render.worker",
                str(limits.memory_bytes),
                str(limits.cpu_s),
                channel=theirs,
                options=("-B",),
            )

    def send(self, request: bytes, timeout_s: float) -> None:
        """Send a request; every answer to the one before must have been received.

        Raises:
            WorkerLostError: It is not taken.
        """
        try:
            self._link.settimeout(timeout_s)
            self._link.sendall(request)
        except OSError as error:
            raise self._lost(error, timeout_s) from error

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the next answer.

        Raises:
            WorkerLostError: There is none.
        """
        deadline = time.monotonic() + timeout_s

        def some(size: int) -> bytes:
            if not self._unread:
                self._link.settimeout(max(deadline - time.monotonic(), 0.001))
                self._unread = memoryview(self._link.recv(_READ_BYTES))
            taken, self._unread = self._unread[:size], self._unread[size:]
            return bytes(taken)

        try:
            return frame.decode(frame.read(some))
        except (OSError, EOFError) as error:
            raise self._lost(error, timeout_s) from error

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._process.kill()
        self._process.wait()

    def _lost(self, error: Exception, timeout_s: float) -> WorkerLostError:
        if isinstance(error, TimeoutError):
            return WorkerLostError(f"rendering takes more than {timeout_s:g} s")
        return WorkerLostError(self._obituary())

    def _obituary(self) -> str:
        """Why the process ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return f"rendering takes more than {self._limits.cpu_s} s of processor time"
        if status == os.EX_TEMPFAIL:
            return "rendering takes more memory than the limit"
        ending = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        return f"rendering ended the worker process with {ending}"
