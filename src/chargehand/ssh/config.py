"""SshConfig: what ssh_config(5) says of a host, asked of OpenSSH itself where it is installed.

Starting a program for every host costs more than the connection, so the files are looked through first: a
host that no block with a setting of ours can concern is answered without it.
"""

import glob
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import paramiko

from chargehand.beside import elsewhere
from chargehand.frozen import frozen
from chargehand.provider import Unreachable

USER_FILE = "~/.ssh/config"
SYSTEM_FILE = "/etc/ssh/ssh_config"
NOWHERE = "/dev/null"
INCLUDE_DEPTH = 16
ASK_TIMEOUT_S = 10.0

# The settings that change how we connect; others, such as SendEnv, are of no concern.
OURS = frozenset(
    {
        "canonicaldomains",
        "canonicalizehostname",
        "certificatefile",
        "connecttimeout",
        "globalknownhostsfile",
        "hostkeyalias",
        "hostname",
        "identitiesonly",
        "identityfile",
        "port",
        "proxycommand",
        "proxyjump",
        "stricthostkeychecking",
        "user",
        "userknownhostsfile",
    }
)
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$")


@frozen(kw_only=False)
class Question:
    """One lookup: the name as the user wrote it, and what a ``Match`` line may ask for."""

    file: str | None
    name: str
    user: str | None = None
    port: int | None = None


@frozen(kw_only=False)
class _Block:
    """A ``Host`` block that holds a setting of ours; no patterns: it may concern anybody."""

    patterns: tuple[str, ...] = ("*",)

    def may_concern(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self.patterns if not pattern.startswith("!"))


class SshConfig:
    """The answers of all ssh_config files, each asked for once; used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[str | None, tuple[_Block, ...]] = {}
        self._answers: dict[Question, Mapping[str, tuple[str, ...]]] = {}
        self._program = shutil.which("ssh")

    def ask(self, question: Question) -> Mapping[str, tuple[str, ...]]:
        """The settings of a host by their names in lower case; without those that nobody wrote.

        Raises:
            Unreachable: A file cannot be read or understood; code ``ssh-config``.
        """
        if question.file == NOWHERE:
            return {}
        with self._lock:
            if question.file not in self._blocks:
                self._blocks[question.file] = tuple(_blocks(question.file))
            concerned = any(block.may_concern(question.name) for block in self._blocks[question.file])
            known = self._answers.get(question)
        if not concerned:
            return {}
        if known is None:
            known = elsewhere(partial(self._look_up, question))
            with self._lock:
                self._answers[question] = known
        return known

    def _look_up(self, question: Question) -> Mapping[str, tuple[str, ...]]:
        return _by_openssh(self._program, question) if self._program else _by_paramiko(question)


def _by_openssh(program: str, question: Question) -> Mapping[str, tuple[str, ...]]:
    command = [program, "-G"]
    if question.file is not None:
        command += ["-F", question.file]
    if question.user is not None:
        command += ["-l", question.user]
    if question.port is not None:
        command += ["-p", str(question.port)]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program; the name comes after `--`
            [*command, "--", question.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable("ssh-config", f"{question.name}: `ssh -G` did not answer: {error}") from None
    if done.returncode:
        words = done.stderr.strip().split("\n")[0]
        raise Unreachable("ssh-config", f"{question.name}: ssh_config is refused: {words}")
    answer: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        answer.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in answer.items()}


def _by_paramiko(question: Question) -> Mapping[str, tuple[str, ...]]:
    config = paramiko.SSHConfig()
    try:
        for file in _files(question.file):
            if file.is_file():
                with file.open(encoding="utf-8") as stream:
                    config.parse(stream)
        found: Mapping[str, object] = config.lookup(question.name)
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise Unreachable("ssh-config", f"{question.name}: ssh_config is refused: {error}") from None
    return {
        name: tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        for name, value in found.items()
        if value is not None
    }


def _blocks(file: str | None) -> Iterator[_Block]:
    """The blocks of all files that hold a setting of ours; their order does not matter here."""
    for one in _files(file):
        yield from _blocks_of(one, INCLUDE_DEPTH)


def _blocks_of(file: Path, depth: int) -> Iterator[_Block]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        return
    except OSError as error:
        raise Unreachable("ssh-config", f"{file} cannot be read: {error.strerror}") from None
    block = _Block()
    for line in lines:
        found = None if line.lstrip().startswith("#") else _LINE.match(line)
        if not found:
            continue
        word, rest = found[1].lower(), found[2]
        if word == "host":
            block = _Block(tuple(_words(rest)))
        elif word == "match":
            block = _Block()
        elif word == "include" and depth:
            for included in _included(file, rest):
                # What a block includes concerns that block's hosts only; taking it for all is safe.
                yield from _blocks_of(included, depth - 1)
        elif word in OURS:
            yield block


def _files(file: str | None) -> tuple[Path, ...]:
    names = (USER_FILE, SYSTEM_FILE) if file is None else (file,)
    return tuple(Path(name).expanduser() for name in names)


def _included(file: Path, rest: str) -> Iterator[Path]:
    """Files named by ``Include``: relative ones lie in ``~/.ssh``, or ``/etc/ssh`` for the system's file."""
    folder = Path("/etc/ssh") if file.is_relative_to("/etc/ssh") else Path("~/.ssh").expanduser()
    for word in _words(rest):
        pattern = str(folder / Path(word).expanduser())
        yield from (Path(found) for found in sorted(glob.glob(pattern)))  # noqa: PTH207 - an absolute pattern


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _matches(pattern: str, name: str) -> bool:
    expression = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name.lower()) is not None
