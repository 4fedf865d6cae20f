"""Doctor: what on this machine and in this project would get in the way of a run."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from chargehand.frozen import frozen

Verdict = Literal["ok", "warn", "fail"]
_OLDEST = (3, 11)
_DESCRIPTORS_PER_HOST = 4
_ASK_S = 5.0


@frozen
class Finding:
    """What one look found.

    Attributes:
        about: What was looked at.
        verdict: A ``warn`` may be fine, a ``fail`` will not run.
        found: In one line.
        advice: The next step; empty when there is none to take.
    """

    about: str
    verdict: Verdict
    found: str
    advice: str = ""


def examine_machine(environ: Mapping[str, str], concurrency_level: int, home: Path) -> list[Finding]:
    """Look at everything outside the project; nothing is connected to but the ssh-agent's socket."""
    return [
        _python(),
        *_packages(),
        _lab(),
        _program("ssh", ("ssh", "-V"), "only `doctor` and people use it; runs do without"),
        _program("git", ("git", "--version"), "needed to start jobs by git push"),
        _agent(environ),
        _known_hosts(home),
        _descriptors(concurrency_level),
    ]


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < _OLDEST:
        return Finding(about="python", verdict="fail", found=found, advice="use Python 3.11 or later")
    return Finding(about="python", verdict="ok", found=found)


def _packages() -> list[Finding]:
    """Every package that chargehand needs, with its version."""
    wanted = [line for line in requires("chargehand") or () if "extra ==" not in line]
    return [_package(line) for line in wanted]


def _package(requirement: str) -> Finding:
    name = requirement
    for mark in " ;<>=!~[(":
        name = name.split(mark, 1)[0]
    try:
        return Finding(about=name, verdict="ok", found=f"{version(name)} (wanted: {requirement})")
    except PackageNotFoundError:
        return Finding(
            about=name, verdict="fail", found="not installed", advice=f"pip install '{requirement}'"
        )


def _lab() -> Finding:
    if find_spec("asyncssh"):
        return Finding(about="lab", verdict="ok", found=f"asyncssh {version('asyncssh')}")
    return Finding(
        about="lab",
        verdict="warn",
        found="asyncssh is missing",
        advice="pip install 'chargehand[lab]' for --lab",
    )


def _program(name: str, ask: tuple[str, ...], use: str) -> Finding:
    if shutil.which(name) is None:
        return Finding(about=name, verdict="warn", found="not found", advice=use)
    answer = _ask(ask)
    if answer is None:
        return Finding(about=name, verdict="warn", found="does not answer", advice=f"try `{' '.join(ask)}`")
    said = (answer.stdout + answer.stderr).decode("utf-8", "backslashreplace").strip()
    return Finding(about=name, verdict="ok", found=said.splitlines()[0] if said else "found")


def _agent(environ: Mapping[str, str]) -> Finding:
    if not environ.get("SSH_AUTH_SOCK"):
        return Finding(
            about="ssh-agent",
            verdict="warn",
            found="none (SSH_AUTH_SOCK is not set)",
            advice="fine with a private_key_file; else start one and `ssh-add`",
        )
    answer = _ask(("ssh-add", "-l"))
    if answer is None or answer.returncode == 2:
        return Finding(
            about="ssh-agent",
            verdict="warn",
            found="does not answer",
            advice="unset SSH_AUTH_SOCK or restart it",
        )
    keys = len(answer.stdout.splitlines()) if answer.returncode == 0 else 0
    advice = "" if keys else "`ssh-add` a key"
    return Finding(about="ssh-agent", verdict="ok" if keys else "warn", found=f"keys: {keys}", advice=advice)


def _known_hosts(home: Path) -> Finding:
    path = home / ".ssh" / "known_hosts"
    advice = 'add your hosts with ssh-keyscan from a network you trust, or set host_key_policy = "accept-new"'
    try:
        lines = sum(
            1 for line in path.read_bytes().splitlines() if line.strip() and not line.startswith(b"#")
        )
    except FileNotFoundError:
        return Finding(about="known_hosts", verdict="warn", found=f"no {path}", advice=advice)
    except OSError as error:
        return Finding(
            about="known_hosts", verdict="fail", found=f"{path}: {error.strerror}", advice="make it readable"
        )
    if not lines:
        return Finding(about="known_hosts", verdict="warn", found=f"{path} is empty", advice=advice)
    return Finding(about="known_hosts", verdict="ok", found=f"{path}: keys: {lines}")


def _descriptors(concurrency_level: int) -> Finding:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = concurrency_level * _DESCRIPTORS_PER_HOST + 64
    found = f"{soft} open files, {wanted} wanted for {concurrency_level} hosts at once"
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Finding(about="ulimit -n", verdict="ok", found=found)
    return Finding(
        about="ulimit -n",
        verdict="warn",
        found=found,
        advice=f"ulimit -n {wanted}, or a lower concurrency_level",
    )


def _ask(command: tuple[str, ...]) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(  # noqa: S603 - fixed programs of ours
            command,
            capture_output=True,
            check=False,
            timeout=_ASK_S,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
