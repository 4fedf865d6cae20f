"""Tarpits: of 1,000 hosts 100 take the connection and stay silent; when the others are done.

Ours alone, with and without them. Silent hosts get the first turns: they fill slots from the beginning.
"""

import argparse
import dataclasses
import json
import socket
import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.arguments import add_arguments, fleet_of, keep
from benchmarks.contest import measure
from benchmarks.fleet import Fleet, Task, true_task
from benchmarks.machine import describe
from benchmarks.ours import OURS, start_ours
from benchmarks.peer import Start
from benchmarks.record import Record
from benchmarks.servers import SERVERS
from benchmarks.slots import moment


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks tarpits", description=__doc__)
    add_arguments(parser, {}, pairs=3)
    parser.add_argument("--hosts", type=int, default=1000, metavar="N")
    parser.add_argument("--silent", type=int, default=100, metavar="N", help="of them (%(default)s)")
    parser.add_argument("--level", type=int, default=200, help="hosts at once (%(default)s)")
    parser.add_argument("--server", choices=SERVERS, default="answering")
    given = parser.parse_args(argv)
    machine = describe()
    taken: dict[int, list[float]] = {0: [], given.silent: []}
    with fleet_of(given.hosts) as fleet, SERVERS[given.server](fleet), tarpit() as port:
        for number in range(given.pairs):
            for silent, seconds in taken.items():
                seconds.append(visit(fleet, given.level, silent, port))
                words = f"{silent} silent: the others took {seconds[-1]:.2f} s"
                print(f"{number + 1}/{given.pairs}  {words}", file=sys.stderr)
    notes = [
        f"true on {given.hosts} hosts, {given.level} at once, {given.server} server; to the last good end:"
    ]
    for silent, seconds in taken.items():
        low, high = min(seconds), max(seconds)
        notes.append(f"{silent} silent: median {statistics.median(seconds):.2f} s [{low:.2f}-{high:.2f}]")
    keep(Record(name="tarpits", machine=machine, tables=(), notes=tuple(notes)), given)


def visit(fleet: Fleet, level: int, silent: int, port: int) -> float:
    """Seconds from the first host that is reached to the last good end."""
    good = len(fleet.hosts) - silent

    def start(task: Task, folder: Path, python: Path) -> Start:
        begun = start_ours(task, folder, python)
        lines = [f"{host} ansible_port={port}\n" for host in fleet.hosts[:silent]]
        lines += [f"{host}\n" for host in fleet.hosts[silent:]]
        inventory = fleet.folder / "project" / "inventory.ini"
        inventory.write_text("[fleet]\n" + "".join(lines))
        return dataclasses.replace(begun, words=[*begun.words, "-o", "ndjson"])

    ours = dataclasses.replace(OURS, start=start, count_good=lambda _task, stdout: len(good_ends(stdout)))
    run = measure(ours, true_task(fleet, level), ours.install(), timeout_s=600.0)
    if len(fleet.hosts) - run.failed != good:
        raise SystemExit(f"{good} hosts should be good, {len(fleet.hosts) - run.failed} were")
    events = map(json.loads, run.stdout.splitlines())
    begun = min(moment(event) for event in events if event["type"] == "host_connecting")
    return max(good_ends(run.stdout)) - begun


def good_ends(stdout: str) -> list[float]:
    """When hosts succeeded."""
    events = [json.loads(line) for line in stdout.splitlines()]
    ends = (event for event in events if event["type"] == "host_finished")
    return [moment(event) for event in ends if event["status"] == "succeeded"]


@contextmanager
def tarpit() -> Iterator[int]:
    """A port on every address that takes connections, says nothing and keeps them."""
    held = []
    with socket.create_server(("", 0), backlog=4096) as listener:

        def take() -> None:
            with suppress(OSError):
                while True:
                    held.append(listener.accept())

        threading.Thread(target=take, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    for connection, _ in held:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
