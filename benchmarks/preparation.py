"""What happens before the first connection: python -m benchmarks preparation [--pairs N] [--only WORD].

Whole commands in projects that are written for it, in turns with Ansible's where it has one that does the
same; and searches over 100,000 hosts in one process that has read them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import fleets
from benchmarks.contest import MEASURING, PASSED
from benchmarks.machine import describe
from benchmarks.peers.ansible import ANSIBLE
from benchmarks.record import RESULTS, Record

PROGRAM = Path(sys.executable).with_name("chargehand")
SEARCHES = (
    "hostgroup = web and not hostgroup = berlin",
    "params.rack = r7 or rack9",
    "name ~ web*berlin*",
    "facts.default_ipv4.address = 10.0.1.1",
    "os = Debian and os_major >= 12",
    "berlin",
    "reported.ram > 4000 and has params.owner",
    "name ^ (web000000.berlin.example.com, db1)",
)
"""One of each kind: groups, variables, patterns, facts, numbers, free text, names."""
SEARCH = """
import json, sys, time
from chargehand import Project
inventory = Project.load(".").inventory
for query in sys.argv[1:]:
    begun, cpu = time.perf_counter(), time.process_time()
    found = inventory.search(query)
    took = time.perf_counter() - begun, time.process_time() - cpu
    print(json.dumps([query, len(found), *took]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One command, and what it does the same as.

    Attributes:
        title: One line.
        project: The name of one of `PROJECTS`.
        words: Ours, after the name of the program.
        peer: Theirs; none where they have no such command.
        target: What we want.
    """

    title: str
    project: str
    words: tuple[str, ...]
    peer: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one command took: seconds, and MiB of its largest process and of its whole tree."""

    wall_s: float
    cpu_s: float
    largest_mib: float
    tree_mib: float


PROJECTS = {
    "small": {"hosts": 10, "jobs": 1},
    "jobs": {"hosts": 1_000, "jobs": 1_000},
    "ini": {"hosts": 10_000, "files": 1_000},
    "yaml": {"hosts": 10_000, "files": 1_000},
    "ranges": {"hosts": 10_000, "files": 1_000},
    "huge": {"hosts": 100_000},
}
"""How many hosts, how many of them have a file in ``host_vars/``, and how many job files there are."""
LIST = ("ansible-inventory", "-i", "inventory", "--list")
CASES = (
    Case(title="--help", project="small", words=("--help",), peer=("ansible", "--help"), target="< 1/4"),
    *(
        Case(
            title=f"hosts with all their variables: {form}",
            project=project,
            words=("hosts", "-o", "json"),
            peer=LIST,
            target="< 1/10",
        )
        for project, form in (
            ("ini", "10,000 in INI, facts in line"),
            ("yaml", "10,000 in YAML"),
            ("ranges", "10,000 by ranges in INI"),
        )
    ),
    Case(
        title="validate one file, 10 hosts",
        project="small",
        words=("validate", "playbooks/job0000.yml"),
        target="< 1 s",
    ),
    Case(title="validate 1,000 files, 1,000 hosts", project="jobs", words=("validate",), target="< 20 s"),
    Case(
        title="the same, every script of every host",
        project="jobs",
        words=("validate", "--every-host"),
    ),
    Case(title="plan, 10,000 hosts", project="ini", words=("plan", "playbooks/job0000.yml")),
    Case(
        title="render, 10,000 hosts, each its own script",
        project="ini",
        words=("render", "playbooks/unlike.yml", "-o", "json"),
    ),
    Case(
        title="a search over 100,000 hosts, reading them too",
        project="huge",
        words=("hosts", "hostgroup = web and location = berlin"),
    ),
)


def main(arguments: Sequence[str]) -> None:
    """Write the projects, measure, keep."""
    parser = argparse.ArgumentParser(
        prog="benchmarks preparation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, default=10, help="runs of each side (%(default)s)")
    parser.add_argument("--slow-pairs", type=int, default=3, help="of ansible-inventory (%(default)s)")
    parser.add_argument("--only", default="", help="cases whose title holds this")
    parser.add_argument("--folder", type=Path, help="keep the projects here, and use them again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write into")
    parser.add_argument("--dry", action="store_true", help="print the tables, write nothing")
    given = parser.parse_args(arguments)
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="chargehand-benchmark-") as scratch:
        root = given.folder or Path(scratch)
        peer = ANSIBLE["ansible-cold"]
        python = peer.install()
        commands = Commands(
            version=peer.version(python),
            rows=tuple(
                measure(case, root, python, given.slow_pairs if case.peer == LIST else given.pairs)
                for case in CASES
                if given.only in case.title
            ),
        )
        searches = Searches(rows=tuple(search(root, given.pairs)) if given.only in "searches" else ())
    record = Record(name="preparation", machine=machine, tables=())
    page = "\n".join(
        [record.markdown(), *commands.markdown(), *(searches.markdown() if searches.rows else ())]
    )
    print(page)
    if not given.dry:
        plain = {"name": record.name, "date": f"{record.begun:%Y-%m-%d}", "machine": machine}
        plain |= {"tables": [commands.plain(), searches.plain()]}
        given.results.mkdir(parents=True, exist_ok=True)
        (given.results / "preparation.md").write_text(page.rstrip() + "\n")
        (given.results / "preparation.json").write_text(json.dumps(plain, indent=1) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A case with its runs; ours and theirs stand in pairs."""

    case: Case
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What whole commands took."""

    version: str
    rows: tuple[Row, ...]

    def markdown(self) -> Sequence[str]:
        """As lines of Markdown: ours, then the peer's."""
        lines = [f"### Whole commands; the peer is ansible-core {self.version}", ""]
        lines.append(
            "| command | wall s | CPU s | largest process MiB | wall ours/theirs | CPU ours/theirs "
            "| target | runs |"
        )
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |"]
        for row in self.rows:
            walls, cpus = (ratios(row, figure) for figure in ("wall_s", "cpu_s"))
            told = f"{walls} | {cpus} | {row.case.target}"
            lines.append(f"| {row.case.title} | {shown(row.ours)} | {told} | {len(row.ours)} |")
            if row.theirs:
                name = " ".join(row.case.peer)
                lines.append(f"| `{name}` | {shown(row.theirs)} | | | | {len(row.theirs)} |")
        return [*lines, ""]

    def plain(self) -> dict[str, object]:
        """As plain values: every single run."""
        return {"title": "commands", "ansible_core": self.version, "rows": [asdict(row) for row in self.rows]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One search over hosts that are read, again and again."""

    query: str
    hosts: int
    wall_s: tuple[float, ...]
    cpu_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searches:
    """What searches alone took."""

    rows: tuple[Query, ...]

    def markdown(self) -> Sequence[str]:
        """As lines of Markdown."""
        lines = ["### Searches over 100,000 hosts that are read; target < 1 s", ""]
        lines += ["| query | found | wall s | CPU s | runs |", "| --- | ---: | ---: | ---: | ---: |"]
        for row in self.rows:
            walls, cpus = middle(row.wall_s), middle(row.cpu_s)
            lines.append(f"| `{row.query}` | {row.hosts} | {walls} | {cpus} | {len(row.wall_s)} |")
        return [*lines, ""]

    def plain(self) -> dict[str, object]:
        """As plain values: every single search."""
        return {"title": "searches", "rows": [asdict(row) for row in self.rows]}


def middle(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


def shown(runs: Sequence[Run]) -> str:
    """Wall and processor time, and memory."""
    walls, cpus = middle([run.wall_s for run in runs]), middle([run.cpu_s for run in runs])
    return f"{walls} | {cpus} | {max(run.largest_mib for run in runs):.0f}"


def ratios(row: Row, figure: str) -> str:
    """Ours divided by theirs, pair by pair."""
    if not row.theirs:
        return ""
    pairs = zip(row.ours, row.theirs, strict=True)
    found = [getattr(ours, figure) / getattr(theirs, figure) for ours, theirs in pairs]
    return f"{statistics.median(found):.3f} [{min(found):.3f}-{max(found):.3f}]"


def measure(case: Case, root: Path, python: Path, pairs: int) -> Row:
    """Ours and theirs in turns; who is first alternates."""
    folder = project(root, case.project)
    sides = [(str(PROGRAM), *case.words)]
    sides += [(str(python.with_name(case.peer[0])), *case.peer[1:])] if case.peer else []
    runs: list[list[Run]] = [[], []]
    for number in range(pairs):
        for side in range(len(sides)) if number % 2 == 0 else reversed(range(len(sides))):
            run = run_once(sides[side], folder)
            runs[side].append(run)
            took = f"{run.wall_s:8.2f} s  {run.cpu_s:8.2f} s CPU  {run.largest_mib:5.0f} MiB"
            print(f"{case.title}  {Path(sides[side][0]).name:18}{took}", file=sys.stderr, flush=True)
    return Row(case=case, ours=tuple(runs[0]), theirs=tuple(runs[1]))


def run_once(words: Sequence[str], folder: Path) -> Run:
    """Run a command to its end, which has to be a good one."""
    with tempfile.TemporaryDirectory(prefix="chargehand-benchmark-") as scratch:
        report = Path(scratch) / "report.json"
        wish = {
            "command": list(words),
            "before": None,
            "environ": {name: os.environ[name] for name in PASSED if name in os.environ},
            "stdin": None,
            "folder": str(folder),
            "timeout_s": 900.0,
            "report": str(report),
        }
        (Path(scratch) / "wish.json").write_text(json.dumps(wish))
        words = [sys.executable, "-I", "-S", str(MEASURING), str(Path(scratch) / "wish.json")]
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        found = json.loads(report.read_text())
    if found.pop("code"):
        raise SystemExit(f"{' '.join(wish['command'])} did not end well in {folder}")
    return Run(**found)


def search(root: Path, times: int) -> list[Query]:
    """Every query so often in one process, one after the other."""
    words = [sys.executable, "-c", SEARCH, *SEARCHES * times]
    done = subprocess.run(words, cwd=project(root, "huge"), check=True, capture_output=True, text=True)
    took = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        Query(
            query=query,
            hosts=next(found for asked, found, *_ in took if asked == query),
            wall_s=tuple(wall for asked, _, wall, _ in took if asked == query),
            cpu_s=tuple(cpu for asked, _, _, cpu in took if asked == query),
        )
        for query in SEARCHES
    ]


def project(root: Path, name: str) -> Path:
    """The folder of a project, written when it is first asked for."""
    folder = root / name
    if not folder.exists():
        wanted = PROJECTS[name]
        write = {"yaml": fleets.write_yaml, "ranges": fleets.write_ranges}.get(name, fleets.write_ini)
        write(folder, wanted["hosts"], host_files=wanted.get("files", 0))
        fleets.write_jobs(folder, wanted.get("jobs", 1))
        fleets.write_unlike_job(folder)
    return folder
