"""What every provider that reaches a real host promises; one suite, each provider in turn."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from chargehand.connection import ConnectionSettings
from chargehand.provider import OURS, Ending, NotStarted, Provider, Stop, Unreachable, find_provider
from chargehand.script import RenderedScript
from chargehand.start import conduct, wrapper
from heard import Heard
from sshd import Sshd, wait_until


@dataclass
class Reach:
    """A way to this machine, and the folder in which scripts are put there."""

    provider: Provider
    settings: ConnectionSettings
    folder: Path

    def run(
        self,
        content: str | bytes,
        *,
        heard: Heard | None = None,
        stop: Stop | None = None,
        settle: bool = True,
        timeout_s: float | None = 60,
        idle_timeout_s: float | None = None,
    ) -> tuple[Ending, Heard]:
        content = content.encode() if isinstance(content, str) else content
        heard = heard or Heard()
        stop = stop or Stop()
        script = RenderedScript(content=content, timeout_s=timeout_s, idle_timeout_s=idle_timeout_s)
        session = self.provider.open(self.settings, stop, script)
        try:
            ending = session.run(script, heard, stop)
            if settle:
                session.settle()
        finally:
            session.close()
        return ending, heard

    def left(self) -> list[Path]:
        """What is left of scripts on the host."""
        return list(self.folder.iterdir())


WAYS = {
    "local": ("local", "thread"),
    "ssh": ("ssh", "strand"),
    "ssh, a thread a host": ("ssh", "thread"),
    "ssh, stock paramiko": ("ssh-stock", "thread"),
    "ssh, worker processes": ("ssh-processes", "strand"),
}


@pytest.fixture(params=[pytest.param(way, marks=pytest.mark.sshd) if "ssh" in way else way for way in WAYS])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    return WAYS[request.param]


@pytest.fixture
def runs_in(way: tuple[str, str]) -> str:
    return way[1]


@pytest.fixture
def reach(
    request: pytest.FixtureRequest, way: tuple[str, str], runs_in: str, tmp_path: Path
) -> Iterator[Reach]:
    folder = tmp_path / "work"
    folder.mkdir()
    if way[0] != "local":
        sshd: Sshd = request.getfixturevalue("sshd")
        settings = sshd.settings(work_folders=(str(folder),))
    else:
        settings = ConnectionSettings(provider="local", address="here", work_folders=(str(folder),))
    with closing(find_provider(way[0])()) as provider:
        yield Reach(provider, settings, folder)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody fetched does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def pids(path: Path, count: int) -> list[int]:
    """The process ids that a script wrote, one a line, once there are `count`."""
    wait_until(
        lambda: path.exists() and path.read_text().count("\n") >= count, what=f"{count} pids in {path}"
    )
    return [int(line) for line in path.read_text().split()]


def press_when_there(path: Path, count: int, stop: Stop, *, now: bool = False) -> None:
    """Press the button from another thread as soon as a script wrote so many pids."""

    def press() -> None:
        pids(path, count)
        stop.press("cancelled", now=now)

    threading.Thread(target=press, daemon=True).start()


def test_both_streams_come_back_apart_and_exact(reach: Reach) -> None:
    ending, heard = reach.run("printf 'out\\n\\nno newline'; printf 'err\\n' >&2")
    assert ending.exit_status == 0
    assert (heard.stdout, heard.stderr) == (b"out\n\nno newline", b"err\n")
    assert heard.starts == 1
    assert reach.left() == []


@pytest.mark.parametrize("status", [0, 1, 2, 98, 126, 127, 128, 130, 137, 143, 255])
def test_every_exit_status_is_the_scripts_own(reach: Reach, status: int) -> None:
    ending, _ = reach.run(f"exit {status}")
    assert (ending.exit_status, ending.signal, ending.lost) == (status, None, "")


@pytest.mark.parametrize("name", ["SEGV", "KILL", "TERM", "HUP", "ABRT"])
def test_a_death_by_signal_is_told_by_its_name(reach: Reach, name: str) -> None:
    ending, _ = reach.run(f"kill -{name} $$")
    assert (ending.exit_status, ending.signal, ending.halted) == (None, name, "")


def test_a_script_has_no_stdin_and_none_of_our_descriptors(reach: Reach) -> None:
    ending, heard = reach.run("cat; ls /proc/self/fd; readlink /proc/self/fd/0")
    assert ending.exit_status == 0
    assert heard.stdout == b"0\n1\n2\n3\n/dev/null\n"  # 3 is the folder that ls reads


def test_signals_are_as_a_login_would_have_them(reach: Reach) -> None:
    """A background command of sh ignores INT, and so would everything the script starts."""
    _, heard = reach.run("grep -E 'Sig(Ign|Blk)' /proc/self/status")
    ignored = {line.split()[0]: int(line.split()[1], 16) & 0x3FFF for line in heard.stdout.splitlines()}
    assert ignored[b"SigIgn:"] & 0b11 << 1 == 0
    assert ignored[b"SigBlk:"] == 0


def test_a_script_begins_at_home_with_the_umask_of_the_login(reach: Reach) -> None:
    _, heard = reach.run("pwd; umask")
    assert heard.stdout.decode().splitlines() == [str(Path.home()), "0022"]


def test_bytes_of_every_kind_pass_unchanged(reach: Reach) -> None:
    data = bytes(range(256)) * 50 + "žluťoučký 🐎 \x1b[31m\x1b]52;c;Zm9v\x07".encode() + b"\xc3"
    octal = "".join(f"\\{byte:03o}" for byte in data)
    _, heard = reach.run(f"printf '{octal}'; printf '{octal}' >&2")
    assert heard.stdout == data
    assert heard.stderr == data


def test_fifty_megabytes_on_both_streams_arrive_complete(reach: Reach) -> None:
    ending, heard = reach.run(
        "head -c 25000000 /dev/zero | tr '\\0' a >&2 & head -c 25000000 /dev/zero | tr '\\0' b; wait"
    )
    assert ending.exit_status == 0
    assert hashlib.sha256(heard.stdout).digest() == hashlib.sha256(b"b" * 25_000_000).digest()
    assert hashlib.sha256(heard.stderr).digest() == hashlib.sha256(b"a" * 25_000_000).digest()


def test_a_slow_reader_makes_the_host_wait(reach: Reach) -> None:
    """Back-pressure, not memory: while we do not read, the host gets no further than a few windows."""
    mark = reach.folder.parent / "written"
    mark.touch()
    told: list[int] = []

    class Slow(Heard):
        def output(self, stream: object, chunk: bytes) -> None:
            if not told:
                wait_until(lambda: _steady(mark, mark.stat().st_size))
                told.append(mark.stat().st_size)

    script = f"i=0; while [ $i -lt 400 ]; do head -c 100000 /dev/zero; printf x >>{mark}; i=$((i+1)); done"
    reach.run(script, heard=Slow())
    assert mark.stat().st_size == 400
    assert told[0] < 100  # 10 MB of 40


def _steady(path: Path, size: int) -> bool:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        if path.stat().st_size != size:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    ("content", "stdout"),
    [
        (b"", b""),
        (b"printf no-newline", b"no-newline"),
        (b"#!/usr/bin/python3\nprint(6 * 7)\n", b"42\n"),
        (b"#!/usr/bin/env python3\nprint(6 * 7)\n", b"42\n"),
        (b"#!/bin/sh -e\nfalse\necho not reached\n", b""),
        (b"#!/bin/cat\na\r\nb\0c", b"#!/bin/cat\na\r\nb\0c"),
        (b"#!/bin/bash\r\necho dos # \r\n", b"dos\n"),
        (b"echo '\xff\xfe'", b"\xff\xfe\n"),
    ],
)
def test_a_script_runs_as_it_is_given(reach: Reach, content: bytes, stdout: bytes) -> None:
    _, heard = reach.run(content)
    assert heard.stdout == stdout


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 5_000_000])
def test_a_long_script_arrives_complete(reach: Reach, size: int) -> None:
    content = (b"#!/usr/bin/sha256sum\n" + b"0123456789abcdef" * (size // 16 + 1))[:size]
    _, heard = reach.run(content)
    assert heard.stdout.split()[0].decode() == hashlib.sha256(content).hexdigest()


def test_a_missing_interpreter_is_told_before_the_start(reach: Reach) -> None:
    heard = Heard()
    with pytest.raises(NotStarted) as failure:
        reach.run("#!/usr/bin/nosuch\n", heard=heard)
    assert failure.value.code == "interpreter-missing"
    assert "/usr/bin/nosuch" in failure.value.reason
    assert heard.starts == 0
    assert reach.left() == []


def test_background_children_that_hold_stdout_delay_nothing(reach: Reach, tmp_path: Path) -> None:
    began = time.monotonic()
    ending, heard = reach.run(f"sleep 60 & echo $! >{tmp_path}/pid; echo done; exit 4")
    assert time.monotonic() - began < 30
    assert (ending.exit_status, heard.stdout) == (4, b"done\n")
    (child,) = pids(tmp_path / "pid", 1)
    assert alive(child), "a normal end leaves children alone"
    os.kill(child, signal.SIGKILL)


FAMILY = """
sleep 1001 & echo $! >>{pids}
sh -c 'echo $$ >>{pids}; sleep 1002' &
bash -c 'set -m; sleep 1003 & echo $! >>{pids}; wait' &
echo $$ >>{pids}
echo running
wait
"""


def test_cancel_ends_the_script_and_all_its_children(reach: Reach, tmp_path: Path) -> None:
    stop, heard = Stop(), Heard()
    family = tmp_path / "pids"
    press_when_there(family, 4, stop)
    ending, heard = reach.run(FAMILY.format(pids=family), stop=stop, heard=heard)
    assert ending.halted == "cancelled"
    assert ending.signal == "TERM"
    assert heard.stdout == b"running\n"
    assert not [pid for pid in pids(family, 4) if alive(pid)]
    assert reach.left() == []


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> int:
    """Seconds between TERM and KILL."""
    assert wrapper.GRACE_S == conduct.GRACE_S == 10, "as the pages say"
    for module in (wrapper, conduct):
        monkeypatch.setattr(module, "GRACE_S", 3)
    return 3


def test_a_script_that_ignores_term_is_killed_after_the_grace(
    reach: Reach, tmp_path: Path, short_grace: int
) -> None:
    family = tmp_path / "pids"
    script = f"trap '' TERM; sleep 1001 & echo $! >>{family}; echo $$ >>{family}; while :; do sleep 1; done"
    began = time.monotonic()
    ending, _ = reach.run(script, timeout_s=0.5)
    assert (ending.halted, ending.signal) == ("timed_out", "KILL")
    assert time.monotonic() - began >= short_grace
    assert not [pid for pid in pids(family, 2) if alive(pid)]
    assert reach.left() == []


def test_a_script_may_clean_up_when_it_is_stopped(reach: Reach) -> None:
    ending, heard = reach.run(
        "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.1; done", timeout_s=0.5
    )
    assert (ending.halted, ending.exit_status) == ("timed_out", 7)
    assert heard.stdout == b"up\nbye\n"


def test_silence_is_stopped_and_speech_is_not(reach: Reach) -> None:
    ending, _ = reach.run("sleep 1000", idle_timeout_s=0.5)
    assert ending.halted == "idle"
    ending, _ = reach.run("for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done", idle_timeout_s=1)
    assert (ending.exit_status, ending.halted) == (0, "")


def test_the_clock_starts_with_the_script(reach: Reach) -> None:
    began = time.monotonic()
    ending, _ = reach.run("sleep 0.3")
    assert 0.1 < ending.duration_s < time.monotonic() - began  # START itself may have been late


def test_pressed_before_the_run_nothing_is_sent(reach: Reach) -> None:
    stop = Stop()
    stop.press("cancelled")
    script = RenderedScript(content=b"echo never")
    session = reach.provider.open(reach.settings, Stop(), script)
    with closing(session), pytest.raises(NotStarted) as failure:
        session.run(script, Heard(), stop)
    assert failure.value.code == "cancelled"


def test_a_second_press_does_not_wait_and_says_that_the_end_is_unknown(
    reach: Reach, tmp_path: Path, short_grace: int
) -> None:
    stop = Stop()
    family = tmp_path / "pids"
    press_when_there(family, 1, stop, now=True)
    script = f"trap '' TERM; echo $$ >>{family}; while :; do sleep 1; done"
    ending, _ = reach.run(script, stop=stop, settle=False)
    assert (ending.code, ending.exit_status, ending.halted) == ("cancel-unconfirmed", None, "")
    assert ending.lost
    (pid,) = pids(family, 1)
    wait_until(lambda: not alive(pid), 16, "the host kills it all the same")


def test_a_closed_session_stops_the_script_and_leaves_its_evidence(reach: Reach, tmp_path: Path) -> None:
    family = tmp_path / "pids"
    stop = Stop()
    press_when_there(family, 1, stop, now=True)
    session = reach.provider.open(reach.settings, stop)
    with closing(session):
        session.run(RenderedScript(content=f"echo $$ >>{family}; sleep 1000".encode()), Heard(), stop)
    (pid,) = pids(family, 1)
    wait_until(lambda: not alive(pid), 16)
    (folder,) = reach.left()
    wait_until((folder / "exit_code").exists, 16)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_without_settle_the_result_stays_on_the_host(reach: Reach) -> None:
    reach.run("exit 5", settle=False)
    (folder,) = reach.left()
    assert (folder / "exit_code").read_text() == "5\n"


def test_nothing_of_a_script_stands_in_any_argument_list_or_environment(reach: Reach) -> None:
    canary = "canary-0815"
    _, heard = reach.run(
        f"# {canary}\n"
        "tr '\\0' ' ' </proc/self/environ\n"
        "for entry in /proc/[0-9]*; do tr '\\0' ' ' <$entry/cmdline; echo; done 2>/dev/null\n"
        "exit 0"
    )
    assert b"chargehand" in heard.stdout
    assert canary.encode() not in heard.stdout
    assert b"nonce=" not in heard.stdout


@pytest.mark.parametrize("name", ["with space", "quote'$(touch x)", "ünïcode"])
def test_a_work_folder_may_have_any_name(reach: Reach, name: str) -> None:
    folder = reach.folder / name
    folder.mkdir()
    settings = replace(reach.settings, work_folders=(str(folder),))
    ending, heard = Reach(reach.provider, settings, folder).run('echo "$0"')
    assert ending.exit_status == 0
    assert heard.stdout.decode().startswith(f"{folder}/.chargehand-")
    assert reach.left() == [folder]


def test_cancelled_at_any_moment_a_script_has_run_or_not_and_is_gone(reach: Reach, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    script = f"echo $$ >>{trace}; exec sleep 1012\n#".encode() + b"x" * 500_000
    for moment in range(20):
        stop = Stop()
        timer = threading.Timer(moment / 60, stop.press, ("cancelled",))
        timer.start()
        before = _lines(trace)
        try:
            ending, heard = reach.run(script, stop=stop)
            outcome = (ending.halted, ending.signal, heard.starts)
        except (NotStarted, Unreachable) as failure:
            outcome = (failure.code, None, 0)
        assert outcome in (("cancelled", "TERM", 1), ("cancelled", None, 0))
        assert outcome[-1] or _lines(trace) == before
        timer.join()
    reach.provider.close()
    assert not [pid for pid in pids(trace, 1) if alive(pid)]
    wait_until(lambda: reach.left() == [], what="nothing is left")


def test_our_providers_are_found_where_our_entry_points_say():
    points = distribution("chargehand").entry_points.select(group="chargehand.providers")
    assert {point.name: point.value for point in points} == OURS
    for point in points:
        assert find_provider(point.name) is point.load()
