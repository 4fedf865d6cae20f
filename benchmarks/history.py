"""How long commands take in a long history: python -m benchmarks history [--store postgresql://...].

Fills a database with 100,000 invocations and 1,000,000 results of hosts, then runs whole commands as people
do, each ten times, and prints their median and longest time, that of the processor, and the most memory.
Nothing heavy is imported here: a new process is counted with the memory of the one that starts it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import describe

PROGRAM = str(Path(sys.executable).with_name("chargehand"))
COMMANDS = (
    ("list",),
    ("list", "-o", "json"),
    ("list", 'status = failed and started_at > "2 days ago" and host = web0001'),
    ("list", "host = web0001", "-o", "json"),
    ("list", "host ~ web and not status = failed"),
    ("list", "host_status = unreachable"),
    ("list", "host_status.failed = web0001 or recurring_logic.purpose = nightly"),
    ("list", "nginx"),
    ("list", "nothing-is-called-that"),
    ("list", 'description ~ "straße" and user = ann'),
    ("list", "targeted_host_id = 17"),
    ("show", "last"),
    ("show", "50000", "-o", "json"),
    ("schedule", "list"),
)  # fmt: skip


class Run(NamedTuple):
    """What one command took."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    code: int


def main(argv: Sequence[str] | None = None) -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", default="", help="URL of an empty PostgreSQL database; else a SQLite file")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="keep the project here, and use it again")
    parser.add_argument(
        "--results", type=Path, help="folder to write into; else the figures are only printed"
    )
    given = parser.parse_args(argv)
    machine = {"date": time.strftime("%Y-%m-%d")} | describe()
    with tempfile.TemporaryDirectory(prefix="chargehand-benchmark-") as scratch:
        root = given.folder or Path(scratch)
        (root / "playbooks").mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "benchmarks.filling", root, given.store], check=True)
        environ = os.environ | ({"CHARGEHAND_STORE": given.store} if given.store else {})
        print(f"{'median s':>8}  {'worst s':>8}  {'cpu s':>6}  {'MB':>4}  code  command")
        everything: dict[str, list[Run]] = {}
        for words in COMMANDS:
            runs = [measure(words, root, environ) for _ in range(given.times)]
            everything[" ".join(words)] = runs
            median = statistics.median(run.seconds for run in runs)
            cpu = statistics.median(run.cpu_seconds for run in runs)
            worst, memory = max(run.seconds for run in runs), max(run.megabytes for run in runs)
            numbers = f"{median:8.3f}  {worst:8.3f}  {cpu:6.3f}  {memory:4.0f}  {runs[0].code:4}"
            print(f"{numbers}  {' '.join(words)}", flush=True)
    if given.results:
        write(given.results, everything, machine, "PostgreSQL" if given.store else "SQLite")


def write(
    folder: Path, everything: Mapping[str, Sequence[Run]], machine: Mapping[str, object], database: str
) -> None:
    """Write ``history.md`` and ``history.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"## history, {machine['date']}",
        "",
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items() if name != "date"),
        "",
        f"100,000 invocations, 1,000,000 results of hosts, {database}; whole commands: median (longest).",
        "",
        "| command | runs | wall s | processor s | MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for command, runs in everything.items():
        wall = statistics.median(run.seconds for run in runs)
        worst = max(run.seconds for run in runs)
        cpu = statistics.median(run.cpu_seconds for run in runs)
        memory = max(run.megabytes for run in runs)
        lines.append(f"| `{command}` | {len(runs)} | {wall:.3f} ({worst:.3f}) | {cpu:.3f} | {memory:.0f} |")
    (folder / "history.md").write_text("\n".join(lines) + "\n")
    plain = {command: [run._asdict() for run in runs] for command, runs in everything.items()}
    (folder / "history.json").write_text(json.dumps({"machine": machine, "commands": plain}, indent=1) + "\n")


def measure(words: Sequence[str], root: Path, environ: Mapping[str, str]) -> Run:
    """Run a command to its end."""
    begun = time.perf_counter()
    program = subprocess.Popen(
        [PROGRAM, *words], cwd=root, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, program.returncode)


if __name__ == "__main__":
    main()
