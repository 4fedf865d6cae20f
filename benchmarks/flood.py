"""Flood: 1 GB of output from 10 hosts at once; what it takes to hear it all."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.arguments import add_arguments, contest_peers, fleet_of, keep
from benchmarks.contest import Contest
from benchmarks.fleet import Task
from benchmarks.machine import available_gib, describe
from benchmarks.ours import OURS
from benchmarks.peer import Peer
from benchmarks.peers.ansible import ANSIBLE
from benchmarks.peers.catalogue import ASYNCSSH, PARALLEL_SSH
from benchmarks.record import Record, Table
from benchmarks.servers import SERVERS

PEERS: dict[str, Peer] = {
    "parallel-ssh": PARALLEL_SSH,
    "asyncssh": ASYNCSSH,
    "ansible": ANSIBLE["ansible-cold-curve25519"],
}
LINE = "0123456789" * 6
NEEDED = {"parallel-ssh": 4.0, "asyncssh": 4.0, "ansible": 16.0}
"""Memory for each GB of output, in GiB and with a margin: peers keep all of it, some several times."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks flood", description=__doc__)
    add_arguments(parser, PEERS, pairs=5)
    parser.add_argument("--hosts", type=int, default=10, metavar="N")
    parser.add_argument("--megabytes", type=int, default=1000, help="of all hosts together (%(default)s)")
    parser.add_argument("--server", choices=SERVERS, default="sshd")
    given = parser.parse_args(argv)
    room = available_gib()
    fitting = {name: peer for name, peer in PEERS.items() if NEEDED[name] * given.megabytes / 1000 < room}
    notes = tuple(
        f"{peer.name} was left out: it may need {NEEDED[name] * given.megabytes / 1000:.1f} GiB, "
        f"{room:.1f} GiB were free"
        for name, peer in PEERS.items()
        if name not in fitting
    )
    if given.peers:
        given.peers = [name for name in given.peers if name in {*fitting, "all"}]
    size = given.megabytes * 1_000_000 // given.hosts
    machine = describe()
    title = f"{given.megabytes} MB of output from {given.hosts} hosts at once, {given.server} server"
    with fleet_of(given.hosts) as fleet, SERVERS[given.server](fleet):
        size -= size % (len(LINE) + 1)
        command = f"yes {LINE} | head -c {size}"
        contest = Contest(
            title=title,
            task=Task(fleet=fleet, level=given.hosts, command=command, stdout=None, stdout_bytes=size),
            ours=OURS,
            peers=contest_peers(given, fitting, given.hosts),
            pairs=given.pairs,
        )
        table = Table(title=title, hosts=given.hosts, rows=tuple(contest.run()))
    keep(Record(name="flood", machine=machine, tables=(table,), notes=notes), given)


if __name__ == "__main__":
    main(sys.argv[1:])
