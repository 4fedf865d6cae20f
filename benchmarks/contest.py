"""A contest: ours and each peer in turns, so that what else the machine does meets both of a pair alike."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet import Task
from benchmarks.peer import Peer

MEASURING = Path(__file__).with_name("measuring.py")
PASSED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of one command took.

    Attributes:
        wall_s: From its start to its end.
        cpu_s: Of the processor, by its whole tree of processes.
        largest_mib: The most memory of its largest process.
        tree_mib: The largest sum seen over its whole tree.
        failed: Hosts that did not do what they should.
        code: Its exit code; None when it was ended after its deadline.
        stdout: What it printed.
    """

    wall_s: float
    cpu_s: float
    largest_mib: float
    tree_mib: float
    failed: int
    code: int | None
    stdout: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One client's runs, and the runs of ours that stand beside them; the latter empty for ours."""

    peer: Peer
    version: str
    runs: tuple[Run, ...]
    ours: tuple[Run, ...] = ()

    def median(self, figure: str) -> float:
        """The median of one figure."""
        return statistics.median(getattr(run, figure) for run in self.runs)

    def ratios(self, figure: str) -> list[float]:
        """Ours divided by the peer's, pair by pair; none for ours."""
        pairs = zip(self.ours, self.runs, strict=True) if self.ours else ()
        return [getattr(ours, figure) / max(getattr(run, figure), 1e-9) for ours, run in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One task, ours, and all peers.

    Attributes:
        title: One line.
        task: What is run.
        ours: The first of each pair.
        peers: The second, one after the other; at least one.
        pairs: How many of each.
        within: Words before every command, such as those that enter a network namespace.
        timeout_s: For one run.
    """

    title: str
    task: Task
    ours: Peer
    peers: tuple[Peer, ...]
    pairs: int
    within: tuple[str, ...] = ()
    timeout_s: float = 900.0

    def run(self) -> list[Row]:
        """Run all pairs; the first of a pair is ours in one round and the peer in the next."""
        pythons = {peer.name: peer.install() for peer in (self.ours, *self.peers)}
        ours: dict[str, list[Run]] = {peer.name: [] for peer in self.peers}
        theirs: dict[str, list[Run]] = {peer.name: [] for peer in self.peers}
        for number in range(self.pairs):
            for peer in self.peers:
                for one in (self.ours, peer) if number % 2 == 0 else (peer, self.ours):
                    run = measure(
                        one, self.task, pythons[one.name], within=self.within, timeout_s=self.timeout_s
                    )
                    (theirs if one is peer else ours)[peer.name].append(run)
                    say(f"{self.title}  {number + 1}/{self.pairs}", one, run, len(self.task.fleet.hosts))
        everything = tuple(run for runs in ours.values() for run in runs)
        first = Row(peer=self.ours, version=self.ours.version(pythons[self.ours.name]), runs=everything)
        return [first, *self._rows(pythons, ours, theirs)]

    def _rows(
        self, pythons: Mapping[str, Path], ours: Mapping[str, list[Run]], theirs: Mapping[str, list[Run]]
    ) -> Iterator[Row]:
        for peer in self.peers:
            yield Row(
                peer=peer,
                version=peer.version(pythons[peer.name]),
                runs=tuple(theirs[peer.name]),
                ours=tuple(ours[peer.name]),
            )


def say(title: str, peer: Peer, run: Run, hosts: int) -> None:
    """Tell whoever waits how one run went."""
    each = 1000 * run.cpu_s / hosts
    words = f"{run.wall_s:8.2f} s  {each:8.2f} ms/host  {run.tree_mib:6.0f} MiB  {run.failed} failed"
    print(f"{title}  {peer.name:26}{words}", file=sys.stderr, flush=True)


def measure(
    peer: Peer, task: Task, python: Path, *, within: Sequence[str] = (), timeout_s: float = 900.0
) -> Run:
    """Run a task once, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="chargehand-benchmark-") as scratch:
        folder = Path(scratch)
        start = peer.start(task, folder, python)
        wish = {
            "command": [*within, *start.words],
            "before": [*within, *start.before] if start.before else None,
            "environ": {name: os.environ[name] for name in PASSED if name in os.environ} | start.environ,
            "stdin": str(start.stdin) if start.stdin else None,
            "folder": str(start.folder or folder),
            "timeout_s": timeout_s,
            "report": str(folder / "report.json"),
        }
        (folder / "wish.json").write_text(json.dumps(wish))
        with (folder / "stderr").open("w+b") as complaints:
            program = subprocess.run(
                [sys.executable, "-I", "-S", str(MEASURING), str(folder / "wish.json")],
                stdout=subprocess.PIPE,
                stderr=complaints,
                check=False,
            )
            complaints.seek(0)
            complaint = complaints.read().decode(errors="replace")
        if program.returncode:
            raise SystemExit(f"{peer.name} could not be measured: {complaint}")
        report = json.loads((folder / "report.json").read_text())
        stdout = program.stdout.decode(errors="replace")
    hosts = len(task.fleet.hosts)
    failed = hosts - peer.count_good(task, stdout)
    if report["code"] != 0 and not failed:
        failed = hosts  # some did, and nobody says how many
    if failed:
        print(f"{peer.name}: {complaint.strip()[-400:]}", file=sys.stderr)
    return Run(**report, failed=failed, stdout=stdout)
