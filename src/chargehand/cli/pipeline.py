"""Pipeline: what continuous integration is told beside the output: summaries, outputs, secrets to mask.

Nothing here changes how a command ends: what cannot be told is a note.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from chargehand.cli import screen
from chargehand.mask import lines_to_mask
from chargehand.report.forge import Forge, forge_of
from chargehand.report.summary import MOST_BYTES, summary
from chargehand.report.workflow import masks
from chargehand.secret import Secret

_FOLDERS: Final = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
_STDOUT: Final = 1
_STDERR: Final = 2


def sources_root(environ: Mapping[str, str]) -> Path:
    """The folder that reports name files from: the checkout of the pipeline, else the current folder."""
    here = Path.cwd()
    checkouts = (Path(environ[name]).resolve() for name in _FOLDERS if environ.get(name))
    return next((folder for folder in checkouts if here.is_relative_to(folder)), here)


def add_summary(title: str, text: Callable[[], str], environ: Mapping[str, str]) -> None:
    """Add to the page of the workflow run, where ``GITHUB_STEP_SUMMARY`` says."""
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        file = Path(path)
        taken = file.stat().st_size if file.exists() else 0
        _append(file, summary(title, text(), MOST_BYTES - taken))


def set_outputs(values: Mapping[str, int | None], environ: Mapping[str, str]) -> None:
    """Set outputs of the step, where ``GITHUB_OUTPUT`` says; None is an empty one."""
    if path := environ.get("GITHUB_OUTPUT"):
        lines = (f"{name}={'' if value is None else value}\n" for name, value in values.items())
        _append(Path(path), "".join(lines))


def mask(secrets: Iterable[Secret], environ: Mapping[str, str]) -> None:
    """Have GitHub's runner mask secrets in every log of the job.

    To tell it a secret is to print it, so this is done only on a stderr that leads to the runner and
    nowhere else: a file or another program would keep what it is told.
    """
    if forge_of(environ) is not Forge.GITHUB:
        return
    texts = sorted({line for secret in secrets for line in lines_to_mask(secret)}, key=len, reverse=True)
    if not texts:
        return
    if _leads_to_runner():
        os.write(_STDERR, masks(texts).encode("utf-8", "backslashreplace"))
    else:
        screen.note(
            "warning: stderr is redirected, so GitHub is not told which secrets to mask; "
            "in what chargehand prints they are masked all the same"
        )


def _leads_to_runner() -> bool:
    """Whether stderr is a stream of every process between this one and GitHub's runner."""
    try:
        own = os.fstat(_STDERR)
        return all(_is_one_of(own, pid) for pid in _ancestors())
    except OSError:
        return False


def _is_one_of(stream: os.stat_result, pid: int) -> bool:
    """Whether a process has a stream as its stdout or its stderr."""
    return any(
        os.path.samestat(stream, Path(f"/proc/{pid}/fd/{number}").stat()) for number in (_STDOUT, _STDERR)
    )


def _ancestors() -> Iterator[int]:
    """The processes above this one, up to the runner or, in a container, to the outermost.

    Source: proc_pid_stat(5); the name, in parentheses, may hold anything.
    """
    pid = os.getppid()
    while pid:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
        if name.endswith("(Runner.Worker"):
            return
        yield pid
        pid = int(rest.split()[1])


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        screen.note(f"warning: {file}: {error.strerror}")
