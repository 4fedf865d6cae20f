"""Instants, durations and time zones as people write them in files."""

import math
import re
from datetime import UTC, datetime, tzinfo
from functools import cache
from importlib import import_module

from chargehand.errors import did_you_mean

_MOMENT = (
    r"(?ai)(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"
    r"(?: ?(?P<utc>UTC|Z)| ?(?P<offset>[+-]\d\d:?\d\d))?)?"
)
_DURATION_PART = r"(?a)(\d{1,9}(?:\.\d{1,9})?)([wdhms])"
_UNIT_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def utc_now() -> datetime:
    """The time by the machine's clock."""
    return datetime.now(UTC)


class MomentError(ValueError):
    """A text that is no instant, duration or zone; says so in one sentence.

    Whoever knows where the text stands turns it into a `Problem` with that place.
    """


def parse_moment(text: str, zone: tzinfo | None = None) -> datetime:
    """Read an instant.

    ISO 8601 with an offset (``2027-01-01T08:00:00+01:00``, ``...Z``, and the API's
    ``2023-11-27 20:15:08 UTC``), or without one when `zone` is known. A date alone is the
    beginning of that day. Of a local time that occurs twice, the first is meant.

    Returns:
        The instant, aware, in UTC.

    Raises:
        MomentError: The text is no instant, has no zone, or names a local time that does not exist.
    """
    match = re.fullmatch(_MOMENT, text.strip())
    if match is None:
        raise MomentError(f"`{text}` is no date and time; write it as 2027-01-31T08:00:00+01:00")
    try:
        return _instant(match, zone)
    except OverflowError:
        raise MomentError(f"`{text}` lies outside the years 1 to 9999") from None


def _instant(match: re.Match[str], zone: tzinfo | None) -> datetime:
    try:
        wall = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}")
        offset = "+00:00" if match["utc"] else match["offset"]
        if offset:
            return datetime.fromisoformat(wall.isoformat() + offset).astimezone(UTC)
    except ValueError:
        raise MomentError(f"`{match[0]}` is no date and time of the calendar") from None
    if zone is None:
        raise MomentError(f"`{match[0]}` has no offset and no time zone is known; add `Z` or `+01:00`")
    return local_moment(wall, zone)


def local_moment(wall: datetime, zone: tzinfo) -> datetime:
    """The instant at which the clocks of `zone` show `wall`, the first one if they do so twice.

    Raises:
        MomentError: They never do: the clock is put forward over that time.
        OverflowError: Outside the years 1 to 9999.
    """
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != wall:
        raise MomentError(f"the local time {wall:%Y-%m-%d %H:%M} does not exist in {zone}: clocks skip it")
    return instant


def parse_duration(value: object) -> float:
    """Read a length of time: seconds as a number, or ``30s``, ``5m``, ``6h``, ``2d``, ``1w``, ``1h30m``.

    Raises:
        MomentError: It is neither, or negative.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) < 1e15 else math.inf
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    if isinstance(value, str):
        parts = re.findall(_DURATION_PART, value.replace(" ", ""))
        units = [unit for _, unit in parts]
        in_order = units == sorted(set(units), key="wdhms".index)
        if parts and in_order and "".join(number + unit for number, unit in parts) == value.replace(" ", ""):
            return math.fsum(float(number) * _UNIT_S[unit] for number, unit in parts)
        if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value, re.ASCII):
            return float(value)
    raise MomentError(f"`{value}` is no length of time; write seconds, or 30s, 5m, 6h, 2d, 1w, 1h30m")


def zone_called(name: str) -> tzinfo:
    """An IANA time zone that is known to be there, and called so by `str`; most jobs need none.

    Raises:
        KeyError: There is none.
    """
    zone: tzinfo = import_module("zoneinfo").ZoneInfo(name)
    return zone


def find_zone(name: str) -> tzinfo:
    """The IANA time zone called `name`.

    Raises:
        MomentError: There is none of that name; names the nearest one.
    """
    known = _zone_names()
    if name in known:
        return zone_called(name)
    of_that_city = [zone for zone in sorted(known) if zone.casefold().endswith("/" + name.casefold())]
    hint = f"did you mean `{of_that_city[0]}`?" if of_that_city else did_you_mean(name, known)
    advice = hint or "names look like `Europe/Berlin`"
    raise MomentError(f"there is no time zone `{name}`; {advice}")


@cache
def _zone_names() -> frozenset[str]:
    """Every zone there is; looking for them reads hundreds of files."""
    return frozenset(import_module("zoneinfo").available_timezones())
