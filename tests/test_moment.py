from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from chargehand.moment import MomentError, find_zone, parse_duration, parse_moment

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2027-01-01T00:00:00Z", None, "2027-01-01T00:00:00"),
        ("2027-01-01T00:00:00+05:30", None, "2026-12-31T18:30:00"),
        ("2027-01-01T00:00:00+0100", None, "2026-12-31T23:00:00"),
        ("2023-11-27 20:15:08 UTC", None, "2023-11-27T20:15:08"),
        ("2027-01-01t08:00z", BERLIN, "2027-01-01T08:00:00"),
        ("2027-01-01 08:00", BERLIN, "2027-01-01T07:00:00"),
        ("2027-07-01T08:00:00.25", BERLIN, "2027-07-01T06:00:00.250000"),
        ("2027-07-01", BERLIN, "2027-06-30T22:00:00"),
        ("2027-10-31T02:30", BERLIN, "2027-10-31T00:30:00"),
    ],
)
def test_an_instant_is_read(text, zone, instant):
    read = parse_moment(text, zone)
    assert read == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        ("2027-01-01T08:00:00", None, "no time zone"),
        ("2027-03-28T02:30:00", BERLIN, "does not exist"),
        ("2027-02-30T00:00:00Z", None, "calendar"),
        ("2027-01-01T24:00:00Z", None, "calendar"),
        ("2027-01-01T08:00:00+99:00", None, "calendar"),
        ("0001-01-01T00:00:00+01:00", None, "years"),
        ("01/02/2027", BERLIN, "2027-01-31"),
        ("1700000000", BERLIN, "2027-01-31"),
        ("2027-W01-1", BERLIN, "2027-01-31"),
        ("٢٠٢٧-01-01", BERLIN, "2027-01-31"),
        ("", BERLIN, "2027-01-31"),
    ],
)
def test_anything_else_is_no_instant(text, zone, said):
    with pytest.raises(MomentError, match=said):
        parse_moment(text, zone)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (90, 90),
        (0.5, 0.5),
        ("30s", 30),
        ("5m", 300),
        ("6h", 21600),
        ("2d", 172800),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("90", 90),
        ("0.5h", 1800),
    ],
)
def test_a_duration_is_read_as_seconds(value, seconds):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        -1,
        "-1s",
        "",
        "5 minutes",
        "5M",
        "30m1h",
        "1h1h",
        "1h30",
        float("nan"),
        float("inf"),
        10**400,
        [],
        "٣s",
    ],
)
def test_anything_else_is_no_duration(value):
    with pytest.raises(MomentError, match="length of time"):
        parse_duration(value)


def test_a_zone_is_found_by_its_iana_name():
    assert find_zone("Europe/Berlin") == BERLIN
    assert find_zone("UTC").key == "UTC"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("../etc/passwd", "Europe/Berlin"),
        ("right/UTC", "no time zone"),
        ("", "no time zone"),
        ("a" * 5000, "no time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest(name, said):
    with pytest.raises(MomentError, match=said):
        find_zone(name)
