"""Wrapper: what the start of a script takes of the processor of its host, beside the bare command.

No SSH: the login shell is given what sshd would give it, many times in turn, and asked for its processor time
and that of all its children. With hosts of their own that is the hosts'; where servers and client share the
cores, as in the benchmarks with sshd, it is in the client's wall time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.arguments import add_arguments, keep
from benchmarks.machine import describe
from benchmarks.record import Record, ratio

from chargehand.script import RenderedScript
from chargehand.start.protocol import StartProtocol

LOGIN_SHELL = "/bin/bash"
COMMAND = "true"


class Turn(NamedTuple):
    """One command on the host, in seconds."""

    cpu_s: float
    wall_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks wrapper", description=__doc__)
    add_arguments(parser, {}, pairs=200)
    given = parser.parse_args(argv)
    ours, bare = [], []
    for number in range(given.pairs):
        order: list[tuple[list[Turn], Callable[[], Turn]]] = [(ours, start), (bare, command)]
        for turns, do in order if number % 2 else reversed(order):
            turns.append(do())
    words = f"{LOGIN_SHELL} with `{COMMAND}`, processor time"
    notes = [f"{words}: {_middle([turn.cpu_s for turn in turns])} {who}" for turns, who in named(ours, bare)]
    ratios = [mine.cpu_s / theirs.cpu_s for mine, theirs in zip(ours, bare, strict=True)]
    notes.append(f"ours/bare: {ratio(ratios)} ({given.pairs} pairs)")
    walls = ", ".join(f"{_middle([turn.wall_s for turn in turns])} {who}" for turns, who in named(ours, bare))
    notes.append(f"wall time: {walls}")
    keep(Record(name="wrapper", machine=describe(), tables=(), notes=tuple(notes)), given)


def named(ours: list[Turn], bare: list[Turn]) -> Sequence[tuple[list[Turn], str]]:
    """Both, with what they are."""
    return ((ours, "as ours starts it"), (bare, "as a bare command"))


def start() -> Turn:
    """Start the command as a run does, from the request to the folder that is gone."""
    protocol = StartProtocol(RenderedScript(content=f"{COMMAND}\n".encode()))
    turn, said = _ask(protocol.request, bytes(protocol.outgoing) + b"settle\n")
    if not (b" END 0 " in said and said.endswith(b" GONE\n")):
        raise SystemExit(f"the host said {said!r}")
    return turn


def command() -> Turn:
    """Run the command as other clients ask for it."""
    return _ask(COMMAND, b"")[0]


def _ask(request: str, stdin: bytes) -> tuple[Turn, bytes]:
    """Give a login shell a request; what it took, and what came on stdout."""
    begun = time.monotonic()
    shell = subprocess.Popen(
        [LOGIN_SHELL, "-c", request],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert shell.stdin and shell.stdout  # noqa: PT018 - pipes were asked for
    with shell.stdout as stdout, shell.stdin as pipe:
        pipe.write(stdin)
        pipe.close()
        said = stdout.read()
    _, status, used = os.wait4(shell.pid, 0)
    shell.returncode = os.waitstatus_to_exitcode(status)
    return Turn(used.ru_utime + used.ru_stime, time.monotonic() - begun), said


def _middle(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):.1f} ms"


if __name__ == "__main__":
    main(sys.argv[1:])
