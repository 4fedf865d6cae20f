"""Schedulers as processes: many on one store, killed, told to end, and with clocks that jump."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargehand.moment import utc_now
from chargehand.store import Store, Stored, open_store
from clocks import LIBRARY, WallClock, forget_shared
from databases import Server, _server, postgres
from repository import Repository, Running, is_running
from sshd import wait_until

__all__ = ["_server", "postgres"]

Hosts = Callable[..., Repository]

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVERY_MINUTE = {"recurrence": {"cron_line": "* * * * *"}}
faked = pytest.mark.skipif(
    LIBRARY is None and not os.environ.get("CI"), reason="libfaketime is not installed (Debian: faketime)"
)


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path, NOON + timedelta(seconds=30))


@pytest.fixture
def local(repository: Repository) -> Repository:
    repository.hosts({"here": {"ansible_connection": "local"}})
    return repository


def stored(store: Store) -> list[Stored]:
    """Every invocation, oldest first."""
    records = store.history.page(limit=1000, oldest_first=True).records
    return [store.history.find(record.id, with_output=False) for record in records]


@pytest.fixture
def read(repository: Repository) -> Iterator[Callable[[], list[Stored]]]:
    """Reads every invocation of the repository's own store."""
    with ExitStack() as stack:
        opened: list[Store] = []

        def read() -> list[Stored]:
            if not opened:
                state = repository.root / ".chargehand"
                opened.append(stack.enter_context(open_store("", state=state, clock=utc_now)))
            return stored(opened[0])

        yield read


@faked
def test_three_that_serve_and_a_tick_each_second_start_sixty_occurrences_once_though_two_are_killed(
    local: Repository, clock: WallClock, postgres: Server, tmp_path: Path
) -> None:
    url, ledger = postgres.create(), tmp_path / "ledger"
    local.settings(store=url)
    local.environ |= clock.environ
    local.job(
        f'echo "$0" >> {ledger}',
        parameters=EVERY_MINUTE,
        overlap="allow",
        catch_up={"runs": "all", "window": "6h"},
    )
    last = NOON + timedelta(minutes=60)
    assert local.chargehand("tick").code == 0
    with ExitStack() as stack:
        serves = [stack.enter_context(local.start("serve", "--interval", "0.2")) for _ in range(3)]
        for each in serves:
            stack.callback(forget_shared, each.pid)
            each.await_told("serving")
        store = stack.enter_context(open_store(url, state=tmp_path / "state", clock=utc_now))
        with clock.rushing(40):
            for doomed, at in ((serves[0], 15), (serves[1], 35), (None, 60)):
                while clock.now < NOON + timedelta(minutes=at, seconds=1):
                    begun = time.monotonic()
                    local.chargehand("tick")
                    time.sleep(max(0.0, 1 - (time.monotonic() - begun)))
                if doomed:
                    doomed.signal(signal.SIGKILL)
        clock.set(last + timedelta(seconds=5))

        def due() -> list[Stored]:
            return [each for each in stored(store) if each.occurrence and each.occurrence <= last]

        wait_until(
            lambda: Counter(each.record.state for each in due()) == {"stopped": 60},
            180,
            "all of them are over",
        )
        found = due()
        serves[2].signal(signal.SIGTERM)
        assert serves[2].answer().code == 143
    wanted = [NOON + timedelta(minutes=minute) for minute in range(1, 61)]
    assert sorted(each.occurrence for each in found if each.occurrence) == wanted
    tokens = [Path(line).parent.name.removeprefix(".chargehand-") for line in ledger.read_text().split()]
    assert max(Counter(tokens).values()) == 1, "no script ran twice"
    shares = [share for each in found for share in each.shares]
    assert len(shares) == 60, "every occurrence ran"
    sure = {share.token for share in shares if share.status == "succeeded"}
    assert sure <= set(tokens)
    assert {share.status for share in shares} <= {"succeeded", "unknown"}
    assert len(sure) >= 58, "each kill leaves at most the script in doubt that ran just then"
    assert Path(local.root / "inventory.json").exists()


@faked
def test_jumps_of_the_clock_lose_no_run_and_double_none(
    local: Repository, clock: WallClock, read: Callable[[], list[Stored]], tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    local.environ |= clock.environ
    local.job(f"echo ran >> {ledger}", parameters={"recurrence": {"cron_line": "0 * * * *"}})
    with local.start("serve", "--interval", "0.2") as serving:
        serving.await_told("taken over")
        for hours in (1, -1, 24 * 3652, -24 * 3652, 1, 1):
            clock.move(hours=hours)
            local.chargehand("tick")
            # What still ran would keep the next one from starting, by its overlap.
            wait_until(lambda: all(each.record.state == "stopped" for each in read()), 60, "all is over")
        serving.signal(signal.SIGTERM)
        assert serving.answer().code == 143
        forget_shared(serving.pid)
    ran = [each.occurrence for each in read() if each.shares and each.occurrence]
    near = sorted(each for each in ran if each < NOON + timedelta(days=1))
    assert near == [NOON + timedelta(hours=hour) for hour in (1, 2)]
    assert len(ran) == 3, "of ten years that were skipped, one run is caught up"
    assert len(ledger.read_text().split()) == 3


class Started:
    """A job on real hosts that `serve` starts in a moment."""

    def __init__(
        self, repository: Repository, tmp_path: Path, *words: str, script: str = "", **own: Any
    ) -> None:
        self.repository = repository
        self.pids, self.gate = tmp_path / "pids", tmp_path / "gate"
        wait = script or f"until [ -e {self.gate} ]; do sleep 0.05; done"
        start_at = datetime.now(UTC) + timedelta(seconds=2)
        one_by_one = {"concurrency_control": {"concurrency_level": 1}}
        repository.job(
            f"#!/bin/sh\necho $$ >> {self.pids}\n{wait}\n",
            parameters={"scheduling": {"start_at": start_at.isoformat()}} | one_by_one,
            **own,
        )
        self.serving: Running = repository.start("serve", "--interval", "0.2", *words)

    def await_scripts(self, number: int) -> None:
        wait_until(lambda: len(self.written()) == number, 60, f"{number} scripts run")

    def written(self) -> list[str]:
        return self.pids.read_text().split() if self.pids.exists() else []

    def alive(self) -> list[str]:
        return [pid for pid in self.written() if is_running(pid)]


@pytest.mark.sshd
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_hosts_that_run_may_finish_and_those_that_wait_are_left_to_the_next(
    hosts: Hosts, tmp_path: Path, read: Callable[[], list[Stored]], number: signal.Signals, code: int
) -> None:
    started = Started(hosts("web1", "web2"), tmp_path)
    with started.serving as serving:
        started.await_scripts(1)
        serving.signal(number)
        serving.await_told("have 30 s to finish")
        started.gate.touch()
        assert serving.answer().code == code
    (only,) = read()
    assert [(share.state, share.status) for share in only.shares] == [
        ("stopped", "succeeded"),
        ("queued", "pending"),
    ]
    assert started.repository.chargehand("tick").code == 0
    (only,) = read()
    assert (only.record.state, only.record.status, len(started.written())) == ("stopped", 0, 2)
    assert started.repository.left() == []


@pytest.mark.sshd
def test_hosts_that_run_longer_than_the_grace_are_stopped_and_recorded(
    hosts: Hosts, tmp_path: Path, read: Callable[[], list[Stored]]
) -> None:
    started = Started(hosts("web1"), tmp_path, "--grace", "0.5", script="exec sleep 600")
    with started.serving as serving:
        started.await_scripts(1)
        serving.signal(signal.SIGTERM)
        assert serving.answer().code == 143
    (only,) = read()
    assert [(share.state, share.status) for share in only.shares] == [("stopped", "cancelled")]
    assert (started.alive(), started.repository.left()) == ([], [])


@pytest.mark.sshd
def test_a_second_signal_leaves_at_once_and_what_ran_is_asked_for_later(
    hosts: Hosts, tmp_path: Path, read: Callable[[], list[Stored]]
) -> None:
    started = Started(hosts("web1"), tmp_path, script="exec sleep 600")
    with started.serving as serving:
        started.await_scripts(1)
        serving.signal(signal.SIGTERM)
        serving.await_told("have 30 s to finish")
        serving.signal(signal.SIGTERM)
        assert serving.answer().code == 143
    (only,) = read()
    assert (only.record.state, only.shares[0].status) == ("running", "pending")
    wait_until(lambda: not started.alive(), 60, "the host ends what lost its connection")
    assert started.repository.chargehand("tick").code == 13
    (only,) = read()
    assert (only.record.state, only.shares[0].status, len(started.written())) == ("stopped", "unknown", 1)


def test_settings_are_read_again_on_a_hangup_and_broken_ones_change_nothing(local: Repository) -> None:
    with local.start("serve", "--interval", "0.2") as serving:
        serving.await_told("serving")
        good = (local.root / "chargehand.toml").read_text()
        (local.root / "chargehand.toml").write_text("parallel_invocations = 0\n")
        serving.signal(signal.SIGHUP)
        serving.await_told("going on with the settings of before")
        (local.root / "chargehand.toml").write_text(good)
        serving.signal(signal.SIGHUP)
        serving.await_told("chargehand.toml is read again")
        serving.signal(signal.SIGTERM)
        assert serving.answer().code == 143


def test_a_tick_says_nothing_when_nothing_is_due(local: Repository) -> None:
    local.job(parameters={"recurrence": {"cron_line": "0 0 1 1 *"}})
    first, second = local.chargehand("tick"), local.chargehand("tick")
    assert (first.code, "taken over" in first.stderr) == (0, True)
    assert (second.code, second.stdout, second.stderr) == (0, "", "")


@faked
def test_a_tick_ends_as_the_worst_run_did_or_with_11_when_all_was_skipped(
    local: Repository, clock: WallClock, tmp_path: Path
) -> None:
    """Ten minutes of the clock between its steps, which goes on while a busy machine takes its time."""
    gate = tmp_path / "gate"
    local.environ |= clock.environ
    local.job("exit 3", name="failing", parameters={"recurrence": {"cron_line": "10 12 * * *"}})
    local.job(parameters={"recurrence": {"cron_line": "10 12 * * *"}}, name="fine")
    local.job(
        f"until [ -e {gate} ]; do sleep 0.05; done",
        name="long",
        parameters={"recurrence": {"cron_line": "20,30 12 * * *"}},
    )
    assert local.chargehand("tick").code == 0
    clock.set(NOON + timedelta(minutes=10))
    both = local.chargehand("tick")
    assert both.code == 5
    assert "ended: 1 failed of 1 host" in both.stderr
    clock.set(NOON + timedelta(minutes=20))
    with local.start("tick") as long:
        long.await_told("started")
        clock.set(NOON + timedelta(minutes=30))
        skipped = local.chargehand("tick")
        assert (skipped.code, "the run before it still went on" in skipped.stderr) == (11, True)
        gate.touch()
        assert long.answer().code == 0
