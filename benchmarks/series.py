"""Series: five jobs in a row on the same 50 hosts in one command, against five plays of Ansible, warm."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from benchmarks.arguments import add_arguments, contest_peers, fleet_of, keep
from benchmarks.contest import Contest
from benchmarks.fleet import script_task
from benchmarks.machine import describe
from benchmarks.ours import OURS, count_series, start_series
from benchmarks.peers import ansible
from benchmarks.record import Record, Table
from benchmarks.servers import SERVERS


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    rival = ansible.ANSIBLE["ansible-warm-curve25519"]
    peers = {"ansible": rival}
    parser = argparse.ArgumentParser(prog="python -m benchmarks series", description=__doc__)
    add_arguments(parser, peers)
    parser.add_argument("--hosts", type=int, default=50, metavar="N")
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--server", choices=SERVERS, default="sshd")
    given = parser.parse_args(argv)
    peers["ansible"] = dataclasses.replace(
        rival, start=ansible.start_series(given.jobs), count_good=ansible.count_series(given.jobs)
    )
    ours = dataclasses.replace(OURS, start=start_series(given.jobs), count_good=count_series(given.jobs))
    machine = describe()
    title = f"{given.jobs} scripts in a row on {given.hosts} hosts, all at once, {given.server} server"
    with fleet_of(given.hosts) as fleet, SERVERS[given.server](fleet):
        contest = Contest(
            title=title,
            task=script_task(fleet, given.hosts),
            ours=ours,
            peers=contest_peers(given, peers, given.hosts),
            pairs=given.pairs,
        )
        table = Table(title=title, hosts=given.hosts, rows=tuple(contest.run()))
    keep(Record(name="series", machine=machine, tables=(table,)), given)


if __name__ == "__main__":
    main(sys.argv[1:])
