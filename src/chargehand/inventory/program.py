"""Executable inventories: run a program, under a deadline and a limit on what it prints."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from chargehand.frozen import frozen
from chargehand.program import ProgramError, run_program

Programs = Literal["run", "skip", "refuse"]
"""What becomes of executable sources and inventory plugins: ``run`` them; ``skip`` them with a warning that
their hosts are missing; or ``refuse`` the inventory, since half of one is none."""

PROGRAM_RULE = "inventory-program"


@frozen
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
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise ProgramError(f"did not end within {self._limits.timeout_s:.2g} seconds")
        printed = run_program(
            [*self._command, *arguments],
            environ=self._environment,
            folder=Path.cwd(),
            timeout_s=left_s,
            output_bytes=self._limits.output_bytes,
        )
        if printed.status != 0:
            raise ProgramError(f"failed with {_status(printed.status)}{_quote(printed.stderr)}")
        return printed.stdout


def is_program(path: Path) -> bool:
    """Whether the kernel would run this file: executable, and with an interpreter line or binary.

    An executable file that is neither is an ordinary inventory with a careless mode.
    """
    if not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        head = file.read(512)
    return head.startswith(b"#!") or b"\0" in head


def _status(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"


def _quote(stderr: bytes) -> str:
    """The last lines of standard error, made safe for one line."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    text = " / ".join("".join(char if char.isprintable() else " " for char in line) for line in lines[-5:])
    return f": {text}" if text else ""
