"""Scale: 10,000 hosts beside 1,000, ours alone: processor time and memory for each host should not grow.

Nothing runs on the hosts: ten thousand of them stand on the client's own machine.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.arguments import add_arguments, fleet_of, keep
from benchmarks.contest import Row, Run, measure, say
from benchmarks.fleet import true_task
from benchmarks.machine import describe
from benchmarks.ours import OURS
from benchmarks.record import Record, Table
from benchmarks.servers import answering_server


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    add_arguments(parser, {}, pairs=3)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 10_000], metavar="N")
    parser.add_argument("--level", type=int, default=200, help="hosts at once (%(default)s)")
    given = parser.parse_args(argv)
    machine = describe()
    runs: dict[int, list[Run]] = {count: [] for count in given.hosts}
    for number in range(given.pairs):
        for count in given.hosts:
            with fleet_of(count) as fleet, answering_server(fleet):
                run = measure(OURS, true_task(fleet, given.level), OURS.install(), timeout_s=3600.0)
                say(f"{count} hosts  {number + 1}/{given.pairs}", OURS, run, count)
                runs[count].append(run)
    version = OURS.version(OURS.install())
    tables = tuple(
        Table(
            title=f"true on {count} hosts, {given.level} at once, answering server",
            hosts=count,
            rows=(Row(peer=OURS, version=version, runs=tuple(runs[count])),),
        )
        for count in given.hosts
    )
    notes = tuple(
        f"{count} hosts: {1024 * max(run.tree_mib for run in some) / count:.0f} KiB for each at most"
        for count, some in runs.items()
    )
    keep(Record(name="scale", machine=machine, tables=tables, notes=notes), given)


if __name__ == "__main__":
    main(sys.argv[1:])
