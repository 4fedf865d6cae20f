"""Rerun: which hosts, which job, which files - and what is refused rather than widened."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from chargehand.compose import Overrides
from chargehand.document import parse
from chargehand.errors import ChargehandError, InvalidError, NoHostMatchedError, UnknownHostError, UsageError
from chargehand.git.files import export
from chargehand.job import Job, read_jobs
from chargehand.past import Stored, StoredShare
from chargehand.plan import Access
from chargehand.project import Project
from chargehand.provenance import Launch, Provenance
from chargehand.report.invocation import InvocationRecord, TargetingRecord, TaskState
from chargehand.rerun import (
    ALL_AGAIN,
    OUTCOMES,
    Repetition,
    Wish,
    access_of,
    check_repeatable,
    choose_names,
    find_job,
    overrides_of,
    parts_of,
    recorded_files,
    repeat,
)
from chargehand.result import Status
from chargehand.secret import Secret
from repository import OWN_NAME
from test_git import Work

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
CLEAN = Provenance(user="ann", playbook="playbooks/a.yml", job_name="Patch", commit="c" * 40, dirty=False)
MIXED = {
    "web3": Status.FAILED,
    "web1": Status.SUCCEEDED,
    "db1": Status.TIMED_OUT,
    "web4": Status.UNREACHABLE,
    "web2": Status.CANCELLED,
    "web5": Status.UNKNOWN,
}
JOB = {"name": "Patch", "script": "true"}


def stored(
    statuses: Mapping[str, Status] = MIXED,
    *,
    state: TaskState = "stopped",
    provenance: Provenance = CLEAN,
    job: object = JOB,
    **launch: object,
) -> Stored:
    hosts = tuple((name, number) for number, name in enumerate(statuses, 1))
    targeting = TargetingRecord(id=7, search_query="*", targeting_type="dynamic_query", hosts=hosts)
    record = InvocationRecord(
        id=7,
        description="Patch",
        job_category="",
        task_id="x",
        state=state,
        targeting=targeting,
        provenance=provenance,
    )
    return Stored(
        record=record,
        launch=Launch(job=json.dumps(job), **launch),  # type: ignore[arg-type] # of whatever a test gives
        runner_id=None,
        idempotent=False,
        logic_id=None,
        occurrence=None,
        exit_code=None,
        cancel_requested=False,
        created_at=NOW,
        shares=tuple(map(share, hosts, statuses.values())),
    )


def share(host: tuple[str, int], status: Status) -> StoredShare:
    name, number = host
    return StoredShare(
        id=number,
        host_name=name,
        host_id=number,
        position=number - 1,
        state="stopped",
        status=status,
        token=None,
        script_sha256=None,
        intended_at=None,
        settled=False,
        reconciled=False,
        cancel_requested=False,
        result=None,
    )


def jobs(*each: object) -> tuple[Job, ...]:
    return read_jobs(parse(json.dumps(each), "playbooks/a.yml"))


# -- which hosts ------------------------------------------------------------------------------------------


def test_every_status_is_of_exactly_one_part() -> None:
    assert sorted(status for part in OUTCOMES.values() for status in part) == sorted(Status)


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (set(), ["web3", "web1", "db1", "web4", "web2", "web5"]),
        ({"failed"}, ["web3", "db1"]),
        ({"unreached"}, ["web4", "web2", "web5"]),
        ({"succeeded"}, ["web1"]),
        ({"failed", "unreached"}, ["web3", "db1", "web4", "web2", "web5"]),
    ],
)
def test_hosts_are_chosen_by_what_they_came_to_in_the_order_of_that_run(parts, names) -> None:
    assert list(choose_names(stored(), parts)) == names


@pytest.mark.parametrize("status", set(Status) - OUTCOMES["unreached"] - OUTCOMES["failed"])
def test_a_host_that_never_started_did_not_succeed(status: Status) -> None:
    for other in OUTCOMES["unreached"]:
        assert choose_names(stored({"a": status, "b": other}), {"succeeded"}) == ("a",)


@pytest.mark.parametrize(
    ("parts", "said"),
    [({"failed"}, "failed"), ({"failed", "unreached"}, "failed or unreached")],
)
def test_nobody_is_nobody_and_never_somebody_else(parts, said) -> None:
    with pytest.raises(NoHostMatchedError, match=f"no host of invocation 7 is {said}; nothing is run"):
        choose_names(stored({"web1": Status.SUCCEEDED}), parts)


def test_an_invocation_that_never_had_hosts_has_nothing_to_repeat() -> None:
    with pytest.raises(NoHostMatchedError, match="never had a host"):
        choose_names(stored({}), set())


def test_parts_are_those_that_hold_what_did_not_succeed() -> None:
    assert parts_of([Status.SUCCEEDED]) == ()
    assert parts_of([Status.SUCCEEDED, Status.TIMED_OUT, Status.SKIPPED]) == ("failed", "unreached")


# -- what can be repeated ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "is_alive", "fix"),
    [
        ("scheduled", False, "chargehand cancel 7"),
        ("planned", True, "chargehand cancel 7"),
        ("running", True, "chargehand cancel 7"),
        ("running", False, "chargehand resume 7"),
    ],
)
def test_what_is_not_over_is_not_repeated(state: TaskState, is_alive: bool, fix: str) -> None:
    with pytest.raises(UsageError, match=fix):
        check_repeatable(stored(state=state), Wish(), is_alive=is_alive)


LEFT_OUT = ("job_invocation.password", "-e token", "-e code", "-k", "-K")


def test_everything_that_was_not_kept_is_asked_for_at_once() -> None:
    with pytest.raises(UsageError, match=r"give again: -e token=VALUE, -e code=VALUE, -k, -K$"):
        check_repeatable(stored(left_out=LEFT_OUT), Wish(), is_alive=False)


def test_what_a_job_of_no_file_held_is_asked_for_as_well() -> None:
    nowhere = replace(CLEAN, playbook=None)
    with pytest.raises(UsageError, match=r"give again: job_invocation\.password$"):
        check_repeatable(stored(left_out=LEFT_OUT[:1], provenance=nowhere), Wish(), is_alive=False)


def test_what_is_given_again_is_not_asked_for() -> None:
    wish = Wish(
        overrides=Overrides(inputs={"token": "t", "code": "c"}),
        access=Access(password=Secret("p"), effective_user_password=Secret("q")),
    )
    check_repeatable(stored(left_out=LEFT_OUT), wish, is_alive=False)


# -- with what --------------------------------------------------------------------------------------------


def test_options_of_that_time_hold_unless_given_anew() -> None:
    launch = stored(inputs={"a": "1", "b": "2"}, ssh_user="deploy", concurrency_level=3).launch
    assert overrides_of(launch, Overrides()) == Overrides(
        inputs={"a": "1", "b": "2"}, ssh_user="deploy", concurrency_level=3, once=True
    )
    given = Overrides(inputs={"b": "9"}, concurrency_level=8)
    assert overrides_of(launch, given) == Overrides(
        inputs={"a": "1", "b": "9"}, ssh_user="deploy", concurrency_level=8, once=True
    )


def test_whoever_logs_in_stays_the_effective_user() -> None:
    launch = stored(effective_user="", private_key_file="/keys/one").launch
    assert access_of(launch, Access()) == Access(effective_user="", private_key_file="/keys/one")
    assert access_of(launch, Access(effective_user="root")).effective_user == "root"


# -- which job --------------------------------------------------------------------------------------------


def script(name: str | None, script: str) -> dict[str, object]:
    return {"name": name, "script": script} if name else {"script": script}


@pytest.mark.parametrize(
    ("name", "number", "now", "found"),
    [
        ("Patch", 0, [("Patch", "a")], "a"),
        ("Patch", 0, [("New", "a"), ("Patch", "b")], "b"),
        ("Patch", 2, [("Patch", "a"), ("Patch", "b"), ("Patch", "c")], "c"),
        ("", 1, [(None, "a"), (None, "b")], "b"),
        ("", 0, [(None, "a")], "a"),
    ],
)
def test_a_job_is_found_by_its_name_and_else_by_its_number(name, number, now, found) -> None:
    origin = replace(CLEAN, job_name=name, job_number=number)
    job = find_job(stored(provenance=origin), lambda _: jobs(*(script(*each) for each in now)))
    assert job.text("script") == found


@pytest.mark.parametrize(
    ("name", "number", "now"),
    [
        ("Patch", 0, [("Reboot", "a")]),
        ("Patch", 0, [(None, "a")]),
        ("Patch", 5, [("Patch", "a"), ("Patch", "b")]),
        ("", 1, [(None, "a")]),
        ("", 0, [("Patch", "a")]),
        ("Patch", 0, []),
    ],
)
def test_another_job_is_never_taken_for_it(name, number, now) -> None:
    origin = replace(CLEAN, job_name=name, job_number=number)
    with pytest.raises(UsageError, match="any more; `chargehand rerun 7 --recorded`"):
        find_job(stored(provenance=origin), lambda _: jobs(*(script(*each) for each in now)))


def test_a_file_that_is_gone_is_told_with_what_brings_it_back(tmp_path: Path) -> None:
    project = Project.load(tmp_path)
    with pytest.raises(InvalidError, match="--recorded"):
        find_job(stored(), lambda playbook: project.read_jobs([tmp_path / playbook]))


def test_a_command_is_its_own_job() -> None:
    nowhere = replace(CLEAN, playbook=None)
    job = find_job(stored(provenance=nowhere), lambda _: pytest.fail("there is no file"))
    assert job.text("name") == "Patch"


# -- what runs --------------------------------------------------------------------------------------------


def repetition(root: Path, was: Stored, wish: Wish = ALL_AGAIN, now: Provenance = CLEAN) -> Repetition:
    body = {"targeting_type": "dynamic_query", "search_query": "name = nobody", "randomized_ordering": True}
    (root / "inventory").mkdir(exist_ok=True)
    (root / "inventory" / "hosts.ini").write_text("web[1:5]\ndb1 location=Paris\n")
    project = Project.load(root)
    text = json.dumps(JOB | {"job_invocation": body})
    (job,) = read_jobs(parse(text, "playbooks/a.yml"))
    invocation = project.compose(job, overrides_of(was.launch, wish.overrides))
    return repeat(was, invocation, project.inventory, wish, now)


def test_all_hosts_of_that_run_are_meant_whatever_the_query_finds_now(tmp_path: Path) -> None:
    again = repetition(tmp_path, stored())
    assert again.selection.names == tuple(MIXED)
    assert again.invocation.targeting.search_query == "name = nobody"


def test_a_part_of_the_hosts_is_what_the_record_will_say(tmp_path: Path) -> None:
    again = repetition(tmp_path, stored(), Wish(parts=frozenset({"failed"})))
    assert again.selection.names == ("web3", "db1")
    assert again.invocation.targeting.search_query == "name ^ (web3, db1)"


GONE = {"web1": Status.FAILED, "old1": Status.FAILED, "old2": Status.FAILED}


def test_hosts_that_are_gone_are_named_and_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(UnknownHostError) as refused:
        repetition(tmp_path, stored(GONE))
    assert "`old1`, `old2`" in str(refused.value)
    assert "--skip-missing" in str(refused.value)
    assert refused.value.exit_code == 4


def test_hosts_that_are_gone_may_be_left_out(tmp_path: Path) -> None:
    again = repetition(tmp_path, stored(GONE), Wish(skip_missing=True))
    assert again.selection.names == ("web1",)
    assert again.missing == ("old1", "old2")
    assert again.notes == ("left out, not in the inventory any more: `old1`, `old2`",)


def test_nobody_left_is_nobody(tmp_path: Path) -> None:
    with pytest.raises(NoHostMatchedError, match="no host of invocation 7 is in the inventory any more"):
        repetition(tmp_path, stored({"old1": Status.FAILED}), Wish(skip_missing=True))


def test_a_script_that_may_have_run_is_told_of_before_it_runs_again(tmp_path: Path) -> None:
    (note,) = repetition(tmp_path, stored(), Wish(parts=frozenset({"unreached"}))).notes
    assert note == "the script may have run there already, and runs again: `web5`"
    assert repetition(tmp_path, stored(), Wish(parts=frozenset({"failed"}))).notes == ()


C, D = "c" * 40, "d" * 40


@pytest.mark.parametrize(
    ("then", "now", "note"),
    [
        ((C, False), (C, False), None),
        ((None, None), (None, None), None),
        (
            (C, False),
            (D, False),
            "of commit dddddddddddd; those of invocation 7 were of commit cccccccccccc; --",
        ),
        (
            (C, False),
            (C, True),
            "cccc with changes; those of invocation 7 were of commit cccccccccccc; --recorded",
        ),
        ((C, True), (C, True), "those of invocation 7 were of commit cccccccccccc with changes"),
        ((C, False), (None, None), "of no known commit; those"),
        ((None, None), (C, False), "those of invocation 7 were of no known commit"),
    ],
)
def test_files_that_may_differ_from_those_of_that_run_are_told_of(tmp_path: Path, then, now, note) -> None:
    was = {"web1": Status.FAILED}
    origin, current = (replace(CLEAN, commit=commit, dirty=dirty) for commit, dirty in (then, now))
    notes = repetition(tmp_path, stored(was, provenance=origin), now=current).notes
    assert len(notes) == (note is not None)
    assert (note or "") in "".join(notes)
    assert ("--recorded" in "".join(notes)) == (bool(notes) and then == (C, False))


def test_with_the_recorded_files_the_new_invocation_is_of_that_commit(tmp_path: Path) -> None:
    again = repetition(
        tmp_path, stored({"web1": Status.FAILED}), Wish(recorded=True), replace(CLEAN, commit=D)
    )
    assert (again.provenance.commit, again.provenance.dirty) == (C, False)
    assert again.notes == ()


def test_a_project_runs_an_invocation_again(tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "hosts.ini").write_text(
        "[all]\nweb1\nweb2\n[all:vars]\nansible_connection=local\n"
    )
    (tmp_path / "chargehand.toml").write_text(f'effective_user = "{OWN_NAME}"\n')
    everybody = {"targeting_type": "static_query", "search_query": "*"}
    script = "exec test {{ host.name }} = web1"
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "a.json").write_text(
        json.dumps({"script": script, "job_invocation": everybody})
    )
    with closing(Project.load(tmp_path)) as project:
        first = project.run(*project.jobs)
        again = project.rerun(first.record.id, Wish(parts=frozenset({"failed"})))
        assert [(each.host, each.status) for each in again.result.results] == [("web2", Status.FAILED)]
        kept = project.store.history.find(again.record.id).record
    assert kept.provenance is not None
    assert (kept.provenance.trigger, kept.provenance.rerun_of) == ("rerun", first.record.id)
    assert kept.targeting.search_query == "name ^ (web2)"


# -- the recorded files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"commit": None, "dirty": None}, "ran from no commit"),
        ({"dirty": True}, "differed from its commit"),
        ({"dirty": None}, "differed from its commit"),
        ({"playbook": "/elsewhere/a.yml"}, "lies outside of the project"),
        ({}, "the commit cccccccccccc is not in the repository"),
    ],
)
def test_files_that_cannot_be_had_are_refused_with_the_fix(tmp_path: Path, origin, said) -> None:
    Work(tmp_path).commit()
    was = stored(provenance=replace(CLEAN, **origin))
    with (
        pytest.raises(ChargehandError, match=said) as refused,
        recorded_files(was, partial(export, tmp_path)),
    ):
        pytest.fail("there are no such files")
    assert "leave out --recorded" in str(refused.value)


def test_the_recorded_files_are_there_until_the_end_and_no_longer(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.write("playbooks/a.yml", "then")
    (work.root / "link").symlink_to("playbooks")
    was = stored(provenance=replace(CLEAN, commit=work.commit()))
    work.write("playbooks/a.yml", "now")
    with recorded_files(was, partial(export, tmp_path)) as (folder, left_out):
        assert (folder / "playbooks" / "a.yml").read_text() == "then"
        assert left_out == ("link",)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
