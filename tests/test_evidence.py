"""What a host keeps of a script, asked for in every state in which a crash can leave it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargehand.evidence import KEPT, Evidence, Finding, conclude, inquiry, read_evidence, removal
from chargehand.result import Status
from chargehand.script import RenderedScript
from chargehand.start.protocol import Ended
from chargehand.start.wrapper import Wrapper
from repository import is_running
from sshd import wait_until

TOKEN = "0123456789abcdef" * 2
SHELLS = ["dash", "bash", "ksh", "busybox sh"]


class Host:
    """This machine as a host whose only place for scripts is a folder of the test."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder = folder
        self.shell = shell.split()
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
        self.programs: list[subprocess.Popen[bytes]] = []

    @property
    def kept(self) -> Path:
        """The folder of the script."""
        return self.folder / f".chargehand-{TOKEN}"

    def start(self, script: str, *, bytes_sent: int | None = None) -> subprocess.Popen[bytes]:
        """Start the wrapper as a session does, and send it the script, or only so much of all."""
        sent = Wrapper(
            script=RenderedScript(content=script.encode()), greeting=":", nonce="0" * 32, name=TOKEN
        ).encode()
        program = subprocess.Popen(
            [*self.shell, "-c", 'IFS= read -r line; eval "$line"'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environ,
            start_new_session=True,
        )
        self.programs.append(program)
        assert program.stdin is not None
        program.stdin.write(sent[:bytes_sent])
        program.stdin.flush()
        return program

    def lose(self, program: subprocess.Popen[bytes]) -> None:
        """End the connection."""
        for pipe in (program.stdin, program.stdout):
            assert pipe is not None
            pipe.close()

    def ask(self, *, patience_s: int = 15) -> Evidence:
        """Ask, and read the answer."""
        done = self._run(inquiry(TOKEN, ("/nowhere",), patience_s=patience_s))
        assert (done.returncode, done.stderr) == (0, b"")
        found = read_evidence(TOKEN, b"Welcome!\n" + done.stdout)
        assert found is not None, done.stdout
        return found

    def remove(self) -> None:
        """Remove what is kept."""
        assert self._run(removal(TOKEN)).returncode == 0

    def _run(self, question: bytes) -> subprocess.CompletedProcess[bytes]:
        path = self.folder.parent / "question"
        path.write_bytes(question)
        return subprocess.run(
            [*self.shell, path], env=self.environ, capture_output=True, timeout=60, check=False
        )


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    program, *arguments = request.param.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    folder = tmp_path / "host"
    folder.mkdir()
    host = Host(folder, " ".join((path, *arguments)))
    yield host
    for running in host.programs:
        with running:
            running.kill()
            host.lose(running)


def test_a_host_that_never_had_the_script_says_absent_and_since_when_it_is_up(host: Host) -> None:
    found = host.ask()
    assert (found.found, found.end) == ("absent", None)
    assert found.uptime_s is not None
    assert 0 <= found.uptime_s <= float(Path("/proc/uptime").read_text().split()[0])


@pytest.mark.parametrize(
    ("script", "exit_status", "name"),
    [("exit 0", 0, None), ("exit 137", 137, None), ("kill -9 $$", None, "KILL")],
)
def test_a_script_that_ended_while_nobody_listened_any_more_is_known_with_its_end(
    host: Host, script: str, exit_status: int | None, name: str | None
) -> None:
    program = host.start(
        f"trap '' TERM; echo up; until [ -e {host.folder}/go ]; do sleep 0.05; done; {script}"
    )
    wait_until(lambda: (host.kept / "pid").exists() and (host.kept / "pid").read_text().strip())
    (host.folder / "go").touch()
    wait_until((host.kept / "exit_code").exists)
    host.lose(program)
    program.wait(20)
    found = host.ask()
    assert found.end == Ended(exit_status=exit_status, signal=name)
    host.remove()
    assert host.ask().found == "absent"


def test_a_script_stopped_by_the_loss_of_its_runner_is_waited_for_and_known_as_stopped(host: Host) -> None:
    program = host.start(
        "exec 2>/dev/null; trap 'sleep 1; exit 7' TERM; touch up; while :; do sleep 0.1; done"
    )
    wait_until((host.folder / "up").exists)
    host.lose(program)
    assert host.ask().end == Ended(exit_status=7, signal=None, stopped=True)


def test_a_script_whose_wrapper_died_is_alive_and_later_dead(host: Host) -> None:
    program = host.start("touch up; exec sleep 1010")
    wait_until((host.folder / "up").exists)
    program.kill()
    program.wait()
    subprocess.run(["pkill", "-KILL", "-s", str(program.pid)], check=False)  # the wrapper's other half
    found = host.ask(patience_s=0)
    assert found.found == "alive"
    assert is_running(found.pid)
    os.kill(int(found.pid), signal.SIGKILL)
    assert host.ask(patience_s=1).found == "dead"


@pytest.mark.parametrize("left_out", [2, 34, 60])  # of the last line break alone no shell knows
def test_an_upload_that_was_cut_is_absent_as_soon_as_the_wrapper_noticed(host: Host, left_out: int) -> None:
    program = host.start("touch ran\n" * 500, bytes_sent=-left_out)
    wait_until(host.kept.exists)
    assert host.ask(patience_s=0).found == "dead"
    host.lose(program)
    assert host.ask().found == "absent"
    assert not (host.folder / "ran").exists()


def test_what_somebody_else_put_there_is_no_evidence(host: Host) -> None:
    other = host.folder.parent / "other"
    other.mkdir()
    (other / "exit_code").write_text("0\n")
    host.kept.symlink_to(other)
    assert host.ask().found == "absent"
    host.remove()
    assert (other / "exit_code").exists()


@pytest.mark.parametrize(
    "said", ["", "evidence", f"evidence {TOKEN}", f"evidence {TOKEN} ended 5 x - ", "evidence 0 absent 5"]
)
def test_what_is_no_answer_is_not_read_as_one(said: str) -> None:
    assert read_evidence(TOKEN, said.encode()) is None


NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
UNKNOWN = Status.UNKNOWN


def ended(exit_status: int | None = None, signal: str | None = None, **more: bool) -> Evidence:
    return Evidence(found="ended", uptime_s=90, end=Ended(exit_status=exit_status, signal=signal, **more))


@pytest.mark.parametrize(
    ("evidence", "status", "code", "over"),
    [
        (ended(0), Status.SUCCEEDED, "", True),
        (ended(0, stopped=True), Status.SUCCEEDED, "", True),
        (ended(3), Status.FAILED, "exit", True),
        (ended(signal="SEGV"), Status.FAILED, "signal", True),
        (ended(143, stopped=True), UNKNOWN, "interrupted", True),
        (ended(signal="TERM", stopped=True), UNKNOWN, "interrupted", True),
        (ended(signal="KILL", stopped=True, survived=True), UNKNOWN, "still-runs", False),
        (ended(141), UNKNOWN, "interrupted", True),  # its output went nowhere any more
        (ended(signal="PIPE"), UNKNOWN, "interrupted", True),
        (Evidence(found="alive", uptime_s=90, pid="7"), UNKNOWN, "still-runs", False),
        (Evidence(found="alive", uptime_s=30, pid="7"), UNKNOWN, "no-end", True),  # another one's pid by now
        (Evidence(found="dead", uptime_s=90), UNKNOWN, "no-end", True),
        (Evidence(found="absent", uptime_s=59), UNKNOWN, "no-evidence", True),  # restarted meanwhile
        (Evidence(found="absent"), UNKNOWN, "no-evidence", True),
    ],
)
def test_what_follows_from_the_evidence(evidence: Evidence, status: Status, code: str, over: bool) -> None:
    """The script was to be sent a minute ago."""
    intended_at = NOW - timedelta(minutes=1)
    found = conclude(evidence, intended_at=intended_at, now=NOW, started=False)
    assert found is not None
    assert (found.status, found.code, found.over) == (status, code, over)
    assert bool(found.reason) == (status is not Status.SUCCEEDED)


def absent(ago: timedelta, *, up: timedelta, started: bool = False) -> Finding | None:
    evidence = Evidence(found="absent", uptime_s=int(up.total_seconds()))
    return conclude(evidence, intended_at=NOW - ago, now=NOW, started=started)


def test_only_a_host_that_was_up_all_the_time_can_say_that_nothing_started() -> None:
    minute = timedelta(minutes=1)
    assert absent(minute, up=2 * minute) is None
    for refused in (
        absent(minute, up=2 * minute, started=True),
        absent(minute, up=minute / 2),
        absent(KEPT + minute, up=2 * KEPT),
    ):
        assert refused is not None
        assert (refused.status, refused.code) == (UNKNOWN, "no-evidence")


def test_a_stopped_script_was_cancelled_when_somebody_had_asked_for_that() -> None:
    stopped = ended(143, stopped=True)
    found = conclude(stopped, intended_at=NOW, now=NOW, started=True, cancelled=True)
    assert found is not None
    assert (found.status, found.exit_status) == (Status.CANCELLED, 143)


def test_a_token_is_never_taken_for_anything_else() -> None:
    with pytest.raises(ValueError, match="no token"):
        inquiry("x; rm -rf /")
