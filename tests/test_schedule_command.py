"""`schedule` as its user types it: what is listed, what comes next, and a hand on what recurs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargehand.layout import state_folder
from chargehand.project import Project
from chargehand.reconcile import reconcile
from chargehand.recurring.decision import due
from chargehand.store import Store, open_store
from repository import Repository, job

HEADS = ["ID", "STATE", "NEXT", "LAST", "RUNS", "JOB", "WHEN", "NOTE"]


def recurring(cron_line, *, name="Patch", recurrence=None, **own):
    timing = {"cron_line": cron_line} | (recurrence or {})
    return job(name=name, parameters={"recurrence": timing, "targeting_type": "dynamic_query"}, **own)


@pytest.fixture
def site(tmp_path):
    site = Repository(tmp_path / "site")
    site.hosts({"web1": {}, "web2": {}})
    return site


def now() -> datetime:
    return datetime.now(UTC)


def history(site: Repository) -> Store:
    return open_store("", state=state_folder(site.root), clock=now)


def take_over(site: Repository) -> None:
    project = Project.load(site.root, inventory=[str(site.root / "inventory.json")])
    with history(site) as store:
        reconcile(project, store, now())


def listed(site: Repository) -> list[dict]:
    return json.loads(site.chargehand("schedule", "list", "-o", "json").stdout)


def next_starts(site: Repository, *words: str) -> list[dict]:
    return json.loads(site.chargehand("schedule", "next", "-o", "json", *words).stdout)


def test_a_project_in_which_nothing_recurs_says_how_that_would_come(site):
    for words, said in ((["list"], "`chargehand tick`"), (["next"], "nothing is to start")):
        answer = site.chargehand("schedule", *words)
        assert (answer.code, answer.stdout) == (0, "")
        assert said in answer.stderr


def test_what_recurs_is_listed_in_words(site):
    site.jobs(
        [
            recurring("0 3 * * sun", time_zone="Europe/Berlin", recurrence={"purpose": "weekly patching"}),
            recurring("*/15 * * * *", name="Clean", recurrence={"max_iteration": 5}),
        ]
    )
    take_over(site)
    answer = site.chargehand("schedule", "list")
    assert answer.code == 0
    heads, weekly, clean = answer.stdout.splitlines()
    assert heads.split() == HEADS
    assert weekly.split()[:2] == ["1", "active"]
    assert "T03:00:00+0" in weekly
    assert "  0     weekly patching  at 03:00 on Sunday (Europe/Berlin)" in weekly
    assert clean.endswith("0/5   Clean            every 15 minutes")


def test_what_recurs_is_told_as_json_in_the_words_of_the_api(site):
    site.jobs(recurring("0 3 * * *", recurrence={"purpose": "patching", "max_iteration": 5}, overlap="queue"))
    take_over(site)
    (told,) = listed(site)
    upcoming = datetime.fromisoformat(told.pop("next_occurrence"))
    assert upcoming > now()
    assert (upcoming.hour, upcoming.minute, upcoming.second) == (3, 0, 0)
    assert {key: told[key] for key in ("id", "cron_line", "end_time", "iteration", "state")} == {
        "id": 1,
        "cron_line": "0 3 * * *",
        "end_time": None,
        "iteration": 0,
        "state": "active",
    }
    assert (told["max_iteration"], told["purpose"], told["last_occurrence"]) == (5, "patching", None)
    assert (told["key"], told["playbook"], told["words"]) == (
        "purpose:patching",
        "playbooks/job.json",
        "at 03:00 every day",
    )
    assert (told["overlap"], told["catch_up"], told["hosts"]) == (
        "queue",
        {"runs": "one", "window": 3600.0},
        None,
    )


def test_a_run_is_counted_where_it_is_listed(site):
    site.jobs(recurring("* * * * *", recurrence={"max_iteration": 1}))
    take_over(site)
    with history(site) as store:
        (logic,) = store.logics.all()
        store.logics.keep(logic.key, lambda found: due(found, now() + timedelta(minutes=1)).logic, now())
    (told,) = listed(site)
    assert (told["iteration"], told["state"], told["reason"]) == (1, "finished", "max_iteration is reached")
    assert told["last_occurrence"] is not None
    assert told["next_occurrence"] is None


def test_what_is_wrong_with_a_file_is_told_beside_what_it_said_before(site):
    path = site.jobs(recurring("0 3 * * *"))
    take_over(site)
    path.write_text("{")
    take_over(site)
    assert "its file is refused" in site.chargehand("schedule", "list").stdout
    assert listed(site)[0]["next_occurrence"] is not None


def test_what_comes_next_is_told_in_order_of_all_jobs(site):
    start_at = (now() + timedelta(minutes=1)).replace(microsecond=0)
    parameters = {"scheduling": {"start_at": start_at.isoformat()}, "targeting_type": "dynamic_query"}
    site.jobs(
        [
            recurring("*/30 * * * *"),
            recurring("*/45 * * * *", name="Clean", recurrence={"max_iteration": 2}),
            job(name="Reboot", parameters=parameters),
        ]
    )
    take_over(site)
    starts = next_starts(site, "-n", "12")
    moments = [datetime.fromisoformat(start["start_at"]) for start in starts]
    assert len(moments) == 12
    assert moments == sorted(moments)
    assert [start["job_name"] for start in starts].count("Clean") == 2
    (reboot,) = [start for start in starts if start["job_invocation_id"]]
    assert (reboot["start_at"], reboot["recurring_logic_id"]) == (start_at.isoformat(), None)
    lines = site.chargehand("schedule", "next", "-n", "3").stdout.splitlines()
    assert (len(lines), lines[0].split()) == (4, ["STARTS", "JOB"])


def test_a_calendar_of_when_nothing_starts_is_respected(site):
    site.jobs(recurring("0 12 * * *", blackout="freeze.ics"))
    begin = now().date() + timedelta(days=1)
    (site.root / "freeze.ics").write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        f"DTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:{begin:%Y%m%d}\r\n"
        f"DTEND;VALUE=DATE:{begin + timedelta(days=30):%Y%m%d}\r\nSUMMARY:Freeze\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    take_over(site)
    after = datetime.fromisoformat(next_starts(site, "-n", "2")[-1]["start_at"])
    assert after.date() >= begin + timedelta(days=30)


def test_a_pause_lasts_until_somebody_ends_it(site):
    site.jobs(recurring("0 3 * * *"))
    take_over(site)
    answer = site.chargehand("schedule", "pause", "Patch", "--reason", "change freeze")
    assert (answer.code, answer.stdout) == (0, "`Patch` is paused\n")
    (told,) = listed(site)
    assert (told["state"], told["reason"], told["next_occurrence"]) == ("disabled", "change freeze", None)
    assert next_starts(site) == []
    answer = site.chargehand("schedule", "resume", "1")
    assert answer.stdout.startswith("`Patch` is active; its next run is at ")
    assert (listed(site)[0]["state"], listed(site)[0]["reason"]) == ("active", "")


def test_a_pause_may_end_by_itself(site):
    site.jobs(recurring("0 3 * * *"))
    take_over(site)
    until = (now() + timedelta(days=3)).replace(microsecond=0)
    site.chargehand("schedule", "pause", "Patch", "--until", until.isoformat())
    (told,) = listed(site)
    assert (told["state"], told["paused_until"]) == ("disabled", until.isoformat())
    assert datetime.fromisoformat(told["next_occurrence"]) > until
    assert told["reason"].startswith("paused by ")


@pytest.mark.parametrize("until", ["tomorrow", "2020-01-01T00:00:00Z"])
def test_a_pause_until_a_moment_that_is_none_or_past_is_refused(site, until):
    site.jobs(recurring("0 3 * * *"))
    take_over(site)
    answer = site.chargehand("schedule", "pause", "Patch", "--until", until)
    assert answer.code == 2
    assert until in answer.stderr
    assert listed(site)[0]["state"] == "active"


def test_what_a_person_cancelled_stays_so_until_it_is_resumed(site):
    site.jobs(recurring("0 3 * * *", recurrence={"purpose": "patching"}))
    take_over(site)
    assert site.chargehand("schedule", "cancel", "patching").stdout == "`patching` is cancelled\n"
    take_over(site)
    assert listed(site)[0]["state"] == "cancelled"
    again = site.chargehand("schedule", "cancel", "patching")
    assert (again.code, "cancelled already: cancelled by " in again.stderr) == (2, True)
    assert site.chargehand("schedule", "resume", "patching").code == 0
    assert listed(site)[0]["state"] == "active"


def test_a_logic_whose_job_is_gone_is_not_resumed(site):
    path: Path = site.jobs(recurring("0 3 * * *"))
    take_over(site)
    path.unlink()
    take_over(site)
    answer = site.chargehand("schedule", "resume", "Patch")
    assert answer.code == 2
    assert "put its job back" in answer.stderr


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_name_that_nothing_has_is_told_the_nearest(site, verb):
    site.jobs(recurring("0 3 * * *", recurrence={"purpose": "weekly patching"}))
    take_over(site)
    answer = site.chargehand("schedule", verb, "weekly patchin")
    assert answer.code == 2
    assert "did you mean `weekly patching`?" in answer.stderr


def test_validate_says_when_a_job_recurs(site):
    site.jobs([recurring("0 3 * * sun", time_zone="Europe/Berlin"), recurring("*/45 * * * *", name="Clean")])
    answer = site.chargehand("validate")
    patch, clean, total = answer.stdout.splitlines()
    assert answer.code == 0
    assert patch.startswith("Patch: at 03:00 on Sunday (Europe/Berlin), next 20")
    assert patch.count("T03:00:00+0") == 3
    assert clean.startswith("Clean: every 45 minutes, next 20")
    assert "uneven" in answer.stderr
    assert total.startswith("1 file, 2 jobs")
