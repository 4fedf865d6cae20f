"""The task of a peer, read from the file named on the command line; see `benchmarks.fleet.Task`."""

import json
import sys
import time
from typing import NamedTuple

SECONDS = []
"""What each visit took, from connecting to knowing its result."""


class Task(NamedTuple):
    """What is to be run where."""

    hosts: list
    port: int
    user: str
    key: str
    known_hosts: str
    level: int
    command: str
    script: str
    stdout: str | None
    stdout_bytes: int

    def fits(self, status: int | None, stdout: str | bytes, begun: float) -> bool:
        """Whether a host did what was asked for; asked as soon as that is known of a visit begun then."""
        SECONDS.append(time.perf_counter() - begun)
        if status != 0 or len(stdout) != self.stdout_bytes:
            return False
        if isinstance(stdout, bytes):
            stdout = stdout.decode()
        return self.stdout is None or stdout == self.stdout


def read_task() -> Task:
    """Read it."""
    with open(sys.argv[1]) as stream:  # noqa: PTH123 - every import of a peer's program is counted
        return Task(**json.load(stream))


def read_known_hosts(task: Task) -> dict:
    """The public key of each host, as in its line of known_hosts: ``[ADDRESS]:PORT`` to type and base64."""
    with open(task.known_hosts) as stream:  # noqa: PTH123
        return {name: key for name, *key in map(str.split, stream)}


def tell(fits: list) -> None:
    """Say how many hosts did what was asked for and what each took, and end with 1 when some did not."""
    good = sum(1 for one in fits if one is True)
    other = [one for one in fits if one is not True]
    print("seconds", *(f"{seconds:.4f}" for seconds in SECONDS))
    print(f"{good} good")
    if other:
        print(f"{len(other)} not, such as: {other[0]!r}", file=sys.stderr)
        sys.exit(1)
