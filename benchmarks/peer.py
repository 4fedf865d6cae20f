"""Peer: one way of running a task on many hosts - ours or another's - and the venv it lives in."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet import Task

PROGRAMS = Path(__file__).parent / "peers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chargehand-benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a peer is started for a task.

    Attributes:
        words: The command.
        environ: Variables of its own.
        stdin: A file, or nothing.
        folder: Where to start it; a new one unless said.
        before: A command that is run first and not measured, in the same tree of processes.
    """

    words: list[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    stdin: Path | None = None
    folder: Path | None = None
    before: list[str] | None = None


def count_told(_task: Task, stdout: str) -> int:
    """Hosts that did what they should, as the programs in `peers` count them."""
    found = re.findall(r"^(\d+) good$", stdout, re.MULTILINE)
    return int(found[-1]) if found else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way of running a task.

    Attributes:
        name: As tables show it.
        library: The package whose version is told.
        packages: Requirements of its venv; none for a program of this machine.
        start: Writes the files it needs into a folder and says how it is started; given the venv's Python.
        count_good: How many hosts did what they should, from what it printed.
        verifies: Whether host keys are verified.
        slow: Whether it takes so long that it is left out of large fleets unless it is named.
    """

    name: str
    library: str
    start: Callable[[Task, Path, Path], Start]
    packages: tuple[str, ...] = ()
    count_good: Callable[[Task, str], int] = count_told
    verifies: bool = True
    slow: bool = False

    def install(self) -> Path:
        """Make its venv unless it is there; returns its Python."""
        if not self.packages:
            return Path(sys.executable)
        folder = CACHE / re.sub(r"[^\w.-]+", "_", "+".join(self.packages))
        python = folder / "bin" / "python"
        done = folder / "installed"
        if not done.exists():
            print(f"installing {', '.join(self.packages)}", file=sys.stderr)
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "-qq", *self.packages], check=True)
            done.touch()
        return python

    def version(self, python: Path) -> str:
        """Of its library, as its venv or this machine has it."""
        if not self.packages and self.library != "chargehand":
            words = ["dpkg-query", "-W", "-f", "${Version}", self.library]
        else:
            program = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
            words = [str(python), "-c", program, self.library]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "?"


def start_program(name: str) -> Callable[[Task, Path, Path], Start]:
    """How a program of `peers` is started."""

    def start(task: Task, folder: Path, python: Path) -> Start:
        wish = folder / "task.json"
        task.write(wish)
        return Start(words=[str(python), str(PROGRAMS / f"with_{name}.py"), str(wish)])

    return start
