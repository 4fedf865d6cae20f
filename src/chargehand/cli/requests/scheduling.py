"""``tick``, ``serve`` and ``schedule``."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TickRequest:
    """``chargehand tick``."""


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """``chargehand serve``; times in seconds, and where webhooks are heard, if not where the setting says."""

    interval: float
    grace: float
    listen: str | None


@dataclass(frozen=True, kw_only=True)
class ScheduleListRequest:
    """``chargehand schedule list``."""

    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class ScheduleNextRequest:
    """``chargehand schedule next``."""

    number: int
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class RecurringLogicRequest:
    """``chargehand schedule resume`` and ``cancel``."""

    which: str


@dataclass(frozen=True, kw_only=True)
class PauseRequest(RecurringLogicRequest):
    """``chargehand schedule pause``."""

    until: str | None
    reason: str | None
