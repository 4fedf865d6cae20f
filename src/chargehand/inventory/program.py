"""Executable inventories: run a program, under a deadline and a limit on what it prints."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Programs = Literal["run", "skip", "refuse"]
"""What becomes of executable sources and inventory plugins: ``run`` them; ``skip`` them with a warning that
their hosts are missing; or ``refuse`` the inventory, since half of one is none."""

PROGRAM_RULE = "inventory-program"
_STDERR_BYTES = 4096


class ProgramError(Exception):
    """The program did not answer with a JSON object; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """What one program is allowed.

    Attributes:
        timeout_s: For all its calls together.
        output_bytes: Of each call.
    """

    timeout_s: float = 30.0
    output_bytes: int = 64 * 1024 * 1024


class Program:
    """An inventory program that may be asked several things before one deadline."""

    def __init__(
        self, command: Sequence[str], limits: ProgramLimits, settings: Mapping[str, str] | None = None
    ) -> None:
        self._command = tuple(command)
        self._limits = limits
        self._environment = {**os.environ, **(settings or {})}
        self._deadline = time.monotonic() + limits.timeout_s

    def ask(self, *arguments: str) -> dict[str, object]:
        """The JSON object the program prints; an empty one when it prints nothing.

        Raises:
            ProgramError: It cannot be run, fails, is too slow or too loud, or prints something else.
        """
        output = self._run(arguments)
        if not output.strip():
            return {}
        try:
            answer = json.loads(output)
        except (ValueError, RecursionError):
            raise ProgramError(f"printed no JSON for {' '.join(arguments)}") from None
        if not isinstance(answer, dict):
            raise ProgramError(f"must print a JSON object for {' '.join(arguments)}")
        return answer

    def _run(self, arguments: Sequence[str]) -> bytes:
        try:
            process = subprocess.Popen(  # noqa: S603  # running the user's inventory program is the purpose
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=self._environment,
            )
        except OSError as error:
            raise ProgramError(f"cannot be run: {error.strerror}") from error
        with process:
            try:
                stdout, stderr = self._read(process)
                process.wait(self._left_s())
            except subprocess.TimeoutExpired:
                raise self._too_slow() from None
            finally:
                _kill_group(process)
        if process.returncode != 0:
            raise ProgramError(f"failed with {_status(process.returncode)}{_quote(stderr)}")
        return stdout

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """Standard output, bounded, and the end of standard error."""
        stdout, stderr = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector:
            for pipe, taken in ((process.stdout, stdout), (process.stderr, stderr)):
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ, taken)
            while selector.get_map():
                ready = selector.select(self._left_s())
                if not ready:
                    raise self._too_slow()
                for key, _ in ready:
                    piece = os.read(key.fd, 65536)
                    key.data.extend(piece)
                    if not piece:
                        selector.unregister(key.fileobj)
                del stderr[:-_STDERR_BYTES]
                if len(stdout) > self._limits.output_bytes:
                    raise ProgramError(f"printed more than {self._limits.output_bytes} bytes")
        return bytes(stdout), bytes(stderr)

    def _left_s(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _too_slow(self) -> ProgramError:
        return ProgramError(f"did not answer within {self._limits.timeout_s:g} seconds")


def is_program(path: Path) -> bool:
    """Whether the kernel would run this file: executable, and with an interpreter line or binary.

    An executable file that is neither is an ordinary inventory with a careless mode.
    """
    if not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        head = file.read(512)
    return head.startswith(b"#!") or b"\0" in head


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and whatever it left behind; closed pipes alone would not."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _status(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"


def _quote(stderr: bytes) -> str:
    """The last lines of standard error, made safe for one line."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    text = " / ".join("".join(char if char.isprintable() else " " for char in line) for line in lines[-5:])
    return f": {text}" if text else ""
