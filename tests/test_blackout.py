"""Blackouts: every case under `cases/blackout/` is a calendar, and what comes of it in 2027.

A case is the lines of an iCalendar file (an event alone stands in a calendar with three lines of its own),
a line of three dashes, and what is expected: `windows` in UTC, names `at` moments, or `problems` as
``LINE part of the message``, in order and complete.
"""

import os
import sys
from datetime import UTC, datetime, time, timedelta
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from dateutil.rrule import FR, MONTHLY, rrule

from chargehand.blackout import Blackout, Calendars, Window, load_blackout
from chargehand.compose import Catalogue
from chargehand.errors import InvalidError
from chargehand.project import Project
from repository import OWN_NAME, Repository

CASES = sorted((Path(__file__).parent / "cases" / "blackout").glob("*.ics"))
BERLIN = ZoneInfo("Europe/Berlin")
YEAR = 2027


def calendar(*lines):
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *lines, "END:VCALENDAR", ""])


def event(*lines, number=1):
    return ["BEGIN:VEVENT", f"UID:{number}", "SUMMARY:freeze", *lines, "END:VEVENT"]


def blackout_of(folder, text, zone=UTC):
    file = folder / "freeze.ics"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_blackout([file], zone=zone)


def refusal(folder, text):
    with pytest.raises(InvalidError) as refused:
        blackout_of(folder, text)
    return refused.value.problems


def windows_in(blackout, year=YEAR):
    """Every window of a year, found as a scheduler finds them: moment by moment."""
    moment, end, found = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC), []
    while moment < end:
        window = blackout.window_at(moment)
        if window:
            found.append(window)
        moment = window.end_at if window else moment + timedelta(minutes=30)
    return found


def written(window):
    return f"{window.start_at:%Y-%m-%d %H:%M}/{window.end_at:%Y-%m-%d %H:%M} {window.name}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_calendar_means_what_its_case_says(path, tmp_path):
    text, _, rest = path.read_text(encoding="utf-8").partition("\n---\n")
    expected = yaml.safe_load(rest)
    if text.startswith("BEGIN:VEVENT"):
        text = calendar(*text.split("\n"))
    zone = ZoneInfo(expected.get("zone", "UTC"))
    if "problems" in expected:
        problems = refusal(tmp_path, text)
        told = [f"{problem.place.line or ''} {problem.message}".strip() for problem in problems]
        assert [each[: len(part)] for each, part in zip(told, expected["problems"], strict=True)] == expected[
            "problems"
        ]
        assert {problem.rule for problem in problems} == {"blackout"}
        assert {Path(problem.place.file).name for problem in problems} == {"freeze.ics"}
        return
    blackout = blackout_of(tmp_path, text, zone)
    assert [written(window) for window in windows_in(blackout)] == expected["windows"]
    for moment, name in expected.get("at", {}).items():
        assert blackout.at(datetime.fromisoformat(moment)) == name


# -- held against other calculations -----------------------------------------------------------------------


def test_a_nightly_window_is_at_the_same_wall_clock_time_all_year(tmp_path):
    lines = event("DTSTART;TZID=Europe/Berlin:20270101T013000", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    blackout = blackout_of(tmp_path, calendar(*lines))
    for day in range(365):
        wall = datetime.combine(datetime(YEAR, 1, 1, tzinfo=UTC) + timedelta(days=day), time(1, 30))
        start_at = wall.replace(tzinfo=BERLIN).astimezone(UTC)
        assert blackout.at(start_at) == "freeze", wall
        assert blackout.at(start_at - timedelta(seconds=1)) == "", wall


def test_the_last_friday_of_every_month_is_the_one_that_dateutil_finds(tmp_path):
    lines = event(
        "DTSTART;TZID=Europe/Berlin:20200101T100000", "DURATION:PT2H", "RRULE:FREQ=MONTHLY;BYDAY=-1FR"
    )
    blackout = blackout_of(tmp_path, calendar(*lines))
    walls = rrule(MONTHLY, byweekday=FR(-1), dtstart=datetime(YEAR, 1, 1, 10))  # noqa: DTZ001 - a wall clock
    fridays = takewhile(lambda wall: wall.year == YEAR, walls)
    expected = [wall.replace(tzinfo=BERLIN).astimezone(UTC) for wall in fridays]
    assert [window.start_at for window in windows_in(blackout)] == expected
    assert len(expected) == 12


# -- what is asked of a blackout ---------------------------------------------------------------------------


def at_hour(hour):
    return datetime(YEAR, 1, 1, hour, tzinfo=UTC)


def windows(*hours):
    return [
        Window(start_at=at_hour(start), end_at=at_hour(end), name=f"{start}-{end}") for start, end in hours
    ]


def test_without_calendars_every_moment_is_free():
    assert Blackout().at(at_hour(1)) == ""
    assert Blackout().next_free(at_hour(1)) == at_hour(1)
    assert not Blackout()


def test_the_next_free_moment_lies_behind_windows_that_overlap_and_touch():
    blackout = Blackout([lambda _: windows((1, 5), (2, 7)), lambda _: windows((7, 9))])
    assert blackout.next_free(at_hour(0)) == at_hour(0)
    assert blackout.next_free(at_hour(3)) == at_hour(9)
    assert blackout.at(at_hour(4)) == "2-7"


def test_windows_without_end_leave_no_free_moment(tmp_path):
    lines = event("DTSTART:20270101T000000Z", "DURATION:P1D", "RRULE:FREQ=DAILY")
    assert blackout_of(tmp_path, calendar(*lines)).next_free(at_hour(3)) is None


def test_several_calendars_are_one_blackout(tmp_path):
    for day in (1, 2):
        text = calendar(*event(f"DTSTART;VALUE=DATE:2027010{day}"))
        (tmp_path / f"{day}.ics").write_text(text)
    blackout = load_blackout([tmp_path / "1.ics", tmp_path / "2.ics"], zone=UTC)
    assert blackout.next_free(at_hour(3)) == datetime(YEAR, 1, 3, tzinfo=UTC)


def test_a_calendar_is_read_once_for_many_jobs_and_zones(tmp_path):
    file = tmp_path / "freeze.ics"
    file.write_text(calendar(*event("DTSTART;VALUE=DATE:20270102")))
    calendars = Calendars(tmp_path)
    berlin = calendars.blackout({"freeze.ics": None}, BERLIN)
    file.unlink()
    utc = calendars.blackout({"freeze.ics": None}, UTC)
    assert berlin.window_at(at_hour(23)).end_at == datetime(YEAR, 1, 2, 23, tzinfo=UTC)
    assert utc.window_at(at_hour(23)) is None


# -- hostile calendars -------------------------------------------------------------------------------------


def test_rules_that_together_are_too_much_work_are_refused(tmp_path):
    rare = [
        line
        for number in range(90)
        for line in event(
            "DTSTART:20270101T000000Z",
            "DURATION:PT1H",
            "RRULE:FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))),
            number=number,
        )
    ]
    (problem,) = refusal(tmp_path, calendar(*rare))
    assert "recur too often" in problem.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (calendar(*(line for n in range(101) for line in event("RRULE:FREQ=DAILY", number=n))), "101 recurr"),
        (calendar(*(line for n in range(5001) for line in event(number=n))), "5001 events"),
        (calendar(*event("RDATE:" + "20270101T000000Z," * 6000)), "events and dates"),
        (calendar("COMMENT:" + "x" * 1024 * 1024), "larger than 1024 KiB"),
        (calendar(*["BEGIN:X"] * 10), "nest deeper"),
        (
            calendar(*event("DTSTART;VALUE=DATE:20270101", "DURATION:P400D", "RRULE:FREQ=DAILY")),
            "at most 366",
        ),
        (b"BEGIN:VCALENDAR\r\nX:\xff\r\n", "not UTF-8"),
        (calendar("END:VEVENT"), "ends nothing"),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_a_calendar_that_asks_for_too_much_is_refused(tmp_path, text, said):
    assert any(said in problem.message for problem in refusal(tmp_path, text))


@pytest.mark.parametrize("what", ["folder", "pipe", "device", "nothing"])
def test_what_is_no_file_is_not_read(tmp_path, what):
    path = tmp_path / "freeze.ics"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(InvalidError):
        load_blackout([path], zone=UTC)


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "chargehand.blackout.ical", raising=False)
    monkeypatch.setitem(sys.modules, "icalendar", None)
    (problem,) = refusal(tmp_path, calendar())
    assert problem.hint == "pip install 'chargehand[calendar]'"


# -- in a project ------------------------------------------------------------------------------------------

JOB = """\
script: "true"
job_invocation: {targeting_type: static_query, search_query: "*"}
"""


def project_of(root, job=JOB, settings=""):
    for name, text in (
        ("inventory/hosts.ini", "web1\n"),
        ("playbooks/job.yml", job),
        ("chargehand.toml", settings),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return Project.load(root)


def test_a_job_keeps_to_the_calendars_of_the_settings_and_to_its_own(tmp_path):
    for day, file in ((1, "all.ics"), (2, "own.ics")):
        (tmp_path / file).write_text(calendar(*event(f"DTSTART;VALUE=DATE:2027010{day}")))
    project = project_of(
        tmp_path, JOB + "blackout: own.ics\ntime_zone: Europe/Berlin\n", 'blackout = ["all.ics"]\n'
    )
    (job,) = project.jobs
    blackout = project.compose(job).blackout
    assert blackout.next_free(at_hour(3)) == datetime(YEAR, 1, 2, 23, tzinfo=UTC)


def test_validation_tells_what_is_wrong_with_the_calendars_of_settings_and_jobs(tmp_path):
    (tmp_path / "own.ics").write_text(calendar(*event("DTSTART:tomorrow")))
    project = project_of(tmp_path, JOB + "blackout: [own.ics]\n", 'blackout = ["gone.ics"]\n')
    found = [(Path(each.place.file).name, each.place.line) for each in project.validate().problems]
    assert found == [("chargehand.toml", None), ("own.ics", 7)]


def test_a_catalogue_finds_calendars_beside_its_settings(tmp_path):
    project = project_of(tmp_path)
    assert isinstance(project.catalogue, Catalogue)
    assert not project.compose(project.jobs[0]).blackout


def test_a_run_by_hand_inside_a_blackout_runs_with_a_warning(tmp_path):
    repository = Repository(tmp_path / "fleet")
    repository.hosts({"here": {"ansible_connection": "local", "ansible_user": OWN_NAME}})
    now = datetime.now(UTC)
    days = [f"DTSTART;VALUE=DATE:{now - timedelta(days=2):%Y%m%d}", "DURATION:P5D"]
    (repository.root / "freeze.ics").write_text(calendar(*event(*days)))
    answer = repository.chargehand("run", repository.job("echo ran", blackout="freeze.ics"))
    assert answer.code == 0, answer.stderr
    assert "ran" in answer.stdout
    assert "warning: nothing starts by itself during `freeze`; by hand it does" in answer.stderr
