"""The runner, with hosts that act by a script."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.connection import ConnectionSettings
from chargehand.errors import UsageError
from chargehand.event import (
    Event,
    HostConnecting,
    HostFinished,
    HostOutput,
    HostStarted,
    Notice,
    RunFinished,
    RunStarted,
)
from chargehand.limits import Limits, Retry, split_waves
from chargehand.provider import Ending, NotStarted, Stop, Unreachable, find_provider
from chargehand.result import JobResult, Status
from chargehand.runner import Runner
from chargehand.runner.descriptors import affordable
from chargehand.runner.outcome import outcome_of
from chargehand.script import RenderedScript
from chargehand.secret import Secret
from chargehand.share import TemplateInvocation, Trouble
from chargehand.strand import HUBS, Signal
from chargehand.testing import Act, ScriptedProvider
from laws import tried

PATIENCE_S = 10.0


def share(
    name: str, *, secrets: tuple[Secret, ...] = (), timeout_s: float | None = None
) -> TemplateInvocation:
    script = RenderedScript(content=b"true\n", timeout_s=timeout_s)
    return TemplateInvocation(
        host=name, host_id=7, settings=ConnectionSettings(address=name), script=script, secrets=secrets
    )


def unrendered(name: str) -> TemplateInvocation:
    trouble = Trouble("render", "template `T`, line 3: `servce` is undefined")
    return TemplateInvocation(host=name, settings=ConnectionSettings(address=name), trouble=trouble)


def names(count: int) -> list[str]:
    return [f"web{number:02}" for number in range(1, count + 1)]


class Script:
    """An observer that keeps what it hears and lets a test act when something is heard."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._change = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._change:
            self.events.append(event)
            self._change.notify_all()

    def wait(self, happened: Callable[[list[Event]], bool]) -> None:
        with self._change:
            assert self._change.wait_for(lambda: happened(self.events), PATIENCE_S), self.events

    def started(self) -> list[str]:
        return [event.host for event in self.events if isinstance(event, HostStarted)]

    def notices(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Notice)]


@pytest.fixture
def heard() -> Script:
    return Script()


@pytest.fixture
def run(tmp_path, heard):
    """Run hosts that act as told; a run still going at the end of the test fails it."""

    def run(provider: ScriptedProvider, shares: Sequence[TemplateInvocation], **limits: object) -> JobResult:
        return Runner(Limits(**limits), [heard], spool=tmp_path, find_provider=provider.find).run(shares)

    return run


@pytest.fixture
def background(tmp_path, heard):
    """Start a run in a thread: gives the runner and a function that waits for the result."""
    threads: list[threading.Thread] = []

    def start(provider: ScriptedProvider, shares: Sequence[TemplateInvocation], **limits: object):
        patience_s = limits.pop("patience_s", (PATIENCE_S, 0.2))
        runner = Runner(
            Limits(**limits), [heard], spool=tmp_path, find_provider=provider.find, patience_s=patience_s
        )
        results: list[JobResult] = []
        thread = threading.Thread(target=lambda: results.append(runner.run(shares)))
        thread.start()
        threads.append(thread)

        def wait() -> JobResult:
            thread.join(PATIENCE_S)
            assert results, "the run did not end"
            return results[0]

        return runner, wait

    yield start
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def statuses(result: JobResult) -> dict[str, str]:
    return {each.host: each.status.value for each in result.results}


def test_every_host_has_a_result_in_the_order_given_whatever_order_they_end_in(run):
    acts = {"web01": Act(takes_s=0.05), "web02": Act(exit_status=3), "web03": Act()}
    result = run(ScriptedProvider(acts), [share(name) for name in names(3)], concurrency_level=3)
    assert [each.host for each in result.results] == names(3)
    assert statuses(result) == {"web01": "succeeded", "web02": "failed", "web03": "succeeded"}
    failed = result.results[1]
    assert (failed.exit_status, failed.reason, failed.host_id) == (3, "exit status 3", 7)
    assert result.exit_code == 5


def test_never_more_hosts_at_once_than_the_concurrency_level(run):
    provider = ScriptedProvider(otherwise=Act(takes_s=0.005))
    run(provider, [share(name) for name in names(60)], concurrency_level=4)
    assert provider.doors.at_once == 4
    assert provider.doors.opened == provider.doors.closed == 60


def test_hosts_start_in_the_order_given(run):
    provider = ScriptedProvider()
    order = list(reversed(names(20)))
    run(provider, [share(name) for name in order], concurrency_level=1)
    assert provider.visited == order


def test_a_freed_slot_is_refilled_at_once_while_another_host_hangs_and_sessions_close_slowly(run, heard):
    acts = {"web01": Act(takes_s=1.5)}
    provider = ScriptedProvider(acts, otherwise=Act(parting_s=0.03))
    run(provider, [share(name) for name in names(8)], concurrency_level=2)
    # One slot serves seven hosts while the first host runs.
    ended = [event.result.host for event in heard.events if isinstance(event, HostFinished)]
    assert ended[-1] == "web01"
    assert provider.doors.at_once == 2


def test_the_events_of_a_host_come_in_the_order_in_which_they_happen(run, heard):
    act = Act(output=[("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three")])
    result = run(ScriptedProvider(otherwise=act), [share("web01")])
    kinds = [type(event) for event in heard.events]
    assert kinds[:3] == [RunStarted, HostConnecting, HostStarted]
    assert kinds[-2:] == [HostFinished, RunFinished]
    assert heard.events[-1].result is result
    told = {"stdout": b"", "stderr": b""}
    for event in heard.events:
        if isinstance(event, HostOutput):
            told[event.stream] += event.chunk
    assert told == {"stdout": b"one\nthree", "stderr": b"two\n"}
    assert result.results[0].stdout.head == b"one\nthree"
    assert result.results[0].stderr.head == b"two\n"
    assert result.results[0].started_at == heard.events[2].at


def test_a_host_whose_script_did_not_render_is_not_connected_to(run):
    provider = ScriptedProvider()
    result = run(provider, [share("web01"), unrendered("web02"), share("web03")])
    assert sorted(provider.visited) == ["web01", "web03"]
    assert statuses(result) == {"web01": "succeeded", "web02": "not_started", "web03": "succeeded"}
    assert (result.results[1].code, result.results[1].attempts) == ("render", 0)


def test_a_run_of_no_hosts_ends(run):
    assert run(ScriptedProvider(), []).results == ()


def test_unreachable_and_not_started_are_told_apart(run):
    acts = {
        "web01": Act(unreachable=[Unreachable("auth", "login refused")]),
        "web02": Act(not_started=NotStarted("no-space", "no room in /tmp", noise="motd")),
        "web03": Act(lost="the connection broke"),
        "web04": Act(signal="SEGV"),
    }
    result = run(ScriptedProvider(acts), [share(name) for name in names(4)])
    assert [(each.status.value, each.code) for each in result.results] == [
        ("unreachable", "auth"),
        ("not_started", "no-space"),
        ("unknown", "connection-lost"),
        ("failed", "signal"),
    ]
    assert result.results[1].noise == "motd"
    assert result.results[3].reason == "killed by SIGSEGV (exit 139)"


def test_a_wave_begins_when_the_one_before_is_done(run, heard):
    provider = ScriptedProvider(otherwise=Act(takes_s=0.01))
    run(provider, [share(name) for name in names(10)], concurrency_level=10, waves=(1, "30%", "100%"))
    finished: set[str] = set()
    before = {"web02": names(1), "web04": names(1), "web05": names(4), "web10": names(4)}
    for event in heard.events:
        if isinstance(event, HostConnecting):
            assert set(before.get(event.host, [])) <= finished
        elif isinstance(event, HostFinished):
            finished.add(event.result.host)
    assert finished == set(names(10))


def test_the_pause_between_waves_is_kept(run):
    begin = time.monotonic()
    run(ScriptedProvider(), [share(name) for name in names(3)], waves=(1,), wave_pause_s=0.1)
    assert 0.2 <= time.monotonic() - begin < 2


def test_too_many_failed_hosts_and_the_rest_is_skipped(run):
    provider = ScriptedProvider(otherwise=Act(exit_status=1))
    result = run(provider, [share(name) for name in names(10)], concurrency_level=1, stop_after=3)
    assert provider.visited == names(3)
    assert result.counts == {Status.FAILED: 3, Status.SKIPPED: 7}
    assert (result.stopped, result.exit_code) == ("stop_after", 8)
    assert result.results[9].reason == "never started: too many hosts had failed"


def test_a_percentage_of_failed_hosts_is_of_all_hosts_and_rounded_up(run):
    acts = {"web02": Act(exit_status=1), "web04": Act(lost="gone")}
    provider = ScriptedProvider(acts)
    result = run(provider, [share(name) for name in names(9)], concurrency_level=1, stop_after="20%")
    assert provider.visited == names(4)
    assert result.stopped == "stop_after"


def test_hosts_that_did_not_render_count_as_failed_before_anybody_is_touched(run):
    provider = ScriptedProvider()
    result = run(provider, [share("web01"), unrendered("web02")], stop_after=1)
    assert provider.visited == []
    assert statuses(result) == {"web01": "skipped", "web02": "not_started"}


def test_the_last_failure_of_a_run_stops_nothing(run):
    result = run(ScriptedProvider(otherwise=Act(exit_status=1)), [share("web01")], stop_after=1)
    assert (result.stopped, result.exit_code) == ("", 5)


def test_stop_after_ends_the_run_between_waves(run):
    provider = ScriptedProvider({"web01": Act(exit_status=1)})
    run(provider, [share(name) for name in names(5)], waves=(1, "100%"), stop_after=1)
    assert provider.visited == ["web01"]


def test_at_the_deadline_running_hosts_are_stopped_and_the_rest_is_skipped(run):
    provider = ScriptedProvider({"web02": Act(hang=True)})
    result = run(provider, [share(name) for name in names(3)], concurrency_level=1, deadline_s=0.2)
    assert statuses(result) == {"web01": "succeeded", "web02": "timed_out", "web03": "skipped"}
    assert result.results[1].code == "deadline"
    assert (result.stopped, result.exit_code) == ("deadline", 9)


def test_a_deadline_during_a_pause_between_waves_ends_the_run_at_once(run):
    begin = time.monotonic()
    result = run(
        ScriptedProvider(), [share(name) for name in names(2)], waves=(1,), wave_pause_s=60, deadline_s=0.1
    )
    assert statuses(result) == {"web01": "succeeded", "web02": "skipped"}
    assert time.monotonic() - begin < 5


def test_a_time_limit_of_a_script_is_its_own(run):
    provider = ScriptedProvider({"web01": Act(hang=True)})
    result = run(provider, [share("web01", timeout_s=0.05), share("web02")])
    assert statuses(result) == {"web01": "timed_out", "web02": "succeeded"}


def test_one_host_that_hangs_does_not_hold_the_others_up(background, heard):
    gate = Stop()
    provider = ScriptedProvider({"web01": Act(until=gate)})
    _, wait = background(provider, [share(name) for name in names(50)], concurrency_level=5)
    heard.wait(lambda events: sum(isinstance(event, HostFinished) for event in events) == 49)
    gate.press("everybody else is done")
    assert wait().ok


def test_a_first_stop_stops_the_running_hosts_and_starts_no_others(background, heard):
    provider = ScriptedProvider({"web02": Act(hang=True)})
    runner, wait = background(provider, [share(name) for name in names(3)], concurrency_level=1)
    heard.wait(lambda _: "web02" in heard.started())
    runner.stop()
    result = wait()
    assert statuses(result) == {"web01": "succeeded", "web02": "cancelled", "web03": "cancelled"}
    assert result.results[1].reason == "cancelled while it ran, and stopped on the host"
    assert result.results[2].reason == "cancelled before it started"
    assert (result.cancelled, result.exit_code) == (True, 5)
    assert provider.visited == names(2)


def test_a_second_stop_does_not_wait_for_a_host_that_does_not_let_go(background, heard):
    provider = ScriptedProvider({"web01": Act(hang=True, deaf=True, output=[("stdout", b"half a result")])})
    runner, wait = background(provider, [share("web01")])
    heard.wait(lambda _: bool(heard.started()))
    runner.stop()
    runner.stop(now=True)
    ended = wait().results[0]
    assert (ended.status, ended.code) == (Status.UNKNOWN, "cancel-unconfirmed")
    assert ended.stdout.head == b"half a result"


class StuckProvider(ScriptedProvider):
    """Breaks the contract: its sessions, or its `open`, do not hear the stop button until told by `gate`."""

    def __init__(self, gate: threading.Event, *, opens: bool) -> None:
        super().__init__()
        self.gate = gate
        self.opens = opens

    def open(self, settings, stop, script=None):
        if not self.opens:
            self.gate.wait(PATIENCE_S)
        session = super().open(settings, Stop(), script)
        inner = session.run

        def run(script, watcher, stop):
            watcher.started()
            self.gate.wait(PATIENCE_S)
            return inner(script, watcher, Stop())

        session.run = run
        return session


@pytest.mark.parametrize(("opens", "status"), [(True, "unknown"), (False, "cancelled")])
def test_a_provider_that_does_not_come_back_is_left_behind(background, heard, opens, status):
    gate = threading.Event()
    runner, wait = background(
        StuckProvider(gate, opens=opens), [share("web01")], patience_s=(PATIENCE_S, 0.05)
    )
    heard.wait(lambda events: any(isinstance(e, HostStarted if opens else HostConnecting) for e in events))
    runner.stop(now=True)
    assert statuses(wait()) == {"web01": status}
    told = len(heard.events)
    gate.set()
    assert isinstance(heard.events[told - 1], RunFinished)


def test_a_stop_before_the_run_starts_nothing(tmp_path, heard):
    provider = ScriptedProvider()
    runner = Runner(Limits(), [heard], spool=tmp_path, find_provider=provider.find)
    runner.stop()
    assert statuses(runner.run([share("web01")])) == {"web01": "cancelled"}
    assert provider.visited == []


@pytest.mark.parametrize(
    ("why", "status", "reason"),
    [
        ("could-not-record", "skipped", "never started: could not record"),
        ("told-to-end", "pending", "not started: the runner was told to end"),
        ("taken-over", "pending", "not started: another runner has taken the run over"),
    ],
)
def test_a_runner_that_refrains_starts_nobody_else_and_lets_those_that_run_end(
    background, heard, why, status, reason
):
    gate = Stop()
    provider = ScriptedProvider({"web02": Act(until=gate, exit_status=3)})
    runner, wait = background(provider, [share(name) for name in names(4)], concurrency_level=1)
    heard.wait(lambda _: "web02" in heard.started())
    runner.refrain(why)
    heard.wait(lambda events: sum(isinstance(event, HostFinished) for event in events) == 3)
    gate.press("now it may end")
    result = wait()
    assert statuses(result) == {"web01": "succeeded", "web02": "failed", "web03": status, "web04": status}
    assert (result.results[3].code, result.results[3].reason) == (why, reason)
    assert (result.stopped, result.cancelled, result.exit_code) == (why, False, 5)


def test_a_host_that_is_being_connected_to_is_not_started_by_a_runner_that_refrains(background, heard):
    gate = threading.Event()
    provider = StuckProvider(gate, opens=False)
    runner, wait = background(provider, [share(name) for name in names(2)], concurrency_level=1)
    heard.wait(lambda events: any(isinstance(event, HostConnecting) for event in events))
    runner.refrain("told-to-end")
    heard.wait(lambda events: any(isinstance(event, HostFinished) for event in events))
    gate.set()
    assert statuses(wait()) == {"web01": "pending", "web02": "pending"}
    assert heard.started() == []


def test_a_host_that_would_be_tried_again_stays_to_be_done_when_the_runner_is_told_to_end(background, heard):
    retry = Retry(times=3, delay_s=PATIENCE_S)
    runner, wait = background(
        ScriptedProvider({"web01": refused(9)}), [share("web01")], retry_unreachable=retry
    )
    heard.wait(lambda _: bool(heard.notices()))
    runner.refrain("told-to-end")
    assert statuses(wait()) == {"web01": "pending"}


def test_a_runner_that_refrains_before_the_run_connects_to_nobody(tmp_path, heard):
    provider = ScriptedProvider()
    runner = Runner(Limits(), [heard], spool=tmp_path, find_provider=provider.find)
    runner.refrain("told-to-end")
    assert statuses(runner.run([share("web01")])) == {"web01": "pending"}
    assert provider.visited == []


def test_some_hosts_are_cancelled_and_the_others_run_on(background, heard):
    gate = Stop()
    provider = ScriptedProvider({"web01": Act(hang=True), "web02": Act(until=gate)})
    shares = [share(name) for name in names(6)]
    runner, wait = background(provider, shares, concurrency_level=2, waves=(4, "100%"))
    heard.wait(lambda _: set(heard.started()) == {"web01", "web02"})
    runner.stop_hosts(["web01", "web04", "web05", "nobody"])
    heard.wait(lambda events: sum(isinstance(event, HostFinished) for event in events) == 4)
    gate.press("now it may end")
    result = wait()
    assert statuses(result) == {
        "web01": "cancelled",
        "web02": "succeeded",
        "web03": "succeeded",
        "web04": "cancelled",
        "web05": "cancelled",
        "web06": "succeeded",
    }
    assert result.results[3].reason == "cancelled before it started"
    assert (result.cancelled, result.exit_code) == (False, 5)


def test_a_wave_whose_hosts_are_all_cancelled_is_passed_over(background, heard):
    gate = Stop()
    provider = ScriptedProvider({"web01": Act(until=gate)})
    runner, wait = background(provider, [share(name) for name in names(3)], waves=(1, 1, "100%"))
    heard.wait(lambda _: bool(heard.started()))
    runner.stop_hosts(["web02"])
    heard.wait(lambda events: any(isinstance(event, HostFinished) for event in events))
    gate.press("now it may end")
    assert statuses(wait()) == {"web01": "succeeded", "web02": "cancelled", "web03": "succeeded"}


@pytest.mark.parametrize(
    ("code", "status"),
    [("cancelled", "cancelled"), ("could-not-record", "skipped"), ("taken-over", "pending")],
)
def test_a_host_that_was_kept_from_starting_has_no_trouble_of_its_own(run, code, status):
    provider = ScriptedProvider(otherwise=Act(not_started=NotStarted(code, "not this time")))
    assert statuses(run(provider, [share("web01")])) == {"web01": status}


def test_stop_may_be_called_from_a_signal_handler(tmp_path, heard):
    provider = ScriptedProvider(otherwise=Act(hang=True))
    runner = Runner(Limits(), [heard], spool=tmp_path, find_provider=provider.find)
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.stop())

    def interrupt() -> None:
        heard.wait(lambda _: len(heard.started()) == 2)
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        result = runner.run([share("web01"), share("web02")])
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert set(statuses(result).values()) == {"cancelled"}


def test_a_keyboard_interrupt_goes_on_to_the_caller_and_stops_the_hosts(tmp_path, heard):
    provider = ScriptedProvider(otherwise=Act(hang=True))
    runner = Runner(Limits(), [heard], spool=tmp_path, find_provider=provider.find)

    def interrupt() -> None:
        heard.wait(lambda _: bool(heard.started()))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        runner.run([share("web01")])
    thread.join()
    heard.wait(lambda events: any(isinstance(event, HostFinished) for event in events))


def refused(times: int) -> Act:
    return Act(unreachable=[Unreachable("refused", "connection refused", again=True)] * times)


def test_an_unreachable_host_is_tried_again_while_its_slot_serves_others(run):
    provider = ScriptedProvider({"web01": refused(2)})
    retry = Retry(times=2, delay_s=0.5)
    result = run(provider, [share(name) for name in names(3)], concurrency_level=1, retry_unreachable=retry)
    assert provider.visited == ["web01", "web02", "web03", "web01", "web01"]
    assert (result.results[0].status, result.results[0].attempts) == (Status.SUCCEEDED, 3)


def test_another_try_is_told_of(run, heard):
    run(
        ScriptedProvider({"web01": refused(1)}),
        [share("web01")],
        retry_unreachable=Retry(times=2, delay_s=0.01),
    )
    assert heard.notices() == ["web01: connection refused; try 2 of 3 in 0.01 s"]


def test_a_host_that_comes_twice_is_refused(run):
    with pytest.raises(ValueError, match="twice"):
        run(ScriptedProvider(), [share("web01"), share("web01")])


def test_a_host_that_stays_unreachable_ends_after_its_last_try(run):
    provider = ScriptedProvider({"web01": refused(9)})
    result = run(provider, [share("web01")], retry_unreachable=Retry(times=2, delay_s=0.01))
    assert (len(provider.visited), statuses(result), result.exit_code) == (3, {"web01": "unreachable"}, 6)


def test_a_refused_login_is_never_tried_again(run):
    provider = ScriptedProvider({"web01": Act(unreachable=[Unreachable("auth", "no")] * 2)})
    run(provider, [share("web01")], retry_unreachable=Retry(times=5, delay_s=0.01))
    assert provider.visited == ["web01"]


def test_a_host_waiting_to_be_tried_again_keeps_its_wave_open(run):
    provider = ScriptedProvider({"web01": refused(1)})
    retry = Retry(times=1, delay_s=0.05)
    run(provider, [share(name) for name in names(2)], waves=(1,), retry_unreachable=retry)
    assert provider.visited == ["web01", "web01", "web02"]


def test_a_stop_while_a_host_waits_to_be_tried_again_leaves_it_unreachable(background, heard):
    provider = ScriptedProvider({"web01": refused(9), "web02": Act(hang=True)})
    shares = [share("web01"), share("web02")]
    runner, wait = background(
        provider, shares, concurrency_level=1, retry_unreachable=Retry(times=9, delay_s=60)
    )
    heard.wait(lambda _: bool(heard.started()))
    runner.stop()
    first = wait().results[0]
    assert (first.status, first.code, first.attempts) == (Status.UNREACHABLE, "refused", 1)
    assert first.reason == "connection refused (not tried again: cancelled before it started)"


def test_an_observer_that_raises_is_told_of_once_and_harms_nobody(tmp_path, heard):
    def broken(event: Event) -> None:
        raise OSError("disk full")

    provider = ScriptedProvider()
    runner = Runner(Limits(), [broken, heard], spool=tmp_path, find_provider=provider.find)
    assert runner.run([share(name) for name in names(5)]).ok
    assert heard.notices() == [
        "an observer of this run failed (OSError: disk full); what it shows or keeps may be incomplete"
    ]
    assert sum(isinstance(event, HostFinished) for event in heard.events) == 5


def test_an_error_of_ours_meets_one_host_only(run, caplog):
    act = Act(output=[("stdout", b"before\n")], defect=ZeroDivisionError("ours"))
    result = run(ScriptedProvider({"web02": act}), [share(name) for name in names(3)])
    assert statuses(result) == {"web01": "succeeded", "web02": "unknown", "web03": "succeeded"}
    broken = result.results[1]
    assert (broken.code, broken.stdout.head, result.exit_code) == ("internal", b"before\n", 13)
    entry = broken.reason.split("log entry ")[1].rstrip(")")
    assert any(entry in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_thread_that_is_told_to_exit_takes_only_its_host_along(run):
    provider = ScriptedProvider({"web02": Act(defect=SystemExit(1))})
    result = run(provider, [share(name) for name in names(3)], concurrency_level=1)
    assert statuses(result) == {"web01": "succeeded", "web02": "unknown", "web03": "succeeded"}


def test_a_deadline_that_passes_when_all_is_done_stops_nothing(run):
    provider = ScriptedProvider({"web01": Act(parting_s=0.3)})
    result = run(provider, [share("web01")], deadline_s=0.15)
    assert (result.stopped, result.exit_code) == ("", 0)


def test_only_scripts_whose_end_is_known_are_settled_and_every_session_is_closed(run):
    acts = {"web02": Act(lost="gone"), "web03": Act(exit_status=2), "web04": Act(defect=ValueError("x"))}
    provider = ScriptedProvider(acts)
    run(provider, [share(name) for name in names(4)])
    assert sorted(provider.settled) == ["web01", "web03"]
    assert provider.doors.closed == provider.doors.opened == 4


class Lingering(ScriptedProvider):
    """The first host removes its folder only when the second one's script is through."""

    def __init__(self) -> None:
        super().__init__(strands=True)
        self.through = Signal()
        self.visited_before_settled: list[str] = []

    def open(self, settings, stop, script=None):
        session = super().open(settings, stop, script)
        run = session.run

        def run_and_tell(script, watcher, stop):
            ending = run(script, watcher, stop)
            if settings.address == "web02":
                self.through.set()
            return ending

        def settle() -> None:
            if settings.address == "web01":
                assert self.through.wait(PATIENCE_S)
                Signal().wait(0.05)  # a third host would be visited now
                self.visited_before_settled = list(self.visited)

        session.run, session.settle = run_and_tell, settle
        return session


@pytest.mark.skipif(not HUBS, reason="threads serve one host after the other")
def test_a_slot_goes_to_the_next_host_while_one_removes_its_folder_but_not_while_two_do(run):
    provider = Lingering()
    assert run(provider, [share(name) for name in names(3)], concurrency_level=1).ok
    assert provider.visited_before_settled == ["web01", "web02"]


class Careless(ScriptedProvider):
    """Breaks the contract: closing a session raises."""

    def open(self, settings, stop, script=None):
        session = super().open(settings, stop, script)

        def close() -> None:
            type(session).close(session)
            raise OSError("close failed")

        session.close = close
        return session


def test_a_session_that_fails_to_close_is_told_of_and_changes_no_result(run, heard, caplog):
    assert run(Careless(), [share("web01"), share("web02")], concurrency_level=1).ok
    assert len(heard.notices()) == 2
    assert "OSError" in heard.notices()[0]


@given(text=st.text(min_size=1, max_size=60), cuts=st.lists(st.integers(0, 200), max_size=6))
@tried(40)
def test_a_secret_is_masked_however_the_output_is_cut(tmp_path_factory, text, cuts):
    secret = "hunter2-secret"
    whole = f"{text}{secret}{text}".encode("utf-8", "surrogatepass") + b"\n"
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    heard = Script()
    provider = ScriptedProvider(otherwise=Act(output=[("stdout", piece) for piece in pieces]))
    folder = tmp_path_factory.getbasetemp()
    runner = Runner(Limits(), [heard], spool=folder, find_provider=provider.find)
    result = runner.run([share("web01", secrets=(Secret(secret),))])
    told = b"".join(event.chunk for event in heard.events if isinstance(event, HostOutput))
    assert secret.encode() not in told
    assert result.results[0].stdout.head == told


def test_secrets_in_reasons_and_noise_are_masked_too(run, heard):
    said = "said hunter2-secret"
    acts = {
        "web01": Act(not_started=NotStarted("no-start", said, noise=said)),
        "web02": Act(unreachable=[Unreachable("proxy", said)]),
        "web03": Act(unreachable=[Unreachable("proxy", said, again=True)] * 2),
        "web04": Act(lost=said),
    }
    shares = [share(name, secrets=(Secret("hunter2-secret"),)) for name in acts]
    result = run(ScriptedProvider(acts), shares, retry_unreachable=Retry(times=1, delay_s=0))
    assert [each.reason for each in result.results] == ["said ***"] * 4
    assert result.results[0].noise == "said ***"
    assert "hunter2" not in str(heard.events)


def test_scripts_really_run_through_an_installed_provider(tmp_path, heard):
    script = b"echo out; echo err >&2; exit 3"
    shares = [
        TemplateInvocation(
            host=name,
            settings=ConnectionSettings(address=name, provider="local"),
            script=RenderedScript(content=content, timeout_s=timeout_s),
        )
        for name, content, timeout_s in (("a", script, 30), ("b", b"sleep 60", 0.3), ("c", b"kill -9 $$", 30))
    ]
    result = Runner(Limits(), [heard], spool=tmp_path).run(shares)
    assert (result.results[0].status, result.results[0].exit_status) == (Status.FAILED, 3)
    assert (result.results[0].stdout.text(), result.results[0].stderr.text()) == ("out\n", "err\n")
    assert (result.results[1].status, result.results[1].code) == (Status.TIMED_OUT, "timed_out")
    assert result.results[2].reason == "killed by SIGKILL (exit 137)"


def test_a_provider_that_is_not_installed_is_refused_before_anything_starts(tmp_path, heard):
    odd = TemplateInvocation(
        host="b",
        settings=ConnectionSettings(address="b", provider="carrier-pigeon"),
        script=share("b").script,
    )
    with pytest.raises(UsageError, match="no provider `carrier-pigeon`"):
        Runner(Limits(), [heard], spool=tmp_path, find_provider=find_provider).run([share("a"), odd])
    assert heard.events == []


@pytest.mark.parametrize(("wanted", "free", "expected"), [(500, 256, 32), (10, 256, 10), (5, 3, 1)])
def test_fewer_hosts_at_once_when_few_files_may_be_open(wanted, free, expected):
    assert affordable(wanted, free) == expected


def test_a_reduced_concurrency_is_told(run, heard, monkeypatch):
    monkeypatch.setattr("chargehand.runner.descriptors.free_descriptors", lambda: 64 + 2 * 6)
    provider = ScriptedProvider(otherwise=Act(takes_s=0.01))
    run(provider, [share(name) for name in names(6)], concurrency_level=6)
    assert provider.doors.at_once == 2
    assert heard.notices()[0].startswith("2 instead of 6 hosts at once")


def test_a_thousand_hosts_at_once(run):
    provider = ScriptedProvider(otherwise=Act(takes_s=0.3))
    limited = affordable(1000)
    result = run(provider, [share(f"h{number}") for number in range(1000)], concurrency_level=1000)
    assert result.ok
    assert provider.doors.at_once <= limited


amounts = st.one_of(st.integers(1, 50), st.integers(1, 100).map("{}%".format))


@given(hosts=st.integers(0, 300), sizes=st.lists(amounts, max_size=4))
def test_waves_hold_every_host_once_in_order(hosts, sizes):
    waves = split_waves(range(hosts), sizes)
    assert [host for wave in waves for host in wave] == list(range(hosts))
    assert all(waves)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], [20]),
        ([1, "10%", "100%"], [1, 2, 17]),
        ([5], [5, 5, 5, 5]),
        (["33%"], [6, 6, 6, 2]),
        (["1%", 18], [1, 18, 1]),
    ],
)
def test_the_last_size_of_a_wave_repeats_and_percentages_round_down(sizes, expected):
    assert [len(wave) for wave in split_waves(range(20), sizes)] == expected


@pytest.mark.parametrize("amount", [0, -1, True, "0%", "101%", "10", "ten", 1.5])
def test_what_is_no_number_of_hosts_is_refused(amount):
    with pytest.raises(ValueError, match="neither a number of hosts"):
        Limits(stop_after=amount)


@given(exit_status=st.integers(0, 255))
def test_every_exit_status_but_0_is_a_failure_that_names_it(exit_status):
    outcome = outcome_of(Ending(exit_status=exit_status))
    assert (outcome.status is Status.SUCCEEDED) == (exit_status == 0)
    assert exit_status == 0 or outcome.reason == f"exit status {exit_status}"


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        (Ending(halted="cancelled", exit_status=143), "cancelled", "cancelled"),
        (Ending(halted="timed_out", signal="KILL"), "timed_out", "timed_out"),
        (Ending(halted="idle", signal="TERM"), "timed_out", "idle"),
        (Ending(halted="deadline", signal="TERM"), "timed_out", "deadline"),
        (Ending(lost="gone", halted="cancelled", code="cancel-unconfirmed"), "unknown", "cancel-unconfirmed"),
        (Ending(), "unknown", "no-end"),
        (Ending(signal="RTMIN+3"), "failed", "signal"),
    ],
)
def test_what_an_ending_means(ending, status, code):
    outcome = outcome_of(ending)
    assert (outcome.status.value, outcome.code) == (status, code)
