"""The scheduler starts what is due, once, whatever the clock, the files and other schedulers do meanwhile."""

import json
import os
import pwd
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargehand.cli import supervisor
from chargehand.project import Project
from chargehand.report.invocation import document
from chargehand.scheduler import Pass, Scheduler
from chargehand.scheduler.rounds import STEP_S, Rounds, is_sane, sleep_s
from chargehand.store import Stored, open_store
from chargehand.testing import FixedClock
from databases import _server, database_url, postgres
from repository import job
from sshd import wait_until

__all__ = ["_server", "database_url", "postgres"]

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVERY_MINUTE = {"cron_line": "* * * * *"}
DYNAMIC = {"targeting_type": "dynamic_query"}


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
        self.rounds = Rounds(self.make, interval_s=interval_s, clock=self.clock, monotonic=self.monotonic)
        self.rounds.go()
        return self.times


def test_a_round_begins_when_something_is_due_or_the_interval_is_over() -> None:
    first, second, third = Passes(NOON + timedelta(seconds=0.04), None, None).go(0.1)
    assert first < 0.02, "at once"
    assert second - first < 0.08, "it was due"
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


def test_a_pass_that_does_not_end_is_noticed_by_its_silence() -> None:
    passes = Passes(None, None)
    silences: list[float] = []

    def stick() -> datetime | None:
        passes.past += 60
        silences.append(passes.rounds.silence_s)
        return passes.make()

    passes.rounds = Rounds(stick, interval_s=0.1, clock=passes.clock, monotonic=passes.monotonic)
    passes.on_read = lambda: silences.append(passes.rounds.silence_s)
    passes.rounds.go()
    assert min(silences[0], silences[-1]) >= 60
    assert max(silences[1:-1]) < 1, "while it rests"


def test_a_supervisor_is_told_what_it_asked_for_and_a_missing_one_is_no_trouble(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(address))
        supervisor.tell({"NOTIFY_SOCKET": str(address)}, "READY=1", "STATUS=nothing is due")
        assert line.recv(100) == b"READY=1\nSTATUS=nothing is due"
    supervisor.tell({"NOTIFY_SOCKET": str(tmp_path / "gone")}, "STOPPING=1")
    supervisor.tell({}, "STOPPING=1")


class Fleet:
    """A repository whose hosts are this machine, a clock that stands, and schedulers on one store.

    Attributes:
        told: What its schedulers said.
        ledger: One line for every script that ran: its host.
    """

    def __init__(self, root: Path, url: str, stack: ExitStack) -> None:
        self.root, self.ledger, self.gate = root, root / "ledger", root / "gate"
        self.told: list[str] = []
        self.clock = FixedClock(NOON)
        self._stack, self._url = stack, url
        (root / "playbooks").mkdir(parents=True)
        self.settings()
        self.hosts("web1", "web2")
        self.scheduler = self.another()
        self.store = stack.enter_context(
            open_store(url, state=root / ".chargehand", clock=lambda: datetime.now(UTC))
        )

    def settings(self, **changes: object) -> None:
        values = {
            "inventory": ["inventory.json"],
            "effective_user": pwd.getpwuid(os.geteuid()).pw_name,
            "remote_working_dir": str(self.root),
        } | changes
        if self._url:
            values["store"] = self._url
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        (self.root / "chargehand.toml").write_text(text)

    def hosts(self, *names: str) -> None:
        hosts = {name: {"ansible_connection": "local"} for name in names}
        (self.root / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))

    def job(
        self,
        recurrence: object = None,
        *,
        name: str = "job",
        query: str = "web1",
        wait: bool = False,
        **own: Any,
    ) -> Path:
        """Write a job that notes its host in the ledger, and with `wait` ends when the gate is opened."""
        script = f"echo {{{{ host.name }}}} >> {self.ledger}\n"
        script += f"until [ -e {self.gate} ]; do sleep 0.02; done\n" if wait else ""
        parameters = own.pop("parameters", {}) | ({"recurrence": recurrence} if recurrence else {})
        file = self.root / "playbooks" / f"{name}.json"
        content = job(own.pop("script", script), name=name, query=query, parameters=parameters, **own)
        file.write_text(json.dumps(content))
        return file

    def another(self, stack: ExitStack | None = None) -> Scheduler:
        """A scheduler more, as another process would be one; it ends with the stack."""
        stack = stack or self._stack
        project = Project.load(self.root, clock=self.clock)
        stack.callback(project.close)
        runner = stack.enter_context(project.store.runners.register(project.state))
        return stack.enter_context(Scheduler(project, runner.id, tell=self.told.append))

    def restart(self, stack: ExitStack) -> None:
        """Go on with a new scheduler."""
        self.scheduler = self.another(stack)

    def go(self, minutes: float = 0) -> Pass:
        """Let time pass, then make a pass and wait for the end of what it started."""
        made = self.start(minutes)
        assert self.scheduler.wait(60)
        return made

    def start(self, minutes: float = 0) -> Pass:
        """The same without waiting."""
        self.clock.move(60 * minutes)
        return self.scheduler.start_due()

    def await_started(self, times: int) -> None:
        wait_until(lambda: len(self.ran()) == times, 60, f"{times} scripts run")

    def open_gate(self) -> None:
        self.gate.touch()
        assert self.scheduler.wait(60)

    def ran(self) -> list[str]:
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def stored(self) -> list[Stored]:
        """Every invocation, oldest first."""
        records = self.store.history.page(limit=1000, oldest_first=True).records
        return [self.store.history.find(record.id) for record in records]

    def became(self) -> list[str]:
        """What became of every invocation: its code, or how it ended."""
        return [
            each.record.code or f"{each.record.state} {document(each.record)['status_label']}"
            for each in self.stored()
        ]

    def minutes(self) -> list[float]:
        """The nominal times of the invocations that ran, in minutes since noon."""
        return [
            (each.occurrence - NOON).total_seconds() / 60
            for each in self.stored()
            if each.shares and each.occurrence
        ]


@pytest.fixture
def fleet(tmp_path: Path, database_url: str) -> Iterator[Fleet]:
    with ExitStack() as stack:
        fleet = Fleet(tmp_path / "fleet", database_url, stack)
        yield fleet
        fleet.gate.touch()
        fleet.scheduler.wait(60)


def test_a_recurring_job_runs_once_at_each_of_its_times_and_is_told_as_such(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE, query="*")
    assert fleet.go().started == (), "not at the moment it is first seen"
    for _ in range(3):
        fleet.go(1)
        assert fleet.go().started == (), "a pass more changes nothing"
    assert fleet.minutes() == [1, 2, 3]
    assert sorted(fleet.ran()) == ["web1"] * 3 + ["web2"] * 3
    (first, *_) = fleet.stored()
    assert first.record.provenance is not None
    assert (first.record.provenance.trigger, first.record.provenance.playbook) == (
        "recurrence",
        "playbooks/job.json",
    )
    assert (first.record.status, first.exit_code) == (0, 0)


def test_a_pass_says_when_something_is_due_next(fleet: Fleet) -> None:
    fleet.job({"cron_line": "30 * * * *"})
    assert fleet.go().next_at == NOON + timedelta(minutes=30)
    fleet.job(name="once", parameters={"scheduling": {"start_at": "2026-06-01T12:10:00Z"}})
    assert fleet.go().next_at == NOON + timedelta(minutes=10)


def test_max_iteration_counts_runs_that_started(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE | {"max_iteration": 2})
    fleet.go()
    for _ in range(4):
        fleet.go(1)
    assert fleet.minutes() == [1, 2]


def test_no_run_starts_at_or_after_end_time(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE | {"end_time": "2026-06-01T12:03:00Z"})
    fleet.go()
    for _ in range(5):
        fleet.go(1)
    assert fleet.minutes() == [1, 2]


@pytest.mark.parametrize(
    ("runs", "window", "ran"),
    [
        ("one", "1h", [30]),
        ("none", "1h", []),
        ("all", "1h", [10, 20, 30]),
        ("all", "15m", [20, 30]),
        ("one", "1m", []),
    ],
)
def test_what_was_missed_while_nobody_was_there_is_caught_up_as_the_job_says(
    fleet: Fleet, runs: str, window: str, ran: list[float]
) -> None:
    fleet.job({"cron_line": "*/10 * * * *"}, catch_up={"runs": runs, "window": window})
    fleet.go()
    fleet.clock.move(34 * 60)
    for _ in range(4):
        fleet.go()
    assert fleet.minutes() == ran
    assert len(fleet.stored()) == 3, "what does not run is in the history as well"
    assert set(fleet.became()) <= {"late", "missed"}


@pytest.mark.parametrize(
    ("overlap", "codes", "ran"),
    [
        ("skip", ["stopped succeeded", "overlap"], 1),
        ("queue", ["stopped succeeded", "stopped succeeded"], 2),
        ("allow", ["stopped succeeded", "stopped succeeded"], 2),
        ("cancel_running", ["stopped cancelled", "stopped succeeded"], 2),
    ],
)
def test_a_run_that_is_due_while_the_one_before_it_goes_on_is_dealt_with_as_the_job_says(
    fleet: Fleet, overlap: str, codes: list[str], ran: int
) -> None:
    fleet.job(EVERY_MINUTE, wait=True, overlap=overlap)
    fleet.go()
    fleet.start(1)
    fleet.await_started(1)
    made = fleet.start(1)
    assert made.decided == {"skip": ("skip",), "allow": ()}.get(overlap, ("wait",))
    if overlap == "cancel_running":
        assert fleet.scheduler.wait(60), "the first one is stopped"
    fleet.gate.touch()
    assert fleet.scheduler.wait(60)
    fleet.go()
    assert fleet.became() == codes
    assert len(fleet.ran()) == ran


def test_a_pause_over_a_due_time_lets_it_go_by(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE)
    fleet.go()
    (logic,) = fleet.store.logics.all()
    fleet.store.logics.change(logic.id, lambda found: found.paused(), fleet.clock.now)
    fleet.go(3)
    fleet.store.logics.change(logic.id, lambda found: found.resumed(fleet.clock.now), fleet.clock.now)
    fleet.go()
    fleet.go(1)
    assert fleet.minutes() == [4]


@pytest.mark.parametrize(
    ("targeting_type", "ran"), [("static_query", ["web1", "web2"]), ("dynamic_query", ["web1", "web3"])]
)
def test_a_static_recurrence_keeps_its_hosts_and_a_dynamic_one_follows_the_inventory(
    fleet: Fleet, targeting_type: str, ran: list[str]
) -> None:
    fleet.job(EVERY_MINUTE, query="*", parameters={"targeting_type": targeting_type})
    fleet.go()
    fleet.hosts("web1", "web2", "web3") if targeting_type == "static_query" else fleet.hosts("web1", "web3")
    fleet.go(1)
    assert sorted(fleet.ran()) == ran


def test_a_host_that_the_inventory_lost_is_told_and_counted_as_missing(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE, query="*")
    fleet.go()
    fleet.hosts("web2")
    fleet.go(1)
    (only,) = fleet.stored()
    assert (fleet.ran(), only.record.targeting.missing) == (["web2"], 1)
    assert any("gone from the inventory: web1" in line for line in fleet.told)


def scheduled(start_at: datetime, **more: object) -> dict[str, object]:
    return {"scheduling": {"start_at": start_at.isoformat()} | more}


def test_a_scheduled_job_starts_once_when_its_time_has_come(fleet: Fleet) -> None:
    fleet.job(parameters=scheduled(NOON + timedelta(minutes=2)), query="*")
    fleet.go(1)
    assert [each.record.state for each in fleet.stored()] == ["scheduled"]
    fleet.hosts("web1", "web2", "web3")
    fleet.go(1)
    fleet.go(1)
    (only,) = fleet.stored()
    assert sorted(fleet.ran()) == ["web1", "web2"], "static hosts are those of when it was taken over"
    assert only.record.provenance is not None
    assert (only.record.status, only.record.provenance.trigger) == (0, "scheduling")


def test_a_start_that_misses_its_start_before_is_cancelled(fleet: Fleet) -> None:
    times = scheduled(NOON + timedelta(minutes=1), start_before=(NOON + timedelta(minutes=2)).isoformat())
    fleet.job(parameters=times)
    fleet.go()
    fleet.go(3)
    (only,) = fleet.stored()
    assert (only.record.status, only.record.code, fleet.ran()) == (4, "start_before", [])


def test_start_before_passing_while_others_take_all_the_places_cancels_as_well(fleet: Fleet) -> None:
    fleet.settings(parallel_invocations=1)
    fleet.scheduler = fleet.another()
    fleet.job(EVERY_MINUTE, wait=True, name="long")
    fleet.go()
    times = scheduled(NOON + timedelta(minutes=2), start_before=(NOON + timedelta(minutes=3)).isoformat())
    fleet.job(parameters=times)
    fleet.start(1)
    fleet.await_started(1)
    assert len(fleet.start(1).started) == 1, "it waits for a place"
    fleet.clock.move(120)
    fleet.open_gate()
    assert [each.record.code for each in fleet.stored() if each.occurrence is None] == ["start_before"]


@pytest.mark.parametrize(
    ("broken", "code", "exit_code"),
    [
        ({"query": "name = nobody", "parameters": DYNAMIC}, "no-host-matched", 4),
        ({"query": "*", "parameters": DYNAMIC, "max_targets": 1}, "policy", 12),
        ({"parameters": {"password": {"env": "NOT_SET"}}}, "secret", 3),
        ({"parameters": {"password": {"prompt": True}}}, "secret", 3),
    ],
)
def test_a_job_that_cannot_run_when_it_is_due_says_so_in_history_and_others_go_on(
    fleet: Fleet, broken: dict[str, Any], code: str, exit_code: int
) -> None:
    fleet.job(EVERY_MINUTE, name="broken", **broken)
    fleet.job(EVERY_MINUTE, name="fine")
    fleet.go()
    fleet.go(1)
    ended = {each.record.description: (each.record.code, each.exit_code) for each in fleet.stored()}
    assert ended == {"broken": (code, exit_code), "fine": ("", 0)}
    assert fleet.ran() == ["web1"]
    assert fleet.scheduler.exit_codes == {0, exit_code}


def test_a_file_that_breaks_keeps_its_times_and_its_runs_are_told_as_failed(fleet: Fleet) -> None:
    file = fleet.job(EVERY_MINUTE)
    fleet.go()
    good = file.read_text()
    file.write_text(good.replace("static_query", "no_query"))
    fleet.go(1)
    file.write_text(good)
    fleet.go(1)
    assert [each.record.code for each in fleet.stored()] == ["invalid", ""]
    assert any("job.json is not taken over" in line for line in fleet.told)


def test_a_changed_file_is_seen_by_the_next_pass(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE)
    fleet.go()
    fleet.job({"cron_line": "30 * * * *"}, query="web2")
    fleet.go(1)
    assert fleet.ran() == []
    fleet.go(29)
    assert fleet.ran() == ["web2"]


def test_schedulers_on_one_store_start_everything_once(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE)
    fleet.go()
    others = [fleet.another() for _ in range(2)]
    for minute in range(1, 5):
        fleet.clock.move(60)
        started = [each.start_due().started for each in (fleet.scheduler, *others)]
        assert sum(map(len, started)) == 1, minute
        assert all(each.wait(60) for each in (fleet.scheduler, *others))
    assert fleet.minutes() == [1, 2, 3, 4]


@pytest.mark.parametrize("hours", [1, -1, 24 * 3652, -24 * 3652])
def test_a_clock_that_jumps_and_comes_back_loses_and_doubles_no_run(fleet: Fleet, hours: float) -> None:
    fleet.job({"cron_line": "0 * * * *"})
    fleet.go()
    fleet.go(60)
    ran = len(fleet.ran())
    assert ran == 1
    fleet.go(60 * hours)
    fleet.go(-60 * hours)
    storm = len(fleet.ran()) - ran
    assert storm <= 1, "at most one is caught up"
    for _ in range(3):
        fleet.go(60)
    expected = {60.0, 120.0, 180.0, 240.0}
    times = fleet.minutes()
    assert len(times) == len(set(times)), "none twice"
    assert expected <= set(times), "none lost"


def test_a_clock_that_was_never_set_starts_nothing_and_says_so_once(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE)
    fleet.go()
    fleet.clock.now = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    fleet.go()
    fleet.go(1)
    assert sum("waiting until it is set" in line for line in fleet.told) == 1
    fleet.clock.now = NOON + timedelta(minutes=1)
    fleet.go()
    assert fleet.minutes() == [1]


def test_a_scheduler_told_to_end_starts_nothing_and_leaves_waiting_hosts_to_the_next(fleet: Fleet) -> None:
    one_by_one = {"concurrency_control": {"concurrency_level": 1}}
    fleet.job(EVERY_MINUTE, wait=True, query="*", parameters=one_by_one)
    fleet.go()
    fleet.start(1)
    fleet.await_started(1)
    fleet.scheduler.refrain()
    assert not fleet.scheduler.wait(0)
    fleet.open_gate()
    fleet.start(1)
    assert fleet.ran() == ["web1"]
    assert [share.state for share in fleet.stored()[0].shares] == ["stopped", "queued"]


def test_the_next_scheduler_finishes_what_one_that_ended_left(fleet: Fleet) -> None:
    fleet.job(
        EVERY_MINUTE | {"max_iteration": 1},
        query="*",
        wait=True,
        parameters={"concurrency_control": {"concurrency_level": 1}},
    )
    with ExitStack() as stack:
        dying = fleet.another(stack)
        dying.start_due()
        fleet.clock.move(60)
        dying.start_due()
        fleet.await_started(1)
        dying.refrain()
        fleet.gate.touch()
        assert dying.wait(60)
    fleet.go()
    assert fleet.ran() == ["web1", "web2"]
    assert [each.record.status for each in fleet.stored()] == [0]


def test_what_was_claimed_and_never_begun_is_taken_over_and_run_anew(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE | {"max_iteration": 1})
    fleet.settings(parallel_invocations=1)
    with ExitStack() as stack:
        dying = fleet.another(stack)
        dying.start_due()
        dying.refrain()
        fleet.clock.move(60)
        assert len(dying.start_due().started) == 1
        assert fleet.go().started == (), "its runner lives"
    fleet.go()
    assert fleet.minutes() == [1]
    assert any("taken over" in line for line in fleet.told)


def test_what_was_left_long_ago_goes_on_only_when_a_person_says_so(fleet: Fleet) -> None:
    fleet.job(EVERY_MINUTE | {"max_iteration": 1})
    with ExitStack() as stack:
        dying = fleet.another(stack)
        dying.start_due()
        dying.refrain()
        fleet.clock.move(60)
        dying.start_due()
    fleet.clock.move(timedelta(days=2).total_seconds())
    assert fleet.go().started == ()
    assert fleet.minutes() == []
    assert any("`chargehand resume 1` goes on" in line for line in fleet.told)


NIGHTS = {
    "clocks_go_forward": (
        datetime(2027, 3, 27, 22, tzinfo=UTC),
        {
            "30 2 * * *": ["01:00"],
            "0 3 * * *": ["01:00"],
            "15 1-3 * * *": ["00:15", "01:00", "01:15"],
            "*/30 2 * * *": [],
        },
    ),
    "clocks_go_back": (
        datetime(2027, 10, 30, 22, tzinfo=UTC),
        {
            "30 2 * * *": ["00:30"],
            "0 3 * * *": ["02:00"],
            "15 1-3 * * *": ["23:15", "00:15", "02:15"],
            "*/30 2 * * *": ["00:00", "00:30", "01:00", "01:30"],
        },
    ),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a hundred restarts: once will do
@pytest.mark.parametrize("night", NIGHTS)
def test_a_night_of_berlin_with_a_restart_every_few_minutes_runs_everything_once(
    fleet: Fleet, night: str
) -> None:
    fleet.clock.now, expected = NIGHTS[night]
    for number, line in enumerate(expected):
        fleet.job({"cron_line": line}, name=f"job{number}", time_zone="Europe/Berlin", script="true")
    for _ in range(6 * 60 // 7):
        with ExitStack() as stack:
            fleet.restart(stack)
            fleet.go(7)
    ran: dict[str, list[str]] = {line: [] for line in expected}
    lines = list(expected)
    for each in fleet.stored():
        assert each.record.provenance is not None
        assert each.occurrence is not None
        name = each.record.provenance.job_name
        ran[lines[int(name.removeprefix("job"))]].append(f"{each.occurrence:%H:%M}")
    assert ran == expected
    assert set(fleet.became()) <= {"stopped succeeded", "late"}
