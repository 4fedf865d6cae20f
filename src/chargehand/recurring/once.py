"""Once: what becomes of a start that was set for one moment."""

from datetime import UTC, datetime, timedelta

from chargehand.recurring.decision import ON_TIME, Decision
from chargehand.recurring.logic import MissedRuns
from chargehand.recurring.upcoming import Blackout, no_blackout


def judge_start(
    start_at: datetime,
    now: datetime,
    *,
    start_before: datetime | None = None,
    catch_up_runs: MissedRuns = "one",
    catch_up_window_s: float = 3600.0,
    blackout: Blackout = no_blackout,
) -> Decision:
    """Decide about a start whose time has come, or which is late.

    Args:
        start_at: When it was to start.
        now: Not before that.
        start_before: It starts before this or not at all.
        catch_up_runs: ``none`` means that a late one does not start.
        catch_up_window_s: What is later than this does not start.
        blackout: When nothing starts.
    """
    late_by, when = now - start_at, f"{start_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    window = timedelta(seconds=catch_up_window_s)
    if start_before is not None and now > start_before:
        reason = f"it was to start before {start_before.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} and could not"
        return Decision(occurrence=start_at, action="cancelled", code="start_before", reason=reason)
    if late_by >= ON_TIME and (catch_up_runs == "none" or late_by > window):
        why = "missed runs are not caught up"
        if catch_up_runs != "none":
            why = f"later than the {window} in which it is caught up"
        reason = f"nobody was there to start it at {when}; {why}"
        return Decision(occurrence=start_at, action="missed", code="missed", reason=reason)
    if name := blackout(now):
        reason = f"nothing starts during {name}"
        return Decision(occurrence=start_at, action="blackout", code="blackout", reason=reason)
    if late_by >= ON_TIME:
        reason = f"started late: it was due at {when}"
        return Decision(occurrence=start_at, action="start", code="late", reason=reason)
    return Decision(occurrence=start_at, action="start")
