"""A run written down while it happens, into real databases."""

import dataclasses
import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chargehand.connection import ConnectionSettings
from chargehand.errors import StoreError, UsageError
from chargehand.event import HostFinished, HostStarted
from chargehand.limits import Limits
from chargehand.provenance import Launch, Provenance
from chargehand.provider import Stop, Unreachable
from chargehand.recording import Book, Ledger, called_off
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.result import JobResult, Status
from chargehand.runner import Runner
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation, Trouble
from chargehand.store import Share, Store, StoredShare, open_store
from chargehand.store.entry import Chunk, Entry, Outcome
from chargehand.testing import Act, ScriptedProvider
from databases import QUICK

PATIENCE_S = 20.0


def now() -> datetime:
    return datetime.now(UTC)


def names(count: int) -> list[str]:
    return [f"web{number:02}" for number in range(1, count + 1)]


def share(name: str) -> TemplateInvocation:
    script = RenderedScript(content=b"true\n")
    return TemplateInvocation(host=name, host_id=7, settings=ConnectionSettings(address=name), script=script)


class Heard:
    """An observer that lets a test wait until something is heard."""

    def __init__(self) -> None:
        self._events: list[object] = []
        self._change = threading.Condition()

    def __call__(self, event: object) -> None:
        with self._change:
            self._events.append(event)
            self._change.notify_all()

    def wait(self, kind: type, count: int = 1) -> None:
        with self._change:
            heard = self._change.wait_for(lambda: self.count(kind) >= count, PATIENCE_S)
        assert heard, self._events

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self._events)


class Recorded:
    """One invocation, run on hosts that act as told and written down as it happens.

    Attributes:
        id: Of the invocation.
        book: The invocation, held by a runner of its own.
        ledger: What writes it down.
        runner: What runs it.
        heard: What was told of it.
    """

    def __init__(
        self, store: Store, state: Path, spool: Path, provider: ScriptedProvider, hosts: list[str], **options
    ) -> None:
        self.shares = [share(name) for name in hosts]
        self.provider, self.heard = provider, Heard()
        self._registered = store.runners.register(state)
        record = InvocationRecord(
            id=0,
            description="a job",
            job_category="Tests",
            task_id=str(uuid.uuid4()),
            state="running",
            targeting=TargetingRecord(
                id=0,
                search_query="*",
                targeting_type="static_query",
                hosts=tuple((each.host, each.host_id) for each in self.shares),
            ),
            start_at=now(),
            begun=True,
            provenance=Provenance(user="ops"),
        )
        rows = [Share(host_name=each.host, host_id=7, token=each.script.token) for each in self.shares]
        runner_id = self._registered.id
        self.id = store.invocations.create(
            record, Launch(job="{}"), rows, runner_id=runner_id, created_at=now()
        )
        self.book = Book(record=dataclasses.replace(record, id=self.id), store=store, runner_id=runner_id)
        kept = {"kept_bytes": options.pop("kept_bytes")} if "kept_bytes" in options else {}
        ids = {each.host_name: each.id for each in self.stored().shares}
        self.ledger = Ledger(
            store,
            self.id,
            runner_id=runner_id,
            shares=[(each, ids[each.host]) for each in self.shares],
            clock=now,
            **kept,
        )
        self.runner = Runner(
            Limits(**options),
            [self.ledger, self.heard],
            spool=spool,
            find_provider=self.ledger.recorded(provider.find),
            patience_s=(PATIENCE_S, 0.2),
        )

    def run(self) -> JobResult:
        with self.ledger.opened(self.runner):
            return self.runner.run(self.shares)

    def start(self) -> Callable[[], JobResult]:
        """Run in a thread; gives what waits for the result."""
        results: list[JobResult] = []
        thread = threading.Thread(target=lambda: results.append(self.run()))
        thread.start()

        def wait() -> JobResult:
            thread.join(PATIENCE_S)
            assert results, "the run did not end"
            return results[0]

        return wait

    def stored(self, store: Store | None = None):
        return (store or self.book.store).history.find(self.id)

    def states(self, store: Store | None = None) -> dict[str, tuple[str, str]]:
        return {each.host_name: (each.state, each.status) for each in self.stored(store).shares}

    def close(self) -> None:
        self.runner.stop(now=True)
        self._registered.close()


@pytest.fixture
def other(database_url, state, store) -> Iterator[Store]:
    """What somebody else sees of the same database."""
    with open_store(database_url, state=state, clock=now, waits=QUICK) as opened:
        yield opened


@pytest.fixture
def recorded(store, state, tmp_path) -> Iterator[Callable[..., Recorded]]:
    made: list[Recorded] = []

    def record(acts: Mapping[str, Act] | ScriptedProvider, hosts: int | list[str] = 1, **options) -> Recorded:
        provider = acts if isinstance(acts, ScriptedProvider) else ScriptedProvider(acts)
        chosen = names(hosts) if isinstance(hosts, int) else hosts
        made.append(Recorded(store, state, tmp_path, provider, chosen, **options))
        return made[-1]

    yield record
    for each in made:
        each.close()


class Spying(ScriptedProvider):
    """Looks with other eyes at what is in the store whenever a script is sent or a host may forget."""

    def __init__(self, look: Callable[[], dict[str, StoredShare]], **rest) -> None:
        super().__init__(**rest)
        self.look = look
        self.sent: dict[str, StoredShare] = {}
        self.forgotten: dict[str, StoredShare] = {}

    def open(self, settings, stop, script=None):
        session = super().open(settings, stop, script)
        run, settle = session.run, session.settle

        def spied_run(script, watcher, stop):
            self.sent[settings.address] = self.look()[settings.address]
            assert self.sent[settings.address].token == script.token
            return run(script, watcher, stop)

        def spied_settle():
            self.forgotten[settings.address] = self.look()[settings.address]
            settle()

        session.run, session.settle = spied_run, spied_settle
        return session


def test_the_intent_is_in_the_store_before_a_script_is_sent_and_the_outcome_before_a_host_may_forget(
    recorded, other
):
    spy = Spying(
        lambda: {each.host_name: each for each in run.stored(other).shares},
        acts={"web03": Act(exit_status=3)},
        otherwise=Act(output=[("stdout", b"hello\n")]),
    )
    run = recorded(spy, 12, concurrency_level=4)
    result = run.run()
    assert {each.state for each in spy.sent.values()} == {"starting"}
    assert all(each.intended_at is not None for each in spy.sent.values())
    assert {host: each.status for host, each in spy.forgotten.items()} == {
        each.host: each.status.value for each in result.results
    }
    assert {each.state for each in spy.forgotten.values()} == {"stopped"}
    stored = run.stored(other)
    assert all(each.settled for each in stored.shares)
    assert [each.result.status for each in stored.shares] == [each.status for each in result.results]


def test_the_end_of_a_run_is_written_with_its_counters_and_its_exit_code(recorded, other):
    run = recorded({"web02": Act(exit_status=1)}, 3)
    result = run.run()
    run.book.finish(result, result.exit_code)
    stored = run.stored(other)
    assert (stored.record.state, stored.record.status, stored.exit_code) == ("stopped", 1, 5)
    assert stored.record.ended_at == result.ended_at


def test_hosts_that_nothing_was_sent_to_have_an_outcome_and_no_intent(recorded, other):
    acts = {"web01": Act(unreachable=[Unreachable("auth", "login refused")]), "web02": Act(exit_status=1)}
    run = recorded(acts, 4, concurrency_level=1, stop_after=2)
    run.shares[2] = dataclasses.replace(
        run.shares[2], script=None, trouble=Trouble("render", "no such input")
    )
    run.run()
    shares = run.stored(other).shares
    assert [each.status for each in shares] == ["unreachable", "skipped", "not_started", "skipped"]
    assert [each.intended_at for each in shares] == [None] * 4
    assert shares[0].result.code == "auth"
    assert shares[2].result.reason == "no such input"


@pytest.mark.parametrize(
    ("pieces", "kept_bytes"),
    [
        ([b"one\n", b"two", b"", b"\n", b"x" * 70_000], 1 << 20),
        ([b"y" * 65_536] * 160, 8 << 20),
        ([b"z" * 1000] * 600, 100),
    ],
    ids=["all of it is kept", "10 MiB of which 8 are kept", "a little is kept"],
)
def test_the_output_in_the_store_is_what_the_host_sent(recorded, other, pieces, kept_bytes):
    content = b"".join(bytes([number % 251]) + each[1:] for number, each in enumerate(pieces) if each)
    said = [("stdout", bytes([number % 251]) + each[1:]) for number, each in enumerate(pieces) if each]
    run = recorded({"web01": Act(output=[*said, ("stderr", b"oops")])}, kept_bytes=kept_bytes)
    result = run.run()
    chunks = list(other.history.outputs(run.id, None))
    covered = 0
    for chunk in (each for each in chunks if each.stream == "stdout"):
        assert content[chunk.offset_bytes :][: len(chunk.content)] == chunk.content
        assert chunk.offset_bytes >= covered
        covered = chunk.offset_bytes + len(chunk.content)
    assert covered == len(content)
    kept = sum(len(each.content) for each in chunks if each.stream == "stdout")
    assert kept == len(content) if len(content) <= kept_bytes else kept_bytes < kept < len(content)
    assert b"".join(each.content for each in chunks if each.stream == "stderr") == b"oops"
    (stored,) = run.stored(other).shares
    assert stored.result.stdout.size_bytes == len(content)
    assert stored.result.stdout.sha256 == hashlib.sha256(content).hexdigest()
    assert stored.result.stdout.sha256 == result.results[0].stdout.sha256


def break_after(monkeypatch, store: Store, is_last: Callable[[Entry], bool]) -> None:
    """Let nothing more be written once such an entry is to be."""
    record, broken = store.invocations.record, threading.Event()

    def record_or_not(entries):
        if broken.is_set() or any(is_last(entry) for entry in entries):
            broken.set()
            raise StoreError("the disk is full; make room")
        return record(entries)

    monkeypatch.setattr(store.invocations, "record", record_or_not)


def test_when_the_disk_is_full_no_more_hosts_are_started_and_those_that_run_end_and_are_shown(
    recorded, other, store, monkeypatch
):
    gate = Stop()
    acts = {"web01": Act(until=gate, output=[("stdout", b"half")]), "web02": Act(exit_status=1)}
    break_after(monkeypatch, store, lambda entry: isinstance(entry, Outcome))
    run = recorded(acts, 6, concurrency_level=2)
    wait = run.start()
    run.heard.wait(HostFinished, 5)
    gate.press("now it may end")
    result = wait()
    assert [each.status.value for each in result.results] == ["succeeded", "failed", *["skipped"] * 4]
    assert result.results[0].stdout.head == b"half"
    assert result.results[5].reason == "never started: could not record"
    assert str(run.ledger.trouble) == "the disk is full; make room"
    assert set(run.ledger.unwritten) == set(names(6))
    assert set(run.provider.scripts) == {"web01", "web02"}
    assert run.provider.settled == []
    assert {state for state, _ in run.states(other).values()} <= {"queued", "starting", "running"}


def test_a_script_whose_intent_cannot_be_written_is_not_sent(recorded, store, monkeypatch):
    break_after(monkeypatch, store, lambda entry: True)
    run = recorded({}, 3)
    result = run.run()
    assert {each.status for each in result.results} == {Status.SKIPPED}
    assert run.provider.scripts == {}
    assert {each.code for each in result.results} == {"could-not-record"}


def test_a_run_is_cancelled_from_elsewhere(recorded, other):
    run = recorded({"web01": Act(hang=True)}, 3, concurrency_level=1)
    wait = run.start()
    run.heard.wait(HostStarted)
    other.invocations.request_cancel(run.id, force=False)
    result = wait()
    assert (result.cancelled, result.exit_code) == (True, 5)
    assert {status for _, status in run.states(other).values()} == {"cancelled"}
    run.book.finish(result, result.exit_code)
    assert run.stored(other).record.status == 4


def test_a_run_whose_hosts_do_not_let_go_is_cancelled_by_force(recorded, other):
    run = recorded({"web01": Act(hang=True, deaf=True)})
    wait = run.start()
    run.heard.wait(HostStarted)
    other.invocations.request_cancel(run.id, force=False)
    other.invocations.request_cancel(run.id, force=True)
    assert wait().results[0].code == "cancel-unconfirmed"
    assert run.states(other) == {"web01": ("stopped", "unknown")}
    assert run.provider.settled == []


def test_some_hosts_are_cancelled_from_elsewhere_and_the_others_run_on(recorded, other):
    gate = Stop()
    run = recorded({"web01": Act(hang=True), "web02": Act(until=gate)}, 4, concurrency_level=2)
    wait = run.start()
    run.heard.wait(HostStarted, 2)
    other.invocations.request_cancel(run.id, force=False, hosts=["web01", "web04"])
    run.heard.wait(HostFinished, 3)
    gate.press("now it may end")
    assert not wait().cancelled
    assert [status for _, status in run.states(other).values()] == [
        "cancelled",
        "succeeded",
        "succeeded",
        "cancelled",
    ]


def test_once_another_runner_has_a_run_this_one_starts_nobody_and_writes_nothing_of_the_rest(
    recorded, other, state
):
    gate = Stop()
    run = recorded({"web01": Act(until=gate)}, 4, concurrency_level=1)
    wait = run.start()
    run.heard.wait(HostStarted)
    with other.runners.register(state) as thief:
        assert other.invocations.claim(run.id, thief.id, instead_of=run.book.runner_id)
        gate.press("now it may end")
        result = wait()
    assert [each.status.value for each in result.results] == ["succeeded", "pending", "pending", "pending"]
    assert run.states(other) == {
        "web01": ("stopped", "succeeded"),
        **dict.fromkeys(names(4)[1:], ("queued", "pending")),
    }
    assert set(run.provider.scripts) == {"web01"}


def test_a_runner_that_is_told_to_end_leaves_the_other_hosts_to_be_done(recorded, other):
    gate = Stop()
    run = recorded({"web01": Act(until=gate)}, 3, concurrency_level=1)
    wait = run.start()
    run.heard.wait(HostStarted)
    run.runner.refrain("told-to-end")
    run.heard.wait(HostFinished, 2)
    gate.press("now it may end")
    result = wait()
    run.book.finish(result, result.exit_code)
    assert run.states(other) == {
        "web01": ("stopped", "succeeded"),
        "web02": ("queued", "pending"),
        "web03": ("queued", "pending"),
    }
    assert run.stored(other).record.state == "running"


def test_a_host_waits_while_the_store_is_slow_and_nothing_is_lost(recorded, other, store, monkeypatch):
    record, slow = store.invocations.record, threading.Event()
    written: list[int] = []

    def record_slowly(entries):
        chunks = [len(entry.content) for entry in entries if isinstance(entry, Chunk)]
        if chunks:
            slow.wait(0.05)
        written.append(sum(chunks))
        return record(entries)

    monkeypatch.setattr(store.invocations, "record", record_slowly)
    act = Act(output=[("stdout", b"x" * 65_536)] * 640)
    run = recorded({"web01": act}, kept_bytes=1 << 30)
    assert run.run().ok
    assert sum(written) == 40 << 20
    assert max(written) <= 18 << 20
    assert sum(len(each.content) for each in other.history.outputs(run.id, None)) == 40 << 20


def test_a_host_whose_end_is_not_known_keeps_what_it_has(recorded, other):
    run = recorded({"web01": Act(lost="the connection broke")})
    run.run()
    assert run.provider.settled == []
    (stored,) = run.stored(other).shares
    assert (stored.status, stored.settled) == ("unknown", False)


@pytest.mark.parametrize(
    ("error", "status", "reason", "code"),
    [
        (KeyboardInterrupt(), "cancelled", "cancelled before it started", 5),
        (UsageError("no provider `telnet`"), "skipped", "never started: no provider `telnet`", 2),
        (KeyError("a secret perhaps"), "skipped", "never started: KeyError", 1),
    ],
)
def test_a_run_that_an_exception_ends_before_it_began_is_over(recorded, other, error, status, reason, code):
    run = recorded({}, 2)
    with pytest.raises(type(error)), called_off(run.book, now):
        raise error
    stored = run.stored(other)
    assert (stored.record.state, stored.exit_code) == ("stopped", code)
    assert [(each.status, each.result.reason) for each in stored.shares] == [(status, reason)] * 2


def test_a_run_that_an_exception_ends_under_way_leaves_only_the_hosts_that_may_run(recorded, other):
    gate = Stop()
    run = recorded({"web01": Act(until=gate)}, 3, concurrency_level=1)
    wait = run.start()
    run.heard.wait(HostStarted)
    with pytest.raises(KeyboardInterrupt), called_off(run.book, now):
        raise KeyboardInterrupt
    states = run.states(other)
    assert states["web01"][0] in ("starting", "running")
    assert [states[host] for host in names(3)[1:]] == [("stopped", "cancelled")] * 2
    stored = run.stored(other)
    assert (stored.record.state, stored.cancel_requested) == ("running", True)
    gate.press("now it may end")
    wait()
    assert set(run.provider.scripts) == {"web01"}
