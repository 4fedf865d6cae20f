"""The store, in both databases: what is written is read, once, whoever writes it how often."""

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import insert, update

from chargehand.errors import UnknownInvocationError, UsageError
from chargehand.past import Clause
from chargehand.provenance import Launch
from chargehand.report.invocation import document
from chargehand.report.jsontext import dumps
from chargehand.store import Runner, Store, Unfinished, open_store, tables
from chargehand.store.entry import Outcome, Settled
from chargehand.store.rows import NEW_INVOCATION, NEW_REVISION, NEW_SHARE
from databases import engine
from invocations import (
    LAUNCH,
    ME,
    NOW,
    chunk,
    create,
    intent,
    outcome,
    printed,
    record,
    result,
    share_ids,
    shares,
    started,
    story,
)
from laws import tried

LATER = NOW + timedelta(minutes=5)


def finish(store: Store, number: int, *, cancelled: bool = False, **facts: object) -> bool:
    return store.invocations.finish(
        number, runner_id=ME, cancelled=cancelled, exit_code=5, ended_at=LATER, **facts
    )


def over(store: Store, *names: str) -> int:
    number = create(store, *names)
    for share_id, name in zip(share_ids(store, number), names, strict=True):
        assert all(store.invocations.record(story(share_id, result(name, stdout=printed(b"x" * 1000)))))
    assert finish(store, number)
    return number


RESULTS = {
    "web2": result(
        "web2",
        "failed",
        host_id=1,
        exit_status=3,
        started_at=NOW,
        duration_s=1.5,
        code="exit-status",
        reason="exit status 3",
        stdout=printed("dörte\n".encode()),
        stderr=printed(b"\xff\x00oops"),
        noise="motd",
        pty=True,
        attempts=2,
    ),
    "web1": result(
        "web1", "failed", host_id=2, signal="KILL", started_at=NOW, duration_s=0.25, code="signal"
    ),
}


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_invocation_that_is_read_gives_the_json_of_the_one_that_was_written(store, cancelled):
    number = create(store, *RESULTS)
    for share_id, what in zip(share_ids(store, number), RESULTS.values(), strict=True):
        assert all(store.invocations.record(story(share_id, what)))
    assert finish(store, number, cancelled=cancelled, code="stop_after", reason="too many failed")
    written = record(
        id=number,
        state="stopped",
        results=tuple(RESULTS.values()),
        cancelled=cancelled,
        ended_at=LATER,
        code="stop_after",
        reason="too many failed",
    )
    hosts = (("web2", 1), ("web1", 2))
    written = replace(written, targeting=replace(written.targeting, id=number, hosts=hosts))
    found = store.history.find(number)
    written = replace(written, task_id=found.record.task_id)
    assert dumps(document(found.record)) == dumps(document(written))
    assert (found.launch, found.exit_code) == (LAUNCH, 5)

    of_a_list = {"targeting", "template_invocations", "results"}
    light = document(store.history.page(limit=1).records[0])
    whole = document(written)
    assert [key for key in whole if light[key] != whole[key]] == [key for key in whole if key in of_a_list]


def test_what_is_neither_begun_nor_resolved_is_read_as_it_was_written(store):
    start_at, start_before = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    waiting = record(state="scheduled", begun=False, start_at=start_at, scheduling=(start_at, start_before))
    number = store.invocations.create(waiting, LAUNCH, None, runner_id=None, created_at=NOW)
    found = store.history.find(number)
    written = replace(waiting, id=number, targeting=replace(waiting.targeting, id=number))
    for read in (found.record, store.history.page(limit=1).records[0]):
        assert document(read) == document(written)
    assert (found.shares, found.runner_id, found.created_at) == ((), None, NOW)
    assert store.history.unfinished() == (Unfinished(number, "scheduled", None, start_at, None),)


def test_the_hosts_of_a_static_invocation_that_waits_are_there_and_pending(store):
    number = create(store, "web1", "web2", runner_id=None, record={"state": "scheduled", "begun": False})
    answer = document(store.history.find(number).record)
    assert [each["status"] for each in answer["results"]] == ["pending", "pending"]
    assert answer["succeeded"] == answer["total"] == "N/A"


def test_the_recurring_logic_of_an_invocation_is_told_with_it(store):
    logic = {
        "key": "web.yml#0",
        "playbook": "web.yml",
        "job_number": 0,
        "job_name": "",
        "state": "active",
        "fingerprint": "f",
        "cron_line": "0 3 * * *",
        "time_zone": "Europe/Berlin",
        "purpose": "patching",
        "end_time": NOW,
        "iteration": 2,
        "overlap": "skip",
        "catch_up_runs": "one",
        "catch_up_window_s": 3600.0,
        "jitter_s": 0.0,
        "since": NOW,
        "seen_until": NOW,
    }
    with engine(store) as made, made.begin() as connection:
        connection.execute(insert(tables.recurring_logic).values(logic))
    facts = {"runner_id": None, "created_at": NOW, "logic_id": 1, "occurrence": NOW}
    number = store.invocations.create(record(), LAUNCH, None, **facts)
    assert store.invocations.create(record(), LAUNCH, None, **facts) is None, "one start an occurrence"
    answer = document(store.history.find(number).record)
    assert answer["mode"] == "recurring"
    assert answer["recurrence"] == {
        "id": 1,
        "cron_line": "0 3 * * *",
        "time_zone": "Europe/Berlin",
        "end_time": "2026-11-24 18:00:00 UTC",
        "iteration": 2,
        "max_iteration": None,
        "purpose": "patching",
        "state": "active",
    }
    assert document(store.history.page(limit=1).records[0])["recurrence"] == answer["recurrence"]
    assert store.history.find(number).occurrence == NOW


def test_a_job_with_a_time_of_its_own_starts_once(store):
    facts = {"runner_id": None, "created_at": NOW, "schedule_key": "web.yml#0@2027"}
    assert store.invocations.create(record(), LAUNCH, None, **facts)
    assert store.invocations.create(record(), LAUNCH, None, **facts) is None


def test_an_invocation_whose_confirmation_was_lost_is_not_made_again(store):
    same = record()
    numbers = {
        store.invocations.create(same, LAUNCH, shares("web1"), runner_id=ME, created_at=NOW) for _ in "12"
    }
    assert len(numbers) == 1
    assert store.history.page(limit=9).total == 1


def test_entries_that_are_written_twice_change_nothing_and_are_accepted(store):
    number = create(store, "web1")
    (share_id,) = share_ids(store, number)
    entries = story(share_id, RESULTS["web2"])
    for prefix in (entries[:1], entries[:1], entries[1:], entries[1:], entries[1:]):
        assert store.invocations.record(prefix) == [True] * len(prefix)
    first = store.history.find(number)
    assert store.invocations.record(entries[1:]) == [True] * len(entries[1:])
    assert store.history.find(number) == first
    assert [each.sequence for each in store.history.outputs(number)] == [0, 1]


def test_a_thousand_entries_in_any_number_of_groups_are_each_judged(store):
    names = [f"web{number:04}" for number in range(1200)]
    number = create(store, *names)
    ids = share_ids(store, number)
    assert store.invocations.record([intent(each) for each in ids]) == [True] * 1200
    assert store.invocations.record([outcome(each) for each in [*ids, 10**9]]) == [True] * 1200 + [False]
    assert store.history.page(limit=1).records[0].counts.succeeded == 1200


@pytest.mark.parametrize(
    ("before", "entry", "accepted"),
    [
        ([], intent(0, runner_id="another"), False),
        ([intent(0)], intent(0), True),
        ([intent(0)], intent(0, token="other"), False),
        ([intent(0), started(0)], intent(0), False),
        ([outcome(0, "cancelled", token=None)], intent(0), False),
        ([], started(0), False),
        ([intent(0)], started(0, token="other"), False),
        ([intent(0)], outcome(0, token=None), False),
        ([intent(0)], outcome(0, token="other"), False),
        ([], outcome(0, token="t"), False),
        ([], outcome(0, "unreachable", token=None), True),
        ([intent(0), outcome(0, "unknown")], outcome(0, "failed", reconciled=True), True),
        ([intent(0), outcome(0, "failed")], outcome(0, "succeeded"), False),
        ([intent(0), outcome(0, "failed")], outcome(0, "unknown"), False),
        ([intent(0), outcome(0, "failed")], outcome(0, "failed"), True),
        ([intent(0)], Settled(share_id=0), False),
    ],
)
def test_an_entry_is_accepted_only_where_it_belongs(store, before, entry, accepted):
    number = create(store, "web1")
    (share_id,) = share_ids(store, number)
    assert all(store.invocations.record([replace(each, share_id=share_id) for each in before]))
    assert store.invocations.record([replace(entry, share_id=share_id)]) == [accepted]


ENTRIES = st.one_of(
    st.builds(intent, st.just(0), st.sampled_from("tu"), st.sampled_from([ME, "other"])),
    st.builds(started, st.just(0), st.sampled_from("tu")),
    st.builds(
        outcome,
        st.just(0),
        st.sampled_from(["succeeded", "failed", "unknown", "cancelled"]),
        st.sampled_from(["t", "u", None]),
    ),
    st.just(Settled(share_id=0)),
    st.just("requeue"),
)


@tried(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(st.lists(ENTRIES, max_size=4), max_size=8))
def test_no_sequence_of_entries_changes_an_outcome_other_than_unknown(store, sequence):
    number = create(store, "web1")
    (share_id,) = share_ids(store, number)
    seen = "pending"
    for group in sequence:
        entries = [replace(each, share_id=share_id) for each in group if each != "requeue"]
        accepted = store.invocations.record(entries)
        if "requeue" in group:
            store.invocations.requeue([share_id])
        share = store.history.find(number).shares[0]
        ends = [
            each.result.status
            for each, yes in zip(entries, accepted, strict=True)
            if yes and isinstance(each, Outcome)
        ]
        if seen not in {"pending", "unknown"}:
            assert share.status == seen
            assert set(ends) <= {seen}
        elif "requeue" not in group:
            assert share.status == (ends[-1] if ends else seen)
        assert (share.result is None) == (share.state != "stopped")
        seen = share.status


def test_of_two_writers_of_one_share_one_starts_it(store, database_url, state):
    number = create(store, *(f"web{each}" for each in range(30)))
    ids = share_ids(store, number)
    answers: dict[str, list[bool]] = {}

    def write(token: str) -> None:
        with open_store(database_url, state=state, clock=lambda: NOW) as own:
            answers[token] = [own.invocations.record([intent(each, token=token)])[0] for each in ids]

    threads = [threading.Thread(target=write, args=(token,)) for token in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one != other for one, other in zip(answers["a"], answers["b"], strict=True)] == [True] * 30


def test_an_invocation_is_claimed_by_one_runner_only(store):
    number = create(store, runner_id=None, record={"state": "scheduled", "begun": False})
    assert store.invocations.claim(number, "a", instead_of=None)
    assert not store.invocations.claim(number, "b", instead_of=None)
    assert not store.invocations.claim(number, "a", instead_of=None), "a claim is no question"
    assert store.invocations.claim(number, "b", instead_of="a")
    assert store.history.unfinished()[0][1:3] == ("planned", "b")


def test_an_invocation_whose_hosts_are_known_at_last_runs(store):
    waiting = record(state="scheduled", begun=False, scheduling=(NOW, None))
    number = store.invocations.create(waiting, LAUNCH, None, runner_id=None, created_at=NOW)
    now = record(start_at=LATER, description="Start nginx now")
    assert not store.invocations.resolve(number, now, shares("web1"), runner_id=ME), "it is nobody's yet"
    assert store.invocations.claim(number, ME, instead_of=None)
    for _ in range(2):
        assert store.invocations.resolve(number, now, shares("web1"), runner_id=ME)
    found = store.history.find(number)
    assert [share.host_name for share in found.shares] == ["web1"]
    assert found.record.task_id == waiting.task_id
    assert (found.record.state, found.record.begun, found.record.start_at) == ("running", True, LATER)
    assert found.record.scheduling == (NOW, None)
    assert finish(store, number) is False
    assert store.invocations.record([outcome(found.shares[0].id, "unreachable", token=None)]) == [True]
    assert not store.invocations.finish(number, runner_id="b", cancelled=False, exit_code=0, ended_at=NOW)
    assert finish(store, number)
    assert finish(store, number), "said again"
    assert not store.invocations.claim(number, "b", instead_of=ME)


@pytest.mark.parametrize(
    ("cancelled", "label", "status"), [(True, "cancelled", "cancelled"), (False, "failed", "skipped")]
)
def test_an_invocation_that_is_over_before_it_began_leaves_no_host_open(store, cancelled, label, status):
    number = create(store, "web1", "web2")
    facts = {"code": "start_before", "reason": "too late", "exit_code": 5, "ended_at": LATER}
    assert store.invocations.fail(number, cancelled=cancelled, **facts)
    found = store.history.find(number)
    assert {share.status for share in found.shares} == {status}
    assert document(found.record)["status_label"] == label
    assert store.history.page(limit=1).records[0].counts == found.record.tally
    assert store.history.unfinished() == ()


def test_an_invocation_does_not_end_while_a_script_may_run(store):
    number = create(store, "web1", "web2")
    store.invocations.record([intent(share_ids(store, number)[0])])
    assert not store.invocations.fail(number, code="x", reason="y", exit_code=1, ended_at=NOW)
    assert not finish(store, number)
    assert store.history.find(number).shares[1].state == "queued"


def test_a_result_that_is_learned_late_is_counted(store):
    number = create(store, "web1")
    (share_id,) = share_ids(store, number)
    store.invocations.record([intent(share_id), outcome(share_id, "unknown")])
    assert finish(store, number)
    assert store.history.page(limit=1).records[0].status == 1
    assert store.invocations.record([outcome(share_id, reconciled=True)]) == [True]
    (light,) = store.history.page(limit=1).records
    assert (light.status, light.counts.succeeded) == (0, 1)
    assert store.history.find(number).shares[0].reconciled


def test_who_started_at_a_moment_did_so_whatever_is_not_known_later(store):
    number = create(store, "web1")
    (share_id,) = share_ids(store, number)
    store.invocations.record([intent(share_id), started(share_id), outcome(share_id, "unknown")])
    assert store.history.find(number).shares[0].result.started_at == started(0).at


def test_a_cancelled_invocation_starts_nobody_and_force_stays_force(store):
    number = create(store, "web1")
    assert store.invocations.cancel_request(number).force is None
    for force, now in ((False, False), (True, True), (False, True)):
        store.invocations.request_cancel(number, force=force)
        assert store.invocations.cancel_request(number).force is now
    assert store.history.find(number).cancel_requested
    assert store.invocations.record([intent(share_ids(store, number)[0])]) == [False]


def test_single_hosts_are_cancelled(store):
    number = create(store, "web1", "web2", "web3")
    store.invocations.request_cancel(number, force=False, hosts=["web1"])
    store.invocations.request_cancel(number, force=True, hosts=["web2"])
    wish = store.invocations.cancel_request(number)
    assert (wish.force, wish.hosts, wish.forced) == (None, {"web1", "web2"}, {"web2"})
    assert store.invocations.record([intent(each) for each in share_ids(store, number)]) == [
        False,
        False,
        True,
    ]
    with pytest.raises(UsageError, match=r"no host `web9`; did you mean `web"):
        store.invocations.request_cancel(number, force=False, hosts=["web9"])


@pytest.mark.parametrize("number", [99, 0, -1, 2**63, 10**40])
def test_an_invocation_that_is_not_there_is_told_with_the_newest_ones(store, number):
    create(store, "web1")
    for ask in (
        lambda: store.history.find(number),
        lambda: store.invocations.request_cancel(number, force=False),
        lambda: list(store.history.outputs(number)),
    ):
        with pytest.raises(UnknownInvocationError, match=f"no job invocation {number}; the newest are 1$"):
            ask()


@pytest.mark.parametrize(("forget", "token"), [(False, "t"), (True, None)])
def test_a_host_that_never_started_has_another_turn(store, forget, token):
    number = create(store, "web1", "web2", "web3")
    ids = share_ids(store, number)
    store.invocations.record([intent(each) for each in ids])
    store.invocations.record(
        [chunk(ids[1], 0, b"lost"), outcome(ids[1], "unknown"), outcome(ids[2], "failed")]
    )
    store.invocations.requeue(ids, forget_token=forget)
    found = store.history.find(number).shares
    assert [(share.state, share.status, share.token) for share in found] == [
        ("queued", "pending", token),
        ("queued", "pending", token),
        ("stopped", "failed", "t"),
    ]
    assert list(store.history.outputs(number)) == []
    answers = store.invocations.record([intent(ids[0], token="t"), intent(ids[1], token="new")])
    assert answers == [True, forget]


def test_a_script_that_ran_already_is_no_candidate_for_another_turn_unless_that_is_harmless(store):
    number = create(store, "web1")
    (share_id,) = share_ids(store, number)
    store.invocations.record([intent(share_id), started(share_id)])
    store.invocations.requeue([share_id])
    assert store.history.find(number).shares[0].state == "running"
    store.invocations.requeue([share_id], forget_token=True)
    assert store.history.find(number).shares[0].state == "queued"


def test_what_was_left_out_of_an_output_is_missing_between_its_head_and_its_tail(store):
    number = create(store, "web1", "web2")
    one, two = share_ids(store, number)
    long = replace(printed(b""), size_bytes=100)
    store.invocations.record([intent(one), intent(two, token="u")])
    store.invocations.record(
        [
            chunk(one, 0, b"ab"),
            chunk(one, 1, b"cd", offset=2),
            chunk(one, 2, b"err", stream="stderr"),
            chunk(one, 3, b"wx", offset=96),
            chunk(one, 4, b"yz", offset=98),
            chunk(two, 0, b"only"),
        ]
    )
    store.invocations.record([outcome(one, result("web1", stdout=long)), outcome(two, "unknown", token="u")])
    first, second = (share.result for share in store.history.find(number).shares)
    assert (first.stdout.head, first.stdout.tail, first.stdout.elided_bytes) == (b"abcd", b"wxyz", 92)
    assert (first.stderr.head, first.stderr.elided_bytes) == (b"err", 0)
    assert second.stdout.head == b"only", "heard, though nobody knows how it ended"
    bare = store.history.find(number, with_output=False).shares[0].result.stdout
    assert (bare.head, bare.size_bytes, bare.sha256) == (b"", 100, "ab" * 32)


def test_outputs_are_read_host_by_host_from_where_one_was(store):
    number = create(store, "web2", "web1")
    two, one = share_ids(store, number)
    store.invocations.record([chunk(one, each, b"%d" % each, offset=each) for each in range(200)])
    store.invocations.record([chunk(two, 0, b"x", stream="stderr")])
    found = [(each.host_name, each.sequence, each.content) for each in store.history.outputs(number)]
    assert found == [("web2", 0, b"x"), *(("web1", each, b"%d" % each) for each in range(200))]
    rest = store.history.outputs(number, after={"web1": 197, "web2": 0})
    assert [each.sequence for each in rest] == [198, 199]
    assert [each.host_name for each in store.history.outputs(number, "web2")] == ["web2"]
    with pytest.raises(UsageError, match="no host `web7`"):
        next(store.history.outputs(number, "web7"))


def test_a_page_counts_what_there_is_and_what_was_asked_for(store):
    numbers = [over(store, f"web{each}") for each in range(5)] + [create(store, "web9")]
    page = store.history.page(Clause(sql="state = :state", values={"state": "stopped"}), limit=2, offset=1)
    assert (page.total, page.subtotal, [each.id for each in page.records]) == (6, 5, numbers[3:1:-1])
    assert [each.id for each in store.history.page(limit=2, oldest_first=True).records] == numbers[:2]
    assert store.history.page(limit=5, offset=100).records == ()
    running = store.history.page(limit=1).records[0]
    assert (running.counts.total, running.counts.pending) == (1, 1)


TELL = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from chargehand.store import open_store
store = open_store(sys.argv[1], state=Path(sys.argv[2]), clock=lambda: datetime.now(UTC))
runner = store.runners.register(Path(sys.argv[2]))
print(runner.id, flush=True)
sys.stdin.read()
runner.close()
"""


@pytest.fixture
def another(database_url, state):
    """A runner in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", TELL, database_url, state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_runner_is_alive_until_its_process_is_killed(store, state, another):
    number = another.stdout.readline().strip()
    assert store.runners.is_alive(number)
    another.send_signal(signal.SIGKILL)
    another.wait()
    assert not store.runners.is_alive(number)
    with store.runners.register(state) as own:
        assert not store.runners.is_alive(number), "nor after somebody cleared up"
        assert store.runners.is_alive(own.id)
    assert not store.runners.is_alive(own.id)
    assert not store.runners.is_alive(None)


def test_a_runner_that_is_frozen_is_alive(store, another):
    number = another.stdout.readline().strip()
    another.send_signal(signal.SIGSTOP)
    assert store.runners.is_alive(number)
    another.send_signal(signal.SIGCONT)


def elsewhere(store: Store, own: Runner, **facts: object) -> None:
    facts = {"machine": "another"} | facts
    with engine(store) as made, made.begin() as connection:
        connection.execute(update(tables.runner).where(tables.runner.c.id == own.id).values(facts))


def test_a_runner_of_another_machine_is_alive_as_long_as_it_is_heard_of(store, state):
    with store.runners.register(state) as own:
        elsewhere(store, own)
        assert store.runners.is_alive(own.id)
        elsewhere(store, own, seen_at=datetime.now(UTC) - timedelta(seconds=61))
        assert not store.runners.is_alive(own.id)
        store.runners.beat(own.id)
        assert store.runners.is_alive(own.id)


def test_what_is_old_goes_and_what_runs_stays(store):
    old = [over(store, "web1", "web2") for _ in range(4)]
    running = create(store, "web1")
    assert store.invocations.prune(keep=3) == 1
    assert store.invocations.prune(older_than=LATER) == 0
    assert store.invocations.prune(max_bytes=12_000) == 1
    kept = [each.id for each in store.history.page(limit=9).records]
    assert kept == [running, *old[:1:-1]]
    assert store.invocations.prune(older_than=LATER + timedelta(seconds=1)) == 2
    assert [each.id for each in store.history.page(limit=9).records] == [running]
    with pytest.raises(UnknownInvocationError):
        store.history.find(old[0])
    assert create(store, "web1") == running + 1, "numbers are not given twice"


def test_what_is_removed_while_somebody_reads_it_is_no_error(store, database_url, state):
    number = over(store, "web1")
    more = share_ids(store, number)[0]
    store.invocations.record([chunk(more, each, b"x" * 100, offset=each) for each in range(1, 500)])
    reader = store.history.outputs(number)
    next(reader)
    with open_store(database_url, state=state, clock=lambda: NOW) as another:
        assert another.invocations.prune(keep=0) == 1
    assert 0 < len(list(reader)) < 500


def test_words_that_no_database_takes_are_kept_as_escapes(store):
    number = create(store, "we\x00b", record={"description": "half \ud800"})
    (share_id,) = share_ids(store, number)
    store.invocations.record(
        [outcome(share_id, result("x", "failed", noise="\x00\udcff", signal="A" * 99), None)]
    )
    found = store.history.find(number)
    assert found.record.description == r"half \ud800"
    assert found.shares[0].host_name == r"we\u0000b"
    assert found.shares[0].result.noise == r"\u0000\udcff"


def test_no_secret_is_in_the_store(store, state, database_url):
    launch = Launch(job="{}", inputs={"service": "nginx", "token": "s3cret-canary"})
    number = store.invocations.create(record(), launch, shares("web1"), runner_id=ME, created_at=NOW)
    assert store.history.find(number).launch.inputs == {"service": "nginx"}
    store.close()
    kept = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert b"s3cret-canary" not in kept
    assert "s3cret-canary" not in repr(store)


NEW = {"job_invocation": NEW_INVOCATION, "template_invocation": NEW_SHARE, "revision": NEW_REVISION}


@pytest.mark.parametrize("name", NEW)
def test_a_new_row_says_what_the_tables_say_where_nobody_says_anything(name):
    columns = tables.metadata.tables[name].columns
    assert NEW[name] == {each.name: each.default.arg for each in columns if each.default is not None}
