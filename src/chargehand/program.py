"""Run a program of the user's on this machine: no shell, a deadline, a limit on what it prints."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from chargehand.frozen import frozen

_STDERR_BYTES = 4096
_PIECE_BYTES = 64 * 1024


class ProgramError(Exception):
    """The program did not do what it was asked for, within its limits; says why, without what it printed."""


@frozen
class Printed:
    """What a program left behind.

    Attributes:
        status: Its exit status; negative: the signal that ended it.
        stdout: All of it.
        stderr: The end of it.
    """

    status: int
    stdout: bytes
    stderr: bytes


def run_program(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    output_bytes: int,
    stdin: IO[bytes] | None = None,
    descriptors: Sequence[int] = (),
) -> Printed:
    """Run a program to its end; nothing that it started is left behind.

    Args:
        argv: The program and its arguments.
        environ: Its whole environment.
        folder: Where it runs.
        timeout_s: From its start to its end.
        output_bytes: Of standard output.
        stdin: A file that it reads; None gives it nothing.
        descriptors: Further open files that it and its children may read.

    Raises:
        ProgramError: It cannot be run, is too slow or prints too much.
    """
    deadline = time.monotonic() + timeout_s
    try:
        process = subprocess.Popen(  # noqa: S603 - running the user's program is the purpose
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environ,
            cwd=folder,
            pass_fds=descriptors,
        )
    except (OSError, ValueError) as error:
        raise ProgramError(f"cannot be run: {getattr(error, 'strerror', None) or error}") from None
    with process:
        try:
            stdout, stderr = _read(process, deadline, output_bytes)
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise ProgramError(f"did not end within {timeout_s:.2g} seconds") from None
        finally:
            _kill_group(process)
    return Printed(status=status, stdout=stdout, stderr=stderr)


def _read(process: subprocess.Popen[bytes], deadline: float, output_bytes: int) -> tuple[bytes, bytes]:
    """All of standard output and the end of standard error, until both are closed."""
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, taken in ((process.stdout, stdout), (process.stderr, stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, taken)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE_BYTES)
                key.data.extend(piece)
                if not piece:
                    selector.unregister(key.fileobj)
            del stderr[:-_STDERR_BYTES]
            if len(stdout) > output_bytes:
                raise ProgramError(f"prints more than {output_bytes} bytes")
    return bytes(stdout), bytes(stderr)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and whatever it left behind; closed pipes alone would not."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
