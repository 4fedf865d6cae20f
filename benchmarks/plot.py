"""A picture of a record: CPU and wall time of every client, the fewest seconds on top."""

from pathlib import Path

from benchmarks.record import Record, Row
from matplotlib.figure import Figure

FIGURES = (("cpu_s", "client CPU, s"), ("wall_s", "wall, s"), ("tree_mib", "memory of all processes, MiB"))
OURS, THEIRS = "tab:orange", "tab:blue"


def draw(record: Record, path: Path) -> None:
    """Draw one line of bars for each table; whiskers reach from the least to the most."""
    height = sum(0.3 * len(table.rows) + 1.2 for table in record.tables)
    figure = Figure(figsize=(14, height), layout="constrained")
    figure.suptitle(f"{record.name}, {record.begun:%Y-%m-%d}: medians, whiskers from least to most")
    ratios = [len(table.rows) + 2 for table in record.tables]
    grid = figure.subplots(len(record.tables), len(FIGURES), squeeze=False, height_ratios=ratios)
    for axes, table in zip(grid, record.tables, strict=True):
        rows = sorted(table.rows, key=lambda row: row.median("cpu_s"), reverse=True)
        for axis, (name, label) in zip(axes, FIGURES, strict=True):
            axis.barh(
                [row.peer.name for row in rows],
                [row.median(name) for row in rows],
                xerr=list(zip(*(reach(row, name) for row in rows), strict=True)),
                color=[OURS if row.peer.library == "chargehand" else THEIRS for row in rows],
            )
            axis.set_xlabel(label)
            axis.set_title(table.title, fontsize="small")
    figure.savefig(path, dpi=100)


def reach(row: Row, figure: str) -> tuple[float, float]:
    """How far a figure goes below and above its median."""
    values = [getattr(run, figure) for run in row.runs]
    return row.median(figure) - min(values), max(values) - row.median(figure)
