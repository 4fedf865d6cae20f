"""The scheduler starts what is due, once, whatever the clock, the files and other schedulers do meanwhile."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargehand.cli import supervisor
from chargehand.scheduler.rounds import STEP_S, Rounds, is_sane, sleep_s

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("due_in_s", "left_s", "expected"),
    [
        (None, 5.0, STEP_S),
        (None, 0.2, 0.2),
        (0.3, 5.0, 0.3),
        (3600.0, 5.0, STEP_S),
        (0.0, 5.0, 0.0),
        (-3600.0, 5.0, 0.0),
        (0.3, -1.0, 0.0),
    ],
)
def test_a_sleep_ends_when_something_is_due_and_never_lasts_long(
    due_in_s: float | None, left_s: float, expected: float
) -> None:
    due = None if due_in_s is None else NOON + timedelta(seconds=due_in_s)
    assert sleep_s(NOON, due, left_s) == pytest.approx(expected)


def test_a_clock_that_was_never_set_is_not_believed() -> None:
    assert [is_sane(datetime(year, 1, 1, tzinfo=UTC)) for year in (1970, 2019, 2020, 2036)] == [
        False,
        False,
        True,
        True,
    ]


class Passes:
    """Counts passes, and ends the rounds at the last of them."""

    def __init__(self, *due: datetime | None) -> None:
        self.due = list(due)
        self.times: list[float] = []
        self.wall, self.past = NOON, 0.0
        self.on_read: Callable[[], None] = lambda: None

    def make(self) -> datetime | None:
        self.times.append(self.past)
        due = self.due.pop(0)
        if not self.due:
            self.rounds.end()
        return due

    def clock(self) -> datetime:
        self.on_read()
        return self.wall

    def monotonic(self) -> float:
        """Time that passes by being looked at."""
        self.past += 0.01
        self.wall += timedelta(seconds=0.01)
        return self.past

    def go(self, interval_s: float) -> list[float]:
        self.rounds = Rounds(
            self.make, interval_s=interval_s, clock=self.clock, monotonic=self.monotonic
        )
        self.rounds.go()
        return self.times


def test_a_round_begins_when_something_is_due_or_the_interval_is_over() -> None:
    first, second, third = Passes(NOON + timedelta(seconds=0.04), None, None).go(0.1)
    assert first == 0
    assert second < 0.08, "it was due"
    assert third - second >= 0.1, "nothing was"


def test_a_clock_that_is_put_forward_makes_due_what_it_passes_over() -> None:
    passes = Passes(NOON + timedelta(hours=1), None)

    def jump() -> None:
        passes.on_read = lambda: None
        passes.wall += timedelta(hours=2)

    passes.on_read = jump
    _, second = passes.go(0.2)
    assert second < 0.1


def test_a_call_makes_the_next_pass_come_at_once_and_several_make_one() -> None:
    passes = Passes(None, None, None)

    def call() -> None:
        if len(passes.times) == 1:
            passes.rounds.call()
            passes.rounds.call()

    passes.on_read = call
    first, second, third = passes.go(0.2)
    assert second - first < 0.1
    assert third - second >= 0.2


def test_a_supervisor_is_told_what_it_asked_for_and_a_missing_one_is_no_trouble(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(address))
        supervisor.tell({"NOTIFY_SOCKET": str(address)}, "READY=1", "STATUS=nothing is due")
        assert line.recv(100) == b"READY=1\nSTATUS=nothing is due"
    supervisor.tell({"NOTIFY_SOCKET": str(tmp_path / "gone")}, "STOPPING=1")
    supervisor.tell({}, "STOPPING=1")
