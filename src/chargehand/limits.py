"""Limits: how many hosts at once, in which waves, and when a run goes no further."""

import math
from collections.abc import Sequence
from dataclasses import field
from typing import TypeVar

from chargehand.expression import expression
from chargehand.frozen import frozen

T = TypeVar("T")

Amount = int | str
"""A number of hosts, or a percentage of them: ``5`` or ``"10%"``."""

_PERCENT = expression(r"(\d{1,3}(?:\.\d+)?)%")


@frozen
class Retry:
    """How often an unreachable host is tried again.

    Attributes:
        times: Further tries after the first.
        delay_s: Seconds between two of them; meanwhile the host's slot serves others.
    """

    times: int = 0
    delay_s: float = 30.0


@frozen
class Limits:
    """How far and how fast a run may go.

    Attributes:
        concurrency_level: At most so many hosts at once; None means the runner's default.
        stop_after: So many hosts that did not succeed, or so large a part of all of them, and no further
            host is started. None means never.
        waves: Sizes of the groups of hosts that go one after the other. The last size repeats until
            every host had its turn, as Ansible's ``serial`` does. Empty means one wave.
        wave_pause_s: Seconds between the end of a wave and the beginning of the next.
        deadline_s: Seconds the whole run may take; None for ever.
        retry_unreachable: How often an unreachable host is tried again.
    """

    concurrency_level: int | None = None
    stop_after: Amount | None = None
    waves: tuple[Amount, ...] = ()
    wave_pause_s: float = 0.0
    deadline_s: float | None = None
    retry_unreachable: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        if self.concurrency_level is not None and self.concurrency_level < 1:
            raise ValueError("concurrency_level must be at least 1")
        for amount in (*self.waves, *(() if self.stop_after is None else (self.stop_after,))):
            _part(amount)

    def failures_allowed(self, total: int) -> float:
        """The number of failed hosts, out of `total`, at which no further host is started."""
        if self.stop_after is None:
            return math.inf
        return max(1, math.ceil(_of(self.stop_after, total)))


def split_waves(hosts: Sequence[T], sizes: Sequence[Amount]) -> list[Sequence[T]]:
    """Cut `hosts` into waves; percentages are of all of them, rounded down, and at least one host."""
    waves, start, turn = [], 0, 0
    while start < len(hosts):
        size = sizes[min(turn, len(sizes) - 1)] if sizes else len(hosts)
        end = start + max(1, math.floor(_of(size, len(hosts))))
        waves.append(hosts[start:end])
        start, turn = end, turn + 1
    return waves


def _of(amount: Amount, total: int) -> float:
    number, percent = _part(amount)
    return number * total / 100 if percent else number


def _part(amount: Amount) -> tuple[float, bool]:
    """The number and whether it is a percentage."""
    if isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1:
        return amount, False
    found = _PERCENT.fullmatch(amount) if isinstance(amount, str) else None
    if found and 0 < float(found[1]) <= 100:
        return float(found[1]), True
    raise ValueError(f"{amount!r} is neither a number of hosts from 1 nor a percentage from above 0% to 100%")
