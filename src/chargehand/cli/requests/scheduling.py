"""``tick``, ``serve`` and ``schedule``."""

from typing import Literal

from chargehand.frozen import frozen


@frozen(slots=False)
class TickRequest:
    """``chargehand tick``."""


@frozen(slots=False)
class ServeRequest:
    """``chargehand serve``; times in seconds, and where webhooks are heard, if not where the setting says."""

    interval: float
    grace: float
    listen: str | None


@frozen(slots=False)
class ScheduleListRequest:
    """``chargehand schedule list``."""

    output: Literal["text", "json"]


@frozen(slots=False)
class ScheduleNextRequest:
    """``chargehand schedule next``."""

    number: int
    output: Literal["text", "json"]


@frozen(slots=False)
class RecurringLogicRequest:
    """``chargehand schedule resume`` and ``cancel``."""

    which: str


@frozen(slots=False)
class PauseRequest(RecurringLogicRequest):
    """``chargehand schedule pause``."""

    until: str | None
    reason: str | None
