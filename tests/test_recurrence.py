import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.recurrence import (
    CronError,
    clock_change_warnings,
    in_words,
    next_occurrence,
    occurrences,
    read_cron_line,
)
from laws import tried

CASES = Path(__file__).parent / "cases" / "recurrence"
BERLIN = ZoneInfo("Europe/Berlin")


def cases(name):
    return yaml.load((CASES / name).read_text(), yaml.BaseLoader)


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "case", cases("instants.yml"), ids=lambda case: f"{case['zone']} {case['line']} {case['after']}"
)
def test_a_line_occurs_at_the_instants_cronie_runs_it(case):
    found = occurrences(read_cron_line(case["line"]), ZoneInfo(case["zone"]), at(case["after"]))
    assert list(itertools.islice(found, len(case["then"]))) == [at(then) for then in case["then"]]


@pytest.mark.parametrize(("line", "said"), cases("refused.yml"))
def test_a_line_that_never_occurs_or_is_read_differently_elsewhere_is_refused(line, said):
    with pytest.raises(CronError) as caught:
        read_cron_line(line)
    (problem,) = caught.value.problems
    assert said in f"{problem.message}; {problem.hint}"


def test_a_line_of_more_than_200_characters_is_refused():
    with pytest.raises(CronError, match="200"):
        read_cron_line(",".join(["5"] * 101) + " * * * *")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("*/45 * * * *", "uneven"),
        ("0 */5 * * *", "uneven"),
        ("0 0 */2 * *", "uneven"),
        ("7/20 * * * *", None),
        ("*/15 * * * *", None),
        ("0 0 13 * 5", "either matches"),
        ("0 0 31 2 0", "never occurs"),
        ("0 0 29 2 *", "every 4 years"),
        ("0 3 * * sun", None),
    ],
)
def test_a_line_that_may_surprise_is_warned_of(line, said):
    messages = [warning.message for warning in read_cron_line(line).warnings]
    assert len(messages) == (0 if said is None else 1)
    assert all(said in message for message in messages)


@pytest.mark.parametrize(
    ("line", "canonical"),
    [
        ("@daily", "0 0 * * *"),
        ("  05\t03 *  JAN-mar Sun,7 ", "5 3 * 1-3 0"),
        ("*/1 */02 * * *", "* */2 * * *"),
        ("0-30/10,45 8-17 1,15 * *", "0-30/10,45 8-17 1,15 * *"),
    ],
)
def test_a_line_is_written_in_numbers(line, canonical):
    assert read_cron_line(line).canonical == canonical
    assert read_cron_line(canonical).canonical == canonical


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "30 2 * * *",
            [
                "02:30 is not shown ... on 2027-03-28; it runs at 03:00",
                "02:30 is shown twice ... on 2027-10-31; it runs the first time only",
            ],
        ),
        ("30 2 * * mon", []),
        ("30 4 * * *", []),
        ("*/5 2 * * *", []),
    ],
)
def test_times_that_a_clock_change_skips_or_repeats_are_warned_of(line, said):
    warnings = clock_change_warnings(read_cron_line(line), BERLIN, at("2027-01-01T00:00Z"))
    messages = [warning.message.replace("by the clocks of Europe/Berlin", "...") for warning in warnings]
    assert messages == said
    assert clock_change_warnings(read_cron_line(line), UTC, at("2027-01-01T00:00Z")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("5 * * * *", "every hour at minute 5"),
        ("0 3 * * sun", "at 03:00 on Sunday"),
        ("0 3,15 1 1 *", "at 03:00 and 15:00 on day 1 of the month in January"),
        ("0 0 13 * 5", "at 00:00 on day 13 of the month or on Friday"),
        ("0 4 * * *", "at 04:00 every day"),
        (
            "*/20 8-9 * * 1-5",
            "at minute 0, 20 and 40 of hour 8 and 9 on Monday, Tuesday, Wednesday, Thursday and Friday",
        ),
    ],
)
def test_a_line_is_told_in_words(line, words):
    assert in_words(read_cron_line(line)) == words


def test_every_minute_of_a_changing_night_is_a_safe_place_to_start_again():
    line = read_cron_line("30 2 * * *")
    for night, run in (
        ("2027-03-28T00:00Z", "2027-03-28T01:00Z"),
        ("2027-10-31T00:00Z", "2027-10-31T00:30Z"),
    ):
        for minute in range(300):
            start = at(night) + timedelta(minutes=minute)
            assert (next_occurrence(line, BERLIN, start) == at(run)) is (start < at(run))


def field(low, high, star="*"):
    value = st.integers(low, high)
    pair = st.tuples(value, value).map(sorted)
    return st.one_of(
        st.just(star),
        value.map(str),
        pair.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.lists(value, min_size=1, max_size=4, unique=True).map(lambda values: ",".join(map(str, values))),
    )


lines = st.builds(
    "{} {} {} * {}".format, field(0, 59, "*/20"), field(0, 4), st.just("*") | field(1, 31), field(0, 7)
).filter(lambda line: len(line) < 200)
zones = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo"]
)
turns = {
    "Europe/Berlin": ["2027-03-28T01:00Z", "2027-10-31T01:00Z"],
    "America/New_York": ["2027-03-14T07:00Z", "2027-11-07T06:00Z"],
    "Australia/Lord_Howe": ["2027-04-03T15:00Z", "2027-10-02T15:30Z"],
    "America/Santiago": ["2027-04-04T03:00Z", "2027-09-05T04:00Z"],
    "Africa/Cairo": ["2027-04-29T22:00Z", "2027-10-28T21:00Z"],
}


def crond(line, zone, start, minutes):
    """A cron daemon that wakes every minute: the rule of cronie's clock-change code, minute by minute."""
    ran, virtual = set(), start.astimezone(zone).replace(tzinfo=None) - timedelta(minutes=1)
    for passed in range(minutes):
        instant = start + timedelta(minutes=passed)
        wall = instant.astimezone(zone).replace(tzinfo=None)
        if line.follows_clock:
            if due(line, wall):
                ran.add(instant)
            continue
        while virtual < wall:
            virtual += timedelta(minutes=1)
            if due(line, virtual):
                ran.add(instant)
    return sorted(ran)


def due(line, wall):
    day = wall.day in line.day.values
    weekday = wall.isoweekday() % 7 in line.weekday.values
    both = (day or weekday) if line.either_day else (day and weekday)
    return (
        wall.minute in line.minute.values
        and wall.hour in line.hour.values
        and wall.month in line.month.values
        and both
    )


@tried(25)
@given(lines, zones, st.integers(0, 1), st.integers(1, 600))
def test_a_clock_change_is_survived_as_a_daemon_that_wakes_every_minute_does(text, name, turn, ahead):
    try:
        line = read_cron_line(text)
    except CronError:
        return
    zone, start = ZoneInfo(name), at(turns[name][turn]) - timedelta(minutes=ahead)
    end = start + timedelta(minutes=1200)
    # The daemon wakes before the clocks change: what it never saw it could not make up for.
    found = itertools.takewhile(
        lambda instant: instant < end, occurrences(line, zone, start - timedelta(seconds=1))
    )
    assert list(found) == crond(line, zone, start, 1200)
