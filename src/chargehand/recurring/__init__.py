"""Recurring logics: what of a recurrence is due at a moment, as decisions that nobody carried out yet.

An occurrence is called by its nominal time, the instant its cron line names; it is due a little later when
the job has a `jitter`. Whoever carries decisions out writes one row for each, unique by logic and nominal
time: that is what makes a run start once, over restarts, replicas and clocks that are set.
"""

from chargehand.recurring.decision import (
    ON_TIME,
    SKIPPED,
    Action,
    Claims,
    Decision,
    Decisions,
    due,
    floor,
    is_due,
)
from chargehand.recurring.logic import (
    MISSED_RUNS,
    OVERLAPS,
    MissedRuns,
    Overlap,
    RecurringLogic,
    State,
    is_over,
)
from chargehand.recurring.once import judge_start
from chargehand.recurring.upcoming import Blackout, next_occurrence, no_blackout, upcoming_starts

__all__ = [
    "MISSED_RUNS",
    "ON_TIME",
    "OVERLAPS",
    "SKIPPED",
    "Action",
    "Blackout",
    "Claims",
    "Decision",
    "Decisions",
    "MissedRuns",
    "Overlap",
    "RecurringLogic",
    "State",
    "due",
    "floor",
    "is_due",
    "is_over",
    "judge_start",
    "next_occurrence",
    "no_blackout",
    "upcoming_starts",
]
