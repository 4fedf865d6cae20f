"""What people see of a run: the recap on stdout, lines in a log, a live region on a real terminal."""

import io
import os
import pty
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargehand.event import (
    HostConnecting,
    HostFinished,
    HostOutput,
    HostStarted,
    Notice,
    RunFinished,
    RunStarted,
)
from chargehand.report.display import display_for
from chargehand.report.plain import PlainDisplay
from chargehand.report.progress import Progress
from chargehand.report.recap import MAX_LINES, recap, span
from chargehand.report.terminal import LiveDisplay
from chargehand.result import CapturedOutput, HostResult, JobResult, Status
from chargehand.runner.output import Capture

CASES = Path(__file__).parent / "cases/terminal"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE_S = 10.0


def kept(text: bytes) -> CapturedOutput:
    capture = Capture(None)
    capture.write(text)
    return capture.finish()


def result(
    host: str, status: str = "succeeded", out: bytes = b"", err: bytes = b"", **facts: object
) -> HostResult:
    return HostResult(host=host, status=Status(status), stdout=kept(out), stderr=kept(err), **facts)


def job(*results: HostResult, seconds: float = 63.2) -> JobResult:
    return JobResult(results=results, started_at=NOW, ended_at=NOW + timedelta(seconds=seconds))


def rerun(hosts: list[str]) -> str:
    return f"chargehand run patch.yml -l 'name ^ ({', '.join(hosts)})'"


def fleet() -> JobResult:
    trace = b"".join(b"line %d\n" % number for number in range(1, 10))
    return job(
        *(result(f"web{number:02}", out=b"nginx: active\n") for number in range(1, 98)),
        result("db1", out=b"postgres: active\nreplica: ok\n", err=b"warning: slow disk\n"),
        result("db2", "failed", err=trace, code="exit", reason="exit status 3", exit_status=3),
        result("db3", "failed", err=trace, code="exit", reason="exit status 3", exit_status=3),
        result("old1", "unreachable", code="refused", reason="10.0.0.9 port 22: connection refused"),
        result("old2", "unknown", code="connection-lost", reason="the connection was lost"),
        result("evil", out=b"\x1b]0;owned\x07ok\r\n\xff"),
        result("late", "skipped", code="stop_after", reason="never started: too many hosts had failed"),
    )


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("fleet", fleet()),
        ("one-host", job(result("web1", out=b"done"), seconds=0.4)),
        ("nobody", job(seconds=0)),
    ],
)
def test_the_recap_reads_as_written_down(name, outcome):
    assert recap(outcome, rerun=rerun) == (CASES / f"{name}.txt").read_text()


def test_many_lines_are_cut_in_the_middle_and_it_is_said():
    text = recap(job(result("web1", out=b"".join(b"%d\n" % number for number in range(1000)))))
    assert f"[... {1000 - MAX_LINES} lines left out ...]" in text
    assert "  0\n" in text
    assert "  999\n" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")],
)
def test_lengths_of_time_are_told_for_people(seconds, text):
    assert span(seconds) == text


def events() -> list:
    bad = result("web2", "failed", code="exit", reason="exit status 1", duration_s=0.25)
    return [
        RunStarted(at=NOW, hosts=("web1", "web2", "web3")),
        HostConnecting(at=NOW, host="web1"),
        HostConnecting(at=NOW, host="web2"),
        HostStarted(at=NOW, host="web1"),
        HostOutput(at=NOW, host="web1", stream="stdout", chunk="ha\u00e9".encode()[:3]),
        HostOutput(at=NOW, host="web2", stream="stderr", chunk=b"oops\n"),
        HostOutput(at=NOW, host="web1", stream="stdout", chunk="\u00e9llo\n\x1b[2Jlast".encode()[1:]),
        Notice(at=NOW, message="the disk is\nnearly full"),
        HostFinished(at=NOW, result=bad),
        HostFinished(at=NOW, result=result("web1", duration_s=61.0)),
    ]


def test_a_log_tells_failures_and_notes_and_the_total():
    log = io.StringIO()
    with PlainDisplay(log) as display:
        for event in (*events(), RunFinished(at=NOW, result=job())):
            display(event)
    assert log.getvalue().splitlines() == [
        "note: the disk is\\nnearly full",
        "web2: failed: exit status 1 (0.2 s)",
        "2/3 done, 1 failed, 0 running",
    ]


def test_a_verbose_log_tells_every_line_of_every_host_whole():
    log = io.StringIO()
    with PlainDisplay(log, verbosity=1) as display:
        for event in events():
            display(event)
    assert log.getvalue().splitlines() == [
        "web2 ! oops",
        "web1 | ha\u00e9llo",
        "note: the disk is\\nnearly full",
        "web2: failed: exit status 1 (0.2 s)",
        "web1 | \\x1b[2Jlast",
        "web1: succeeded (1 min 01 s)",
    ]


class Heard(io.StringIO):
    """A stream that tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        self.written.set()
        return count


def test_silence_is_broken_by_a_line_that_names_the_hosts_that_take_longest():
    log, clock = Heard(), iter(range(0, 10**6, 10))
    with PlainDisplay(log, silence_s=0.01, progress=Progress(lambda: float(next(clock)))) as display:
        for event in events()[:3]:
            display(event)
        log.written.clear()
        assert log.written.wait(DEADLINE_S)
    assert re.match(r"0/3 done, 2 running, .*; longest: web1 .*, web2 .*", log.getvalue().splitlines()[-1])


class Screen:
    """A pseudo-terminal: what is written to `stream` is read in the background."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self._parts: list[bytes] = []
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wait(self, text: str) -> None:
        with self._change:
            assert self._change.wait_for(lambda: text in self.text(), DEADLINE_S), self.text()

    def text(self) -> str:
        return b"".join(self._parts).decode()

    def close(self) -> None:
        self.stream.close()
        self._thread.join()
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._master, 4096)
            except OSError:  # the other side is closed
                return
            with self._change:
                self._parts.append(part)
                self._change.notify_all()


@pytest.fixture
def screen():
    screen = Screen()
    yield screen
    screen.close()


ENVIRON = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}


def test_a_terminal_shows_the_counts_and_the_hosts_that_take_longest(screen):
    display = display_for(screen.stream, ENVIRON, verbosity=1)
    assert isinstance(display, LiveDisplay)
    with display:
        for event in events()[:3]:
            display(event)
        screen.wait("0/3 done, 2 running")
        screen.wait("  web1  ")
        for event in events()[3:]:
            display(event)
        screen.wait("2/3 done, 1 failed, 0 running")
    screen.wait("\x1b[?25h")  # the cursor is given back
    text = screen.text()
    assert "web2 ! oops" in text
    assert "web1 | \\x1b[2Jlast" in text
    assert "\x1b[2Jlast" not in text


@pytest.mark.parametrize(
    "environ",
    [
        {"TERM": "dumb"},
        {},
        {"TERM": "xterm", "CI": "true"},
    ],
)
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(screen, environ):
    with display_for(screen.stream, environ) as display:
        for event in events():
            display(event)
    screen.wait("web2: failed: exit status 1")
    assert "\x1b" not in screen.text()


def test_without_a_terminal_there_is_no_live_region_even_with_colour_forced():
    log = io.StringIO()
    with display_for(log, ENVIRON | {"FORCE_COLOR": "1"}) as display:
        for event in events():
            display(event)
    assert "\x1b" not in log.getvalue()


def test_no_color_takes_the_colours_of_the_live_region(screen):
    with display_for(screen.stream, ENVIRON | {"NO_COLOR": "1"}) as display:
        for event in events():
            display(event)
        screen.wait("2/3 done")
    colours = re.findall(r"\x1b\[((?:\d+;)*\d*)m", screen.text())
    assert not [colour for colour in colours if re.search(r"(^|;)(3[0-8]|4[0-8]|9[0-7])(;|$)", colour)]


def test_a_narrow_terminal_gets_one_line(screen):
    with display_for(screen.stream, ENVIRON | {"COLUMNS": "30"}) as display:
        for event in events()[:3]:
            display(event)
        screen.wait("0/3 done, 2 running")
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.text()).replace("\r", "\n").split("\n")
    assert max(map(len, rows)) <= 30
