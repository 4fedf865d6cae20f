"""Fan-out: `true` and a short script on 50, 200 and 1,000 hosts, the whole command, against everybody."""

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks.arguments import add_arguments, contest_peers, fleet_of, keep
from benchmarks.contest import Contest
from benchmarks.fleet import Fleet, Task, script_task, true_task
from benchmarks.machine import describe
from benchmarks.ours import OURS
from benchmarks.peers.catalogue import PEERS
from benchmarks.record import Record, Table
from benchmarks.servers import SERVERS

LEVELS = {50: 50, 200: 100, 1000: 200}
"""Hosts, and how many of them at once, unless told otherwise."""
TASKS: dict[str, Callable[[Fleet, int], Task]] = {"true": true_task, "script": script_task}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fanout", description=__doc__)
    add_arguments(parser, PEERS)
    parser.add_argument("--hosts", type=int, nargs="+", default=list(LEVELS), metavar="N")
    parser.add_argument("--level", type=int, help="hosts at once; default 50, 100, 200")
    parser.add_argument("--server", nargs="+", choices=SERVERS, default=["cheap"])
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--name", default="fanout", help="of the files to write (%(default)s)")
    given = parser.parse_args(argv)
    machine = describe()
    tables = [
        compare(given, server, count, task)
        for server in given.server
        for count in given.hosts
        for task in given.task
    ]
    keep(Record(name=given.name, machine=machine, tables=tuple(tables)), given)


def compare(given: argparse.Namespace, server: str, count: int, task: str) -> Table:
    """One server, one number of hosts, one task."""
    level = given.level or LEVELS.get(count, 200)
    title = f"{task} on {count} hosts, {level} at once, {server} server"
    with fleet_of(count) as fleet, SERVERS[server](fleet):
        contest = Contest(
            title=title,
            task=TASKS[task](fleet, level),
            ours=OURS,
            peers=contest_peers(given, PEERS, count),
            pairs=given.pairs,
        )
        return Table(title=title, hosts=count, rows=tuple(contest.run()))


if __name__ == "__main__":
    main(sys.argv[1:])
