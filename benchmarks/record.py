"""Record: the figures of a benchmark as a table for people, a file for machines and a picture."""

import importlib
import importlib.util
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contest import Row

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one task.

    Attributes:
        title: What was run, in one line.
        hosts: How many; figures for each host are divided by it.
        rows: Ours first.
    """

    title: str
    hosts: int
    rows: tuple[Row, ...]

    def markdown(self) -> Iterator[str]:
        """As lines of Markdown."""
        yield f"### {self.title}"
        yield ""
        yield (
            "| client | wall s | client CPU ms/host | largest process MiB | all processes MiB | failed "
            "| CPU ours/theirs | wall ours/theirs | memory ours/theirs | runs |"
        )
        yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        for row in self.rows:
            failed = sum(run.failed for run in row.runs)
            each = 1000 * row.median("cpu_s") / self.hosts
            name = f"{row.peer.name} {row.version}" + ("" if row.peer.verifies else " (verifies no host key)")
            yield (
                f"| {name} | {row.median('wall_s'):.2f} | {each:.2f} | {row.median('largest_mib'):.0f} "
                f"| {row.median('tree_mib'):.0f} | {failed} | {ratio(row.ratios('cpu_s'))} "
                f"| {ratio(row.ratios('wall_s'))} | {ratio(row.ratios('tree_mib'))} | {len(row.runs)} |"
            )
        yield ""

    def plain(self) -> dict[str, object]:
        """As plain values: every single run."""
        rows = [
            {
                "client": row.peer.name,
                "version": row.version,
                "verifies_host_keys": row.peer.verifies,
                "runs": [figures(run) for run in row.runs],
                "ours_beside": [figures(run) for run in row.ours],
            }
            for row in self.rows
        ]
        return {"title": self.title, "hosts": self.hosts, "rows": rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one benchmark found.

    Attributes:
        name: Of the benchmark and its files.
        machine: Where it ran.
        tables: Of contests.
        notes: Lines of what else was seen.
        begun: When.
    """

    name: str
    machine: dict[str, object]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    def markdown(self) -> str:
        """The whole page."""
        where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.machine.items())
        lines = [f"## {self.name}, {self.begun:%Y-%m-%d}", "", where, ""]
        for table in self.tables:
            lines += table.markdown()
        lines += [f"* {note}" for note in self.notes]
        return "\n".join(lines).rstrip() + "\n"

    def write(self, folder: Path) -> None:
        """Write ``NAME.md``, ``NAME.json`` and, where matplotlib is installed, ``NAME.png``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.md").write_text(self.markdown())
        plain = {
            "name": self.name,
            "date": f"{self.begun:%Y-%m-%d}",
            "machine": self.machine,
            "tables": [table.plain() for table in self.tables],
            "notes": list(self.notes),
        }
        (folder / f"{self.name}.json").write_text(json.dumps(plain, indent=1) + "\n")
        if not importlib.util.find_spec("matplotlib"):
            print("no picture: pip install '.[bench]' brings matplotlib", file=sys.stderr)
        elif self.tables:
            importlib.import_module("benchmarks.plot").draw(self, folder / f"{self.name}.png")


def figures(run: object) -> dict[str, object]:
    """One run without what it printed."""
    plain = asdict(run)  # type: ignore[call-overload]
    del plain["stdout"]
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in plain.items()}


def ratio(ratios: Sequence[float]) -> str:
    """Median and range."""
    if not ratios:
        return ""
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
