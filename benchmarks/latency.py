"""Latency: hosts that are 50 ms away, one and 200 at once; also from connecting to the result in one process.

Needs root: clients and servers are in network namespaces of their own, with a delaying program between them.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from benchmarks.arguments import add_arguments, contest_peers, keep
from benchmarks.contest import Contest, measure
from benchmarks.distance import Distance, distant_fleet
from benchmarks.fleet import Fleet, script_task
from benchmarks.machine import describe
from benchmarks.ours import OURS, PROVIDER
from benchmarks.peer import Peer
from benchmarks.peers.catalogue import ASYNCSSH, FABRIC, LIBRARIES, PARAMIKO, SSH_PYTHON
from benchmarks.peers.openssh import XARGS
from benchmarks.record import Record, Table
from benchmarks.servers import SERVERS

PEERS: dict[str, Peer] = LIBRARIES | {"ssh-curve25519": XARGS["ssh-curve25519"]}
IN_PROCESS = (PROVIDER, SSH_PYTHON, ASYNCSSH, PARAMIKO, FABRIC)
VISITS = 10
"""Hosts visited one after the other by one process; the first is left out, because it also warms up."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks latency", description=__doc__)
    add_arguments(parser, PEERS)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 200], metavar="N")
    parser.add_argument("--round-trip", type=float, default=50.0, metavar="MS")
    parser.add_argument("--server", choices=SERVERS, default="sshd", help="visits need sshd (%(default)s)")
    parser.add_argument("--name", default="latency", help="of the files to write (%(default)s)")
    given = parser.parse_args(argv)
    machine, tables, notes = describe(), [], []
    for count in given.hosts:
        with distant_fleet(count, given.round_trip) as (fleet, distance), _server(given, fleet, distance):
            tables.append(compare(given, fleet, distance))
    if given.server == "sshd":
        with distant_fleet(VISITS, given.round_trip) as (fleet, distance), _server(given, fleet, distance):
            notes = list(visit_alone(given, fleet, distance))
    keep(Record(name=given.name, machine=machine, tables=tuple(tables), notes=tuple(notes)), given)


def _server(given: argparse.Namespace, fleet: Fleet, distance: Distance) -> AbstractContextManager[None]:
    return SERVERS[given.server](fleet, device=distance.device, there=distance.there, here=distance.here)


def compare(given: argparse.Namespace, fleet: Fleet, distance: Distance) -> Table:
    """Whole commands on all hosts at once."""
    count = len(fleet.hosts)
    title = f"script on {count} hosts {given.round_trip:g} ms away, {count} at once, {given.server} server"
    contest = Contest(
        title=title,
        task=script_task(fleet, count),
        ours=OURS,
        peers=contest_peers(given, PEERS, count),
        pairs=given.pairs,
        within=distance.here,
    )
    return Table(title=title, hosts=count, rows=tuple(contest.run()))


def visit_alone(given: argparse.Namespace, fleet: Fleet, distance: Distance) -> Iterator[str]:
    """One host after the other in one process, all clients in turns."""
    seconds: dict[str, list[float]] = {peer.name: [] for peer in IN_PROCESS}
    for _ in range(max(1, given.pairs // 2)):
        for peer in IN_PROCESS:
            run = measure(peer, script_task(fleet, 1), peer.install(), within=distance.here)
            if run.failed:
                raise SystemExit(f"{peer.name}: {run.failed} hosts failed")
            told = next(line for line in run.stdout.splitlines() if line.startswith("seconds "))
            seconds[peer.name] += [float(word) for word in told.split()[2:]]
    for name, taken in seconds.items():
        low, middle, high = (1000 * figure for figure in (min(taken), statistics.median(taken), max(taken)))
        yield (
            f"{name}: {middle:.0f} ms [{low:.0f}-{high:.0f}] from connecting to the result of a script, "
            f"{given.round_trip:g} ms away, in one process, {len(taken)} visits"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
