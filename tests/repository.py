"""A user's repository on disk, and the command line run in it as its user would run it."""

import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sshd import Sshd, wait_until
from warm import Command, run_command

PROGRAM = str(Path(sys.executable).with_name("chargehand"))
DEADLINE_S = 100
OWN_NAME = pwd.getpwuid(os.geteuid()).pw_name
LINES = ("SetEnv SHLVL=2",)
"""For sshd: a bash that is not the outermost leaves the .bashrc of whoever runs the tests alone."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Its stdout as JSON."""
        return json.loads(self.stdout)

    @property
    def results(self) -> dict[str, Any]:
        """The results of a run, by host, in the order in which they are told."""
        return {result["host"]: result for result in self.document["results"]}

    @property
    def statuses(self) -> dict[str, str]:
        """How every host ended."""
        return {host: result["status"] for host, result in self.results.items()}


class Repository:
    """Job files, an inventory and a chargehand.toml that depends on nothing of whoever runs the tests.

    Attributes:
        root: Its folder.
        work: Where hosts put scripts; empty when everything was cleaned up.
        environ: The environment its commands get.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self._started = 0
        self.environ: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "LANG": "C.UTF-8",
        }
        for folder in (self.root, self.root / "playbooks", self.work):
            folder.mkdir()
        self.settings()

    def settings(self, **changes: object) -> None:
        """Write chargehand.toml: no agent, no ssh_config, scripts below `work`."""
        values: dict[str, object] = {
            "inventory": ["inventory.json"],
            "agent": False,
            "ssh_config_file": "/dev/null",
            "effective_user": OWN_NAME,
            "remote_working_dir": str(self.work),
        } | changes
        lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
        (self.root / "chargehand.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def hosts(self, variables: Mapping[str, Mapping[str, object]]) -> None:
        """Write the inventory: hosts and their variables."""
        path = self.root / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": variables}}), encoding="utf-8")

    def job(self, script: str = "true", *, name: str = "job", query: str = "*", **own: Any) -> Path:
        """Write a job file; `own` keys stand outside of the job invocation, `parameters` inside."""
        return self.jobs(job(script, name=name, query=query, **own), name=name)

    def jobs(self, content: object, *, name: str = "job") -> Path:
        """Write a job file of any content."""
        path = self.root / "playbooks" / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return path

    def chargehand(
        self,
        *words: str | Path,
        environ: Mapping[str, str] | None = None,
        stdin: str | None = None,
        program: bool = False,
    ) -> Answer:
        """Run a command to its end; as a `program` when others are to see what it was started with."""
        environ = {**self.environ, **(environ or {})}
        if not (program or "LD_PRELOAD" in environ):
            code, stdout, stderr = run_command(
                [*map(str, words)],
                folder=self.root,
                environ=environ,
                stdin=stdin or "",
                timeout_s=DEADLINE_S,
            )
            assert "Traceback" not in stderr, stderr
            return Answer(code=code, stdout=stdout, stderr=stderr)
        done = subprocess.run(
            [PROGRAM, *map(str, words)],
            cwd=self.root,
            env=environ,
            input=stdin or "",
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE_S,
            check=False,
            start_new_session=True,  # no terminal to ask at
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def run(self, file: Path, *words: str | Path, **more: Any) -> Answer:
        """Run a job file and ask for JSON."""
        return self.chargehand("run", file, *words, "-o", "json", **more)

    def render(self, file: Path, host: str) -> bytes:
        """What `render` prints for a host, byte for byte."""
        done = subprocess.run(
            [PROGRAM, "render", str(file), "-l", host],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=True,
        )
        return done.stdout

    def start(self, *words: str | Path) -> "Running":
        """Start a command; others may be running."""
        self._started += 1
        name = "" if self._started == 1 else f"-{self._started}"
        return Running([*map(str, words)], self.root, self.environ, name)

    def left(self) -> list[str]:
        """What hosts still keep of scripts."""
        return [path.name for path in self.work.iterdir()]


def begin(
    words: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    stdin: BinaryIO,
    stdout: BinaryIO,
    stderr: BinaryIO,
) -> "Command | subprocess.Popen[bytes]":
    """Begin a command, as the program itself when a library is to be preloaded."""
    if "LD_PRELOAD" not in environ:
        return Command(words, folder=folder, environ=environ, stdin=stdin, stdout=stdout, stderr=stderr)
    return subprocess.Popen(
        [PROGRAM, *words],
        cwd=folder,
        env=environ,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


class Running:
    """A command that runs; ended at the end of the ``with`` block."""

    def __init__(
        self, words: Sequence[str], folder: Path, environ: Mapping[str, str], name: str = ""
    ) -> None:
        self._stdout, self._stderr = folder / f"stdout{name}", folder / f"stderr{name}"
        with (
            self._stdout.open("wb") as out,
            self._stderr.open("wb") as err,
            Path(os.devnull).open("rb") as given,
        ):
            self._program = begin(words, folder, environ, given, out, err)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._program.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._program.send_signal(number)

    def await_told(self, words: str) -> None:
        """Wait until it said something on stderr."""
        wait_until(lambda: words in self._stderr.read_text(encoding="utf-8"), 60, f"`{words}` is said")

    def await_printed(self, words: str) -> None:
        """Wait until it printed something on stdout."""
        wait_until(lambda: words in self._stdout.read_text(encoding="utf-8"), 60, f"`{words}` is printed")

    def answer(self) -> Answer:
        """Wait for its end."""
        code = self._program.wait(DEADLINE_S)
        answer = Answer(
            code=code,
            stdout=self._stdout.read_text(encoding="utf-8"),
            stderr=self._stderr.read_text(encoding="utf-8"),
        )
        assert "Traceback" not in answer.stderr, answer.stderr
        return answer


def job(
    script: str = "true",
    *,
    name: str = "job",
    query: str = "*",
    parameters: Mapping[str, object] | None = None,
    **own: object,
) -> dict[str, object]:
    """One job: a script in place on everybody who matches."""
    body = {"targeting_type": "static_query", "search_query": query} | dict(parameters or {})
    return {"name": name, "script": script, "job_invocation": body} | own


def reached(sshd: Sshd, address: str | None = None, **more: object) -> dict[str, object]:
    """The variables of a host that stands on that server."""
    return {
        "ansible_host": address or sshd.addresses[0],
        "ansible_port": sshd.port,
        "ansible_user": OWN_NAME,
        "ansible_ssh_private_key_file": str(sshd.client_key),
    } | more


def is_running(pid: str) -> bool:
    """Whether a process runs; a zombie that nobody fetched does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def loopback(count: int, first: int = 1) -> Sequence[str]:
    """So many addresses of 127.0.0.0/8."""
    return [f"127.77.{number // 250}.{number % 250 + 1}" for number in range(first, first + count)]


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
