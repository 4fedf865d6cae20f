"""Recurring logics in real databases: kept, found, and decided about by one program at a time."""

import json
import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from chargehand.errors import UsageError
from chargehand.provenance import Launch, Provenance
from chargehand.recurring.decision import Claims, Decision, due
from chargehand.recurring.logic import RecurringLogic
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.store import Share
from chargehand.store.logics import Draft

DAY = datetime(2027, 1, 1, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


def hourly(key: str = "playbooks/patch.yml#1", **changes) -> RecurringLogic:
    values = {"playbook": "playbooks/patch.yml", "job_name": "Patch", "cron_line": "0 * * * *"}
    return RecurringLogic(**{"key": key, "since": DAY, "seen_until": DAY} | values | changes)


def draft(_logic: RecurringLogic, _decision: Decision) -> Draft:
    record = InvocationRecord(
        id=0,
        description="Patch",
        job_category="Misc",
        task_id=str(uuid.uuid4()),
        state="scheduled",
        targeting=TargetingRecord(id=0, search_query="*", targeting_type="dynamic_query"),
        provenance=Provenance(user="root", trigger="recurrence", playbook="playbooks/patch.yml"),
    )
    return Draft(record=record, launch=Launch(job="{}"))


def kept(store, **changes) -> RecurringLogic:
    logic = hourly(**changes)
    store.logics.keep(logic.key, lambda _: logic, DAY)
    return store.logics.find(logic.key)


def decide(store, logic, now, runner_id="one"):
    judge = lambda logic, claims: due(logic, now, claims=claims)  # noqa: E731
    found = store.logics.decide(logic.id, judge, draft, runner_id=runner_id, now=now)
    return [f"{each.decision.occurrence:%H:%M} {each.decision.action}" for each in found]


def rows(store):
    """What became of every invocation, oldest first."""
    records = store.history.page(limit=100, oldest_first=True).records
    return [f"{record.state} {record.code}".strip() for record in records]


def test_a_logic_is_kept_with_everything_it_has(store):
    logic = hourly(
        key="purpose:weekly",
        purpose="weekly",
        max_iteration=3,
        end_time=at(20),
        start_at=at(1),
        start_before=at(2),
        overlap="queue",
        catch_up_runs="all",
        catch_up_window_s=7.5,
        jitter_s=30.0,
        hosts=(("web1", 1), ("wëb2", 2)),
        fingerprint="f" * 64,
    )
    store.logics.keep(logic.key, lambda found: logic if found is None else None, DAY)
    store.logics.keep(logic.key, lambda found: logic if found is None else None, DAY)
    (found,) = store.logics.all()
    assert replace(found, id=0) == logic
    store.logics.keep(logic.key, lambda found: replace(found, hosts=None, iteration=2), DAY)
    assert store.logics.find("weekly") == replace(found, hosts=None, iteration=2)


def test_a_logic_is_found_by_id_key_purpose_and_job_and_a_name_that_is_near_is_told(store):
    with pytest.raises(UsageError, match="schedule list"):
        store.logics.find("Patch")
    logic = kept(store, key="purpose:weekly patching", purpose="weekly patching")
    for name in (str(logic.id), logic.key, "weekly patching", "Patch"):
        assert store.logics.find(name) == logic
    with pytest.raises(UsageError, match="did you mean `weekly patching`"):
        store.logics.find("weekly patchin")
    kept(store, key="playbooks/other.yml#Patch")
    with pytest.raises(
        UsageError, match=r"name one of `purpose:weekly patching`, `playbooks/other\.yml#Patch`"
    ):
        store.logics.find("Patch")


def test_a_start_is_planned_for_its_runner_and_counted_in_one_step(store):
    logic = kept(store)
    assert decide(store, logic, at(1)) == ["01:00 start"]
    assert decide(store, logic, at(1)) == []
    ((number, state, runner_id, start_at, logic_id),) = store.history.unfinished()
    assert (state, runner_id, start_at, logic_id) == ("planned", "one", at(1), logic.id)
    stored = store.history.find(number)
    assert (stored.occurrence, stored.record.recurrence["iteration"]) == (at(1), 1)
    assert store.logics.find(logic.key).last_occurrence == at(1)


def test_what_does_not_start_is_written_down_with_its_reason(store):
    logic = kept(store)
    assert decide(store, logic, at(3, 30)) == ["01:00 missed", "02:00 missed", "03:00 start"]
    assert decide(store, logic, at(4)) == ["04:00 skip"]
    assert rows(store) == ["stopped missed", "stopped missed", "planned late", "stopped overlap"]
    skipped = store.history.find(store.history.page(limit=1).records[0].id)
    assert (skipped.exit_code, skipped.record.status, skipped.runner_id) == (11, 4, None)
    assert skipped.record.reason == "the run before it still went on"
    assert store.logics.find(logic.key).iteration == 1


def test_what_waits_starts_when_the_run_before_it_is_over(store):
    logic = kept(store, overlap="queue")
    assert decide(store, logic, at(1)) == ["01:00 start"]
    assert decide(store, logic, at(2)) == ["02:00 wait"]
    assert decide(store, logic, at(3)) == ["03:00 skip"]
    assert [each.id for each in store.logics.due(at(3, 5))] == [logic.id]
    assert decide(store, logic, at(3, 5)) == []
    first, second = (each.id for each in store.history.unfinished())
    store.invocations.fail(first, code="invalid", reason="", exit_code=3, ended_at=at(3, 6))
    assert decide(store, logic, at(3, 7), runner_id="two") == ["02:00 start"]
    ((number, state, runner_id, start_at, _),) = store.history.unfinished()
    assert (number, state, runner_id, start_at) == (second, "planned", "two", at(3, 7))
    assert store.logics.find(logic.key).iteration == 2


def test_a_run_that_is_replaced_is_asked_to_stop(store):
    logic = kept(store, overlap="cancel_running")
    decide(store, logic, at(1))
    assert decide(store, logic, at(2)) == ["02:00 wait"]
    running = store.history.unfinished()[0].id
    assert store.invocations.cancel_request(running).force is False


@pytest.mark.parametrize(
    "verb",
    [lambda logic: logic.paused("maintenance"), lambda logic: logic.ended("by root")],
    ids=["pause", "cancel"],
)
def test_what_waits_does_not_start_when_its_logic_is_no_longer_active(store, verb):
    logic = kept(store, overlap="queue")
    decide(store, logic, at(1))
    decide(store, logic, at(2))
    changed = store.logics.change(logic.id, verb, at(2, 30))
    assert store.logics.find(logic.key) == changed
    assert rows(store) == ["planned", f"stopped {changed.state}"]
    assert decide(store, logic, at(3)) == []


def test_a_verb_that_refuses_changes_nothing(store):
    logic = kept(store, state="finished")
    with pytest.raises(UsageError):
        store.logics.change(logic.id, lambda logic: logic.paused(), at(1))
    assert store.logics.find(logic.key) == logic


def test_those_are_due_that_have_something_to_be_decided(store):
    logic = kept(store)
    kept(store, key="other", state="cancelled")
    assert store.logics.due(at(0, 59)) == ()
    assert store.logics.due(at(1)) == (logic,)


def test_nothing_is_written_when_what_to_write_cannot_be_said(store):
    logic = kept(store)

    def refuse(*_):
        raise UsageError("no")

    with pytest.raises(UsageError):
        store.logics.decide(logic.id, partial(_judge, now=at(1)), refuse, runner_id="one", now=at(1))
    assert (rows(store), store.logics.find(logic.key)) == ([], logic)


def _judge(logic, claims, now):
    return due(logic, now, claims=claims)


def test_what_stands_although_its_answer_was_lost_is_started_once(store, monkeypatch):
    logic = kept(store)
    database = store.logics._database
    write = database.write
    monkeypatch.setattr(database, "write", lambda step: (write(step), write(step))[1])
    assert decide(store, logic, at(1)) == ["01:00 start"]
    monkeypatch.undo()
    assert rows(store) == ["planned"]


def test_claims_are_what_was_decided_since_and_what_is_still_open(store):
    logic = kept(store, overlap="queue")
    decide(store, logic, at(1))
    decide(store, logic, at(2))
    (running, _) = (each.id for each in store.history.unfinished())
    claims = store.logics.claims(logic.id, at(5))
    assert claims == Claims(taken=frozenset({at(1), at(2)}), active=(running,), waiting=(at(2),))


def test_an_appointment_is_called_off_as_long_as_it_waits_with_the_hosts_it_was_fixed_to(store):
    record = replace(draft(hourly(), None).record, start_at=at(5))
    create = partial(store.invocations.create, launch=Launch(job="{}"), runner_id=None, created_at=DAY)
    number = create(record, shares=[Share(host_name="web1", host_id=1)], schedule_key="patch@5")
    assert create(replace(record, task_id="other"), shares=None, schedule_key="patch@5") is None
    (appointment,) = store.logics.appointments()
    assert (appointment.id, appointment.schedule_key, appointment.state) == (number, "patch@5", "scheduled")
    assert store.logics.call_off(number, "removed", "its job is gone", at(1))
    assert not store.logics.call_off(number, "removed", "its job is gone", at(1))
    stored = store.history.find(number)
    assert (stored.record.status, stored.record.code, stored.shares[0].status) == (4, "removed", "cancelled")


REPLICA = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from chargehand.store import open_store
from chargehand.recurring.decision import due
from test_logics import DAY, draft

url, state, runner_id = sys.argv[1:4]
started = []
with open_store(url, state=Path(state), clock=lambda: datetime.now(UTC)) as store:
    (logic,) = store.logics.all()
    print("ready", flush=True)
    sys.stdin.readline()
    for minute in range(1, 31):
        now = DAY + timedelta(minutes=minute)
        judge = lambda logic, claims: due(logic, now, claims=claims)
        for each in store.logics.decide(logic.id, judge, draft, runner_id=runner_id, now=now):
            started.append([each.invocation_id, each.decision.occurrence.isoformat(), each.decision.action])
print(json.dumps(started))
"""


def test_of_several_programs_that_decide_at_once_one_starts_each_occurrence(store, database_url, state):
    logic = kept(store, cron_line="* * * * *", overlap="allow", max_iteration=25)
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", REPLICA, database_url, str(state), name, str(Path(__file__).parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two", "three")
    ]
    for replica in replicas:
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        replica.stdin.write("go\n")
        replica.stdin.flush()
    answers = [json.loads(replica.communicate()[0]) for replica in replicas]
    assert [replica.returncode for replica in replicas] == [0, 0, 0]
    decided = [decision for answer in answers for decision in answer]
    occurrences = [occurrence for _, occurrence, _ in decided]
    assert len(occurrences) == len(set(occurrences))
    starts = [number for number, _, action in decided if action == "start"]
    after = store.logics.find(logic.key)
    assert (len(starts), after.iteration, after.state) == (25, 25, "finished")
    owners = {each.id: each.runner_id for each in store.history.unfinished()}
    for name, answer in zip(("one", "two", "three"), answers, strict=True):
        assert all(owners[number] == name for number, _, action in answer if action == "start")
