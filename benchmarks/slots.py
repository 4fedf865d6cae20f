"""Slots: how soon after a host's script ended the next host's script runs, one and five at a time.

Ours alone. Two clocks are asked: our events (``-o ndjson``), from `host_finished` to `host_started`, and the
hosts' own, from the last thing a script does to the first thing the next one does.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.arguments import add_arguments, fleet_of, keep
from benchmarks.contest import measure
from benchmarks.fleet import Fleet, Task
from benchmarks.machine import describe
from benchmarks.ours import OURS, start_ours
from benchmarks.peer import Start
from benchmarks.record import Record
from benchmarks.servers import SERVERS

SCRIPT = "date +%s.%N\nsleep 1\ndate +%s.%N\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks slots", description=__doc__)
    add_arguments(parser, {}, pairs=3)
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 5], metavar="N", help="hosts at once")
    parser.add_argument("--turns", type=int, default=20, help="hosts that each slot serves (%(default)s)")
    parser.add_argument("--server", nargs="+", choices=SERVERS, default=["cheap", "sshd"])
    given = parser.parse_args(argv)
    machine, notes = describe(), []
    for server in given.server:
        for level in given.levels:
            with fleet_of(level * given.turns) as fleet, SERVERS[server](fleet):
                for words in gaps(fleet, level, given.pairs):
                    notes.append(f"{level} at a time, {server} server, {words}")
                    print(notes[-1], file=sys.stderr)
    keep(Record(name="slots", machine=machine, tables=(), notes=tuple(notes)), given)


def gaps(fleet: Fleet, level: int, times: int) -> Iterator[str]:
    """What both clocks say."""
    task = Task(fleet=fleet, level=level, command="sh -s", script=SCRIPT, stdout=None)
    ours = dataclasses.replace(OURS, start=_start, count_good=_count_good)
    by_events: list[float] = []
    by_hosts: list[float] = []
    for _ in range(times):
        run = measure(ours, task, ours.install())
        if run.failed:
            raise SystemExit(f"{run.failed} hosts failed")
        events = [json.loads(line) for line in run.stdout.splitlines()]
        by_events += between(
            level,
            begun=[moment(event) for event in events if event["type"] == "host_started"],
            ended=[moment(event) for event in events if event["type"] == "host_finished"],
        )
        stamps = [told.split() for told in _outputs(events)]
        by_hosts += between(
            level, begun=[float(first) for first, _ in stamps], ended=[float(last) for _, last in stamps]
        )
    yield f"our events: {spread(by_events)}"
    yield f"the hosts' clocks: {spread(by_hosts)}"


def between(level: int, *, begun: list[float], ended: list[float]) -> list[float]:
    """Seconds from each end to the beginning it makes possible: that of the host `level` places behind."""
    return [start - end for end, start in zip(sorted(ended), sorted(begun)[level:], strict=False)]


def spread(seconds: list[float]) -> str:
    """Median and 95th percentile, in milliseconds."""
    late = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    middle = statistics.median(seconds)
    return f"median {1000 * middle:.0f} ms, 95th percentile {1000 * late:.0f} ms, {len(seconds)} turns"


def moment(event: dict[str, str]) -> float:
    """When an event was, in seconds."""
    return datetime.fromisoformat(event["ts"]).timestamp()


def _start(task: Task, folder: Path, python: Path) -> Start:
    begun = start_ours(task, folder, python)
    return dataclasses.replace(begun, words=[*begun.words, "-o", "ndjson"])


def _count_good(_task: Task, stdout: str) -> int:
    return stdout.count('"status": "succeeded"') or stdout.count('"status":"succeeded"')


def _outputs(events: list[dict[str, str]]) -> list[str]:
    """What each host printed."""
    printed: dict[str, str] = {}
    for event in events:
        if event["type"] == "host_output" and event["stream"] == "stdout":
            printed[event["host"]] = printed.get(event["host"], "") + event["text"]
    return list(printed.values())


if __name__ == "__main__":
    main(sys.argv[1:])
