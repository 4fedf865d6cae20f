"""Job files taken over: what is new, changed, gone, back, refused, and what of it stays."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargehand.project import Project
from chargehand.reconcile import Reconciliation, reconcile
from chargehand.recurring.decision import due
from chargehand.recurring.logic import RecurringLogic
from chargehand.recurring.upcoming import next_occurrence
from chargehand.store import open_store
from repository import Repository, job

DAY = datetime(2027, 1, 1, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


def recurring(cron_line: str = "0 * * * *", *, name: str = "Patch", query: str = "*", **own: Any) -> dict:
    """A job with a recurrence; `recurrence`, `scheduling` and `targeting_type` go where they belong."""
    recurrence = {"cron_line": cron_line} | own.pop("recurrence", {})
    parameters = {"recurrence": recurrence, "targeting_type": own.pop("targeting_type", "dynamic_query")}
    if "scheduling" in own:
        parameters["scheduling"] = own.pop("scheduling")
    return job(name=name, query=query, parameters=parameters, **own)


def once(start_at: datetime | None, *, start_before: datetime | None = None, **own: Any) -> dict:
    """A job with a time of its own."""
    times = {"start_at": start_at, "start_before": start_before}
    scheduling = {key: moment.isoformat() for key, moment in times.items() if moment}
    parameters = {"scheduling": scheduling, "targeting_type": own.pop("targeting_type", "dynamic_query")}
    return job(name=own.pop("name", "Reboot"), parameters=parameters, **own)


class Site:
    """A repository and its store at a time that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.files = Repository(folder)
        self.now = DAY
        self.store = open_store("", state=folder / ".chargehand", clock=lambda: self.now)
        self.files.hosts({"web1": {}, "web2": {}})

    def take_over(self, now: datetime | None = None) -> Reconciliation:
        self.now = now or self.now
        project = Project.load(self.files.root, inventory=[], clock=lambda: self.now)
        return reconcile(project, self.store, self.now)

    def logic(self, which: str = "Patch") -> RecurringLogic:
        return self.store.logics.find(which)

    def change(self, which: str, verb: Callable[[RecurringLogic], RecurringLogic]) -> None:
        self.store.logics.change(self.logic(which).id, verb, self.now)

    def start(self, now: datetime, which: str = "Patch") -> None:
        """Have it started once, without anybody who carries it out."""
        self.now = now
        self.store.logics.keep(self.logic(which).key, lambda found: due(found, now).logic, now)

    def appointments(self) -> list[str]:
        """State, code and start of every job with a time of its own."""
        records = self.store.history.page(limit=100, oldest_first=True).records
        return [f"{each.state} {each.code or '-'} {each.start_at:%H:%M}" for each in records]


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path / "site")
    monkeypatch.chdir(site.files.root)
    yield site
    site.store.close()


def test_a_recurring_job_becomes_a_recurring_logic(site):
    site.files.jobs(
        recurring(
            "0 3 * * sun",
            recurrence={
                "purpose": "weekly",
                "max_iteration": 3,
                "end_time": "2028-01-01T00:00:00+01:00",
            },
            scheduling={"start_at": at(1).isoformat(), "start_before": at(200).isoformat()},
            time_zone="Europe/Berlin",
            overlap="queue",
            catch_up={"runs": "all", "window": "6h"},
            jitter="5m",
        )
    )
    assert site.take_over() == Reconciliation(added=("purpose:weekly",))
    logic = site.logic("weekly")
    assert (logic.playbook, logic.job_number, logic.job_name) == ("playbooks/job.json", 0, "Patch")
    assert (logic.cron_line, logic.time_zone, logic.purpose) == ("0 3 * * sun", "Europe/Berlin", "weekly")
    assert (logic.max_iteration, logic.end_time) == (3, datetime(2027, 12, 31, 23, tzinfo=UTC))
    assert (logic.start_at, logic.start_before, logic.overlap) == (at(1), at(200), "queue")
    assert (logic.catch_up_runs, logic.catch_up_window_s, logic.jitter_s) == ("all", 21600.0, 300.0)
    assert (logic.state, logic.since, logic.seen_until + logic.delay) == ("active", DAY, DAY)
    assert logic.hosts is None


def test_what_is_taken_over_is_left_alone_the_next_time(site):
    site.files.jobs([recurring(), recurring(name="Clean"), job(name="By hand"), once(at(5))])
    assert site.take_over().added == (
        "playbooks/job.json#Patch",
        "playbooks/job.json#Clean",
        "playbooks/job.json#Reboot@2027-01-01T05:00:00+00:00",
    )
    assert site.take_over(at(2)) == Reconciliation()
    assert site.logic().since == DAY


def test_jobs_without_a_name_are_told_by_their_number(site):
    site.files.jobs([recurring(name=""), job(name="other"), recurring(name="")])
    for each in (document := json.loads((site.files.root / "playbooks/job.json").read_text())):
        if not each["name"]:
            del each["name"]
    site.files.jobs(document)
    assert site.take_over().added == ("playbooks/job.json#1", "playbooks/job.json#3")


def test_a_job_that_changes_keeps_what_happened(site):
    site.files.jobs(recurring(recurrence={"max_iteration": 5}))
    site.take_over()
    site.start(at(1))
    site.files.jobs(recurring(recurrence={"max_iteration": 2}, overlap="allow"))
    assert site.take_over(at(1, 30)).changed == ("playbooks/job.json#Patch",)
    logic = site.logic()
    assert (logic.iteration, logic.last_occurrence, logic.max_iteration) == (1, at(1), 2)
    assert (logic.overlap, logic.since, logic.seen_until) == ("allow", DAY, at(1))


def test_other_times_count_from_the_moment_they_are_seen(site):
    site.files.jobs(recurring("0 * * * *"))
    site.take_over()
    site.files.jobs(recurring("15 * * * *"))
    site.take_over(at(2, 30))
    assert due(site.logic(), at(2, 31)).decisions == ()
    assert next_occurrence(site.logic(), at(2, 31)) == at(3, 15)


def test_a_purpose_makes_a_job_the_same_wherever_it_stands(site):
    site.files.jobs(recurring(recurrence={"purpose": "weekly"}))
    site.take_over()
    site.start(at(1), "weekly")
    (site.files.root / "playbooks/job.json").unlink()
    site.files.jobs(
        [job(name="first"), recurring(name="Other", recurrence={"purpose": "weekly"})], name="new"
    )
    assert site.take_over(at(2)).changed == ("purpose:weekly",)
    logic = site.logic("weekly")
    assert (logic.playbook, logic.job_number, logic.iteration) == ("playbooks/new.json", 1, 1)


@pytest.mark.parametrize("how", ["file", "job", "recurrence"])
def test_a_job_that_is_gone_is_cancelled_and_one_that_comes_back_goes_on(site, how):
    path = site.files.jobs([recurring(), recurring(name="Other")])
    site.take_over()
    site.start(at(1))
    whole = path.read_text()
    if how == "file":
        path.unlink()
    else:
        site.files.jobs([recurring(name="Other"), *([job(name="Patch")] if how == "recurrence" else [])])
    assert "playbooks/job.json#Patch" in site.take_over(at(2)).removed
    logic = site.logic()
    assert (logic.state, logic.removed, logic.iteration) == ("cancelled", True, 1)
    assert logic.reason == "its job is no longer in playbooks/job.json"
    assert site.take_over(at(3)) == Reconciliation()
    path.write_text(whole)
    assert "playbooks/job.json#Patch" in site.take_over(at(4, 30)).restored
    logic = site.logic()
    assert (logic.state, logic.removed, logic.reason, logic.iteration) == ("active", False, "", 1)
    assert due(logic, at(4, 31)).decisions == ()


def test_what_a_person_cancelled_or_paused_stays_so_whatever_its_file_says(site):
    site.files.jobs([recurring(), recurring(name="Clean")])
    site.take_over()
    site.change("Patch", lambda logic: logic.ended("cancelled by root"))
    site.change("Clean", lambda logic: logic.paused("maintenance"))
    site.files.jobs([recurring("5 * * * *"), recurring("5 * * * *", name="Clean")])
    assert len(site.take_over(at(2)).changed) == 2
    assert (site.logic().state, site.logic().reason) == ("cancelled", "cancelled by root")
    assert (site.logic("Clean").state, site.logic("Clean").reason) == ("disabled", "maintenance")
    (site.files.root / "playbooks/job.json").unlink()
    assert site.take_over(at(3)).removed == ("playbooks/job.json#Clean",)
    assert site.logic().removed is False


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"max_iteration": 1}, {"max_iteration": 2}),
        ({"end_time": "2027-01-01T01:30:00Z"}, {"end_time": "2027-01-02T00:00:00Z"}),
    ],
)
def test_a_finished_logic_is_active_again_when_its_limit_is_raised(site, before, after):
    site.files.jobs(recurring(recurrence=before))
    site.take_over()
    site.start(at(1))
    assert site.logic().state == "finished"
    site.files.jobs(recurring(recurrence=before, overlap="allow"))
    site.take_over(at(5))
    assert site.logic().state == "finished"
    site.files.jobs(recurring(recurrence=after))
    site.take_over(at(10, 30))
    assert (site.logic().state, site.logic().iteration) == ("active", 1)
    assert due(site.logic(), at(10, 31)).decisions == ()


BROKEN = {
    "no JSON": "{",
    "no shape": json.dumps(recurring(overlap="perhaps")),
    "no line": json.dumps(recurring("61 * * * *")),
    "no such field": json.dumps(recurring(query="colour = blue")),
    "one of two": json.dumps([recurring("5 * * * *"), recurring("60 * * * *", name="Other")]),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_refused_changes_nothing_and_keeps_no_other_from_being_taken_over(site, text):
    path = site.files.jobs(recurring())
    site.files.jobs(recurring(name="Clean"), name="other")
    site.take_over()
    before = site.logic()
    path.write_text(text)
    site.files.jobs(recurring("5 * * * *", name="Clean"), name="other")
    found = site.take_over(at(2))
    (problem, *_) = found.troubles["playbooks/job.json"]
    assert problem.place.file.endswith("playbooks/job.json")
    assert (list(found.troubles), found.changed) == (["playbooks/job.json"], ("playbooks/other.json#Clean",))
    after = site.logic()
    assert after.reason.startswith("its file is refused, and what it said before stands: ")
    assert problem.message in after.reason
    assert (after.cron_line, after.state, after.since) == (before.cron_line, "active", before.since)
    site.files.jobs(recurring())
    site.take_over(at(3))
    assert site.logic() == before


def test_a_job_that_starts_by_hand_only_is_nobody_s_trouble_here(site):
    site.files.jobs(job(query="colour = blue"))
    assert site.take_over() == Reconciliation()


def test_times_of_a_job_that_was_handed_in_may_pass(site):
    site.files.jobs(
        recurring(
            recurrence={"end_time": at(6).isoformat()},
            scheduling={"start_at": at(2).isoformat(), "start_before": at(3).isoformat()},
        )
    )
    site.take_over()
    assert site.take_over(at(9)) == Reconciliation()


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        (
            [
                recurring(recurrence={"purpose": "weekly"}),
                recurring(name="b", recurrence={"purpose": "weekly"}),
            ],
            "the purpose `weekly` is that of another job already",
        ),
        ([recurring(), recurring("5 * * * *")], "is called `Patch` as well"),
    ],
    ids=["purpose", "name"],
)
def test_the_second_of_two_jobs_that_cannot_be_told_apart_is_refused(site, jobs, said):
    site.files.jobs(jobs)
    for found in (site.take_over(), site.take_over(at(1))):
        ((problem,),) = found.troubles.values()
        assert said in problem.message
        assert (problem.place.line, problem.place.column) != (1, 1)
    (logic,) = site.store.logics.all()
    assert (logic.job_number, logic.reason) == (0, "")


def test_a_static_targeting_keeps_its_hosts_and_a_dynamic_one_has_none_of_its_own(site):
    site.files.jobs([recurring(targeting_type="static_query"), recurring(name="Clean")])
    site.take_over()
    assert site.logic().hosts == (("web1", 1), ("web2", 2))
    assert site.logic("Clean").hosts is None
    site.files.hosts({"web1": {}, "web3": {}})
    site.files.jobs([recurring("5 * * * *", targeting_type="static_query"), recurring(name="Clean")])
    site.take_over(at(1))
    assert site.logic().hosts == (("web1", 1), ("web2", 2))
    site.files.jobs([recurring(targeting_type="static_query", query="name ~ web3"), recurring(name="Clean")])
    site.take_over(at(2))
    assert site.logic().hosts == (("web3", 2),)


def test_a_static_targeting_that_means_nobody_is_refused(site):
    site.files.jobs(recurring(targeting_type="static_query", query="name = db1"))
    ((problem,),) = site.take_over().troubles.values()
    assert "no host matches" in problem.message
    assert site.store.logics.all() == ()


def test_a_missing_folder_cancels_nothing(site):
    site.files.jobs(recurring())
    site.take_over()
    (site.files.root / "playbooks").rename(site.files.root / "elsewhere")
    assert site.take_over(at(1)) == Reconciliation()
    assert site.logic().state == "active"


def test_a_job_with_a_time_of_its_own_waits_for_it(site):
    site.files.jobs(once(at(5), start_before=at(6), targeting_type="static_query", idempotent=True))
    (key,) = site.take_over().added
    (appointment,) = site.store.logics.appointments()
    assert (appointment.schedule_key, appointment.playbook) == (key, "playbooks/job.json")
    stored = site.store.history.find(appointment.id)
    assert (stored.record.state, stored.record.start_at, stored.runner_id) == ("scheduled", at(5), None)
    assert (stored.record.scheduling, stored.idempotent) == ((at(5), at(6)), True)
    assert [(share.host_name, share.host_id) for share in stored.shares] == [("web1", 1), ("web2", 2)]
    assert stored.record.provenance.trigger == "scheduling"
    site.files.hosts({"web3": {}})
    assert site.take_over(at(1)) == Reconciliation()


def test_a_dynamic_job_with_a_time_of_its_own_has_no_hosts_before_it(site):
    site.files.jobs(once(at(5)))
    site.take_over()
    assert site.store.history.find(site.store.logics.appointments()[0].id).shares == ()


@pytest.mark.parametrize("how", ["gone", "another time"])
def test_an_appointment_that_is_gone_or_changed_before_its_time_is_cancelled(site, how):
    path = site.files.jobs(once(at(5)))
    site.take_over()
    if how == "gone":
        path.unlink()
    else:
        site.files.jobs(once(at(7)))
    assert len(site.take_over(at(1)).removed) == 1
    assert site.appointments() == ["stopped removed 05:00", *(["scheduled - 07:00"] if how != "gone" else [])]


@pytest.mark.parametrize(
    ("own", "now", "expected"),
    [
        ({}, at(5, 1), "scheduled - 05:00"),
        ({}, at(5, 30), "scheduled late 05:00"),
        ({}, at(6, 30), "stopped missed 05:00"),
        ({"catch_up": {"runs": "none"}}, at(5, 30), "stopped missed 05:00"),
        ({"catch_up": {"window": "6h"}}, at(9), "scheduled late 05:00"),
        ({"start_before": at(5, 20)}, at(5, 30), "stopped start_before 05:00"),
    ],
)
def test_a_time_that_had_passed_when_it_was_first_seen_is_caught_up_as_the_job_says(site, own, now, expected):
    site.files.jobs(once(at(5), **own))
    site.take_over(now)
    assert site.appointments() == [expected]
    assert site.take_over(now) == Reconciliation()


def test_an_appointment_whose_file_is_refused_stays(site):
    path = site.files.jobs(once(at(5)))
    site.take_over()
    path.write_text("{")
    assert site.take_over(at(1)).removed == ()
    assert site.appointments() == ["scheduled - 05:00"]


def test_a_job_with_a_time_of_its_own_does_not_start_again_when_the_history_is_pruned(site):
    site.files.jobs(once(at(5)))
    site.take_over(at(5, 1))
    (appointment,) = site.store.logics.appointments()
    site.store.invocations.fail(appointment.id, code="invalid", reason="", exit_code=3, ended_at=at(5, 2))
    assert site.store.invocations.prune(keep=0) == 0
    assert site.take_over(at(5, 3)) == Reconciliation()
    assert site.appointments() == ["stopped invalid 05:00"]
