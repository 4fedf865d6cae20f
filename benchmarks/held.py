"""Held: 1,000 connections at once, each of which only waits, for 25 seconds."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.arguments import add_arguments, contest_peers, fleet_of, keep
from benchmarks.contest import Contest
from benchmarks.fleet import Task
from benchmarks.machine import describe
from benchmarks.ours import OURS
from benchmarks.peers.catalogue import LIBRARIES
from benchmarks.record import Record, Table
from benchmarks.servers import cheap_server


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks held", description=__doc__)
    add_arguments(parser, LIBRARIES)
    parser.add_argument("--hosts", type=int, default=1000, metavar="N")
    parser.add_argument("--seconds", type=int, default=25)
    given = parser.parse_args(argv)
    machine = describe()
    title = f"{given.hosts} connections held for {given.seconds} s, cheap server"
    with fleet_of(given.hosts) as fleet, cheap_server(fleet):
        contest = Contest(
            title=title,
            task=Task(fleet=fleet, level=given.hosts, command=f"sleep {given.seconds}"),
            ours=OURS,
            peers=contest_peers(given, LIBRARIES, given.hosts),
            pairs=given.pairs,
            timeout_s=given.seconds + 240.0,
        )
        table = Table(title=title, hosts=given.hosts, rows=tuple(contest.run()))
    keep(Record(name="held", machine=machine, tables=(table,)), given)


if __name__ == "__main__":
    main(sys.argv[1:])
