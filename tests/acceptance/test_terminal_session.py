"""The command at a real terminal: what a person sees, and what reaches the terminal at all."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from repository import PROGRAM, Repository, reached
from sshd import Account, Sshd

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]
COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")
AWAITING = """#!/bin/sh
while [ ! -e GATE ]; do sleep 0.05; done
"""
HOSTILE = (
    r"\033]0;owned\007",
    r"\033]52;c;b3duZWQ=\007",
    r"\033[2Jowned",
    r"\302\2332J",
    r"\033[31mred",
    r"\r\bx",
    r"\342\200\256desrever",
)


class Terminal:
    """A command at a terminal of 100 columns and 30 lines.

    Attributes:
        seen: Every byte that reached the terminal.
    """

    def __init__(self, repository: Repository, *words: str | Path, environ: Mapping[str, str] = {}) -> None:
        self.seen = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._program = subprocess.Popen(
            ["setsid", "--ctty", "--wait", PROGRAM, *map(str, words)],
            cwd=repository.root,
            env=repository.environ | {"TERM": "xterm-256color"} | environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait()
        os.close(self._ours)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def await_seen(self, *words: str) -> None:
        """Wait until something stands in what reached the terminal."""
        wanted = [word.encode() for word in words]
        self._read(lambda: all(word in self.seen for word in wanted), f"{words} in")

    def end(self) -> int:
        """Wait for the end; the exit code."""
        self._read(lambda: False, "the end of")
        return self._program.wait(10)

    def _read(self, enough: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not enough():
            if not select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"not in time: {what} {self.seen!r}")
            try:
                self.seen += os.read(self._ours, 65536)
            except OSError:  # the last program closed its side
                assert what == "the end of", self.seen
                return


def test_a_live_bar_tells_who_is_awaited_and_goes_when_all_is_done(hosts: Hosts, tmp_path: Path) -> None:
    repository = hosts("web1", "web2", "web3")
    gate = tmp_path / "gate"
    script = (
        AWAITING.replace("GATE", str(gate)) + "echo done at {{ host.name }}; [ {{ host.name }} != web3 ]\n"
    )
    with Terminal(repository, "run", repository.job(script)) as terminal:
        terminal.await_seen("0/3 done", "3 running", "web2")
        gate.touch()
        assert terminal.end() == 5
        seen = terminal.seen
    assert COLOUR.search(seen)
    after = seen[seen.rindex(b"running") :]
    assert b"\x1b[?25h" in after, "the cursor is shown again"
    assert b"total 3 hosts" in after
    assert b"chargehand rerun 1 --failed" in after, "the command that runs again what failed"


def test_no_color_takes_every_colour(hosts: Hosts) -> None:
    repository = hosts("web1", "web2")
    file = repository.job("[ {{ host.name }} = web1 ]")
    with Terminal(repository, "run", file, environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 5
    assert b"total 2 hosts" in terminal.seen
    assert not COLOUR.search(terminal.seen)


@pytest.mark.parametrize("words", [[], ["-v"], ["-o", "json"], ["-o", "ndjson"]], ids=" ".join)
def test_what_a_host_prints_cannot_command_the_terminal(hosts: Hosts, words: list[str]) -> None:
    repository = hosts("web1")
    script = "#!/bin/sh\n" + "".join(f"printf '{text}\\n'; printf '{text}\\n' >&2\n" for text in HOSTILE)
    with Terminal(repository, "run", repository.job(script), *words, environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 0
    assert b"owned" in terminal.seen
    for sequence in (b"\x1b]", b"\x07", b"\x1b[2J", b"\x1b[31m", b"\xc2\x9b", b"\x08", b"\xe2\x80\xae"):
        assert sequence not in terminal.seen


def test_ctrl_c_at_the_terminal_stops_the_hosts_and_gives_the_terminal_back(
    hosts: Hosts, tmp_path: Path
) -> None:
    repository = hosts("web1", "web2")
    file = repository.job(AWAITING.replace("GATE", str(tmp_path / "never")))
    with Terminal(repository, "run", file) as terminal:
        terminal.await_seen("2 running", "web2")
        terminal.type("\x03")
        assert terminal.end() == 130
        seen = terminal.seen
    assert b"press Ctrl-C again" in seen
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert b"2 cancelled" in seen
    assert repository.left() == []


@pytest.mark.root
def test_passwords_typed_at_the_terminal_are_used_and_not_shown(
    repository: Repository, tmp_path: Path, sshd: Sshd
) -> None:
    with Account(password="open-sesame-42") as account:
        account.may_sudo("(ALL) ALL")
        variables = reached(sshd, ansible_user=account.name)
        del variables["ansible_ssh_private_key_file"]
        repository.settings(known_hosts_files=[str(sshd.known_hosts)])
        repository.hosts({"web1": variables})
        with Terminal(repository, "run", repository.job("id -un"), "-k", "-K", "-b") as terminal:
            terminal.await_seen("SSH password: ")
            terminal.type("open-sesame-42\n")
            terminal.await_seen("Effective user's password: ")
            terminal.type("open-sesame-42\n")
            assert terminal.end() == 0, terminal.seen
    assert b"root" in terminal.seen
    assert b"sesame" not in terminal.seen


def test_a_reader_that_wants_one_line_ends_nothing_early(hosts: Hosts, tmp_path: Path) -> None:
    repository = hosts(*(f"web{number}" for number in range(1, 9)))
    ledger = tmp_path / "ledger"
    script = (
        f"#!/bin/sh\necho x >> {ledger}\n" + "sleep 0.$(({{ host.id }} % 4)); seq {{ host.id }}000 9999\n"
    )
    file = repository.job(script, parameters={"concurrency_control": {"concurrency_level": 4}})
    for form in ("text", "ndjson", "json"):
        ledger.unlink(missing_ok=True)
        pipe = '"$0" run "$1" -o "$2" | head -1; echo "codes ${PIPESTATUS[@]}"'
        done = subprocess.run(
            ["bash", "-c", pipe, PROGRAM, file, form],
            cwd=repository.root,
            env=repository.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        first, codes = done.stdout.splitlines()
        assert first
        assert codes in ("codes 141 0", "codes 0 0")
        assert not re.search("Traceback|Broken|Exception", done.stderr)
        assert ledger.read_text().split() == ["x"] * 8, "every host had its turn"
