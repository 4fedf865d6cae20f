"""What every benchmark is told on its command line, and what follows from it."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fleet import Fleet, addresses
from benchmarks.peer import Peer
from benchmarks.record import RESULTS, Record
from benchmarks.servers import free_port

MANY = 200
"""On more hosts than these a slow peer runs only when it is named."""


def add_arguments(parser: argparse.ArgumentParser, peers: Mapping[str, Peer], *, pairs: int = 10) -> None:
    """Add how often, against whom, and where to write."""
    parser.add_argument(
        "--pairs", type=int, default=pairs, help="runs of ours and of each peer (%(default)s)"
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=[*peers, "all"],
        metavar="PEER",
        help=f"of {', '.join(peers)}; all but the slow ones on more than {MANY} hosts unless named",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write into")
    parser.add_argument("--dry", action="store_true", help="print the tables, write nothing")


def contest_peers(given: argparse.Namespace, peers: Mapping[str, Peer], hosts: int) -> tuple[Peer, ...]:
    """Who runs against ours."""
    if given.peers is None:
        return tuple(peer for peer in peers.values() if hosts <= MANY or not peer.slow)
    if "all" in given.peers:
        return tuple(peers.values())
    return tuple(peers[name] for name in given.peers)


def keep(record: Record, given: argparse.Namespace) -> None:
    """Print the record, and write it down unless told not to."""
    print(record.markdown())
    if not given.dry:
        record.write(given.results)


@contextmanager
def fleet_of(count: int) -> Iterator[Fleet]:
    """A fleet on loopback, with a folder that goes in the end."""
    with tempfile.TemporaryDirectory(prefix="chargehand-fleet-") as scratch:
        fleet = Fleet(folder=Path(scratch), hosts=tuple(addresses(count)), port=free_port())
        fleet.write()
        yield fleet
