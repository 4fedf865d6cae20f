"""The scheduler: starts what is due, once, in passes; `tick` makes one and `serve` makes them for ever."""

from chargehand.scheduler.departure import Departure
from chargehand.scheduler.rounds import Rounds
from chargehand.scheduler.scheduler import Pass, Scheduler

__all__ = ["Departure", "Pass", "Rounds", "Scheduler"]
