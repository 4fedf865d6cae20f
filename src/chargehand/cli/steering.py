"""``chargehand schedule pause``, ``resume`` and ``cancel``: a hand on what recurs."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from chargehand.cli import screen
from chargehand.cli.remembered import now
from chargehand.cli.requests.scheduling import PauseRequest, RecurringLogicRequest
from chargehand.cli.schedule import Plans, local, title
from chargehand.cli.writable import writable
from chargehand.errors import UsageError
from chargehand.layout import find_root
from chargehand.moment import MomentError, parse_moment
from chargehand.recurring.logic import RecurringLogic
from chargehand.store.logics import Logics


def pause(request: PauseRequest) -> int:
    """Pause a recurring logic."""
    with _plans() as (logics, plans):
        until = None if request.until is None else _until(request.until, plans)
        reason = request.reason or f"paused by {getpass.getuser()}"
        logic = logics.find(request.which)
        logic = logics.change(logic.id, lambda each: each.paused(reason, until), now())
        screen.say(f"{_name(logic)} is paused" + (f" until {local(until, logic, plans)}" if until else ""))
    return 0


def resume(request: RecurringLogicRequest) -> int:
    """Let a recurring logic go on."""
    with _plans() as (logics, plans):
        logic = logics.find(request.which)
        moment = now()
        logic = logics.change(logic.id, lambda each: each.resumed(moment), moment)
        upcoming = plans.next_of(logic)
        then = f"its next run is at {local(upcoming, logic, plans)}" if upcoming else "it has no run left"
        screen.say(f"{_name(logic)} is active; {then}")
    return 0


def cancel(request: RecurringLogicRequest) -> int:
    """Cancel a recurring logic."""
    with _plans() as (logics, _):
        logic = logics.find(request.which)
        if logic.state == "cancelled":
            raise UsageError(f"{_name(logic)} is cancelled already: {logic.reason}")
        reason = f"cancelled by {getpass.getuser()}"
        logic = logics.change(logic.id, lambda each: each.ended(reason), now())
        screen.say(f"{_name(logic)} is cancelled")
    return 0


@contextmanager
def _plans() -> Iterator[tuple[Logics, Plans]]:
    with writable() as past:
        yield past.store.logics, Plans(past, find_root(Path()))


def _until(text: str, plans: Plans) -> datetime:
    try:
        until = parse_moment(text, plans.past.zone)
    except MomentError as error:
        raise UsageError(f"--until: {error}") from None
    if until <= now():
        raise UsageError(f"--until: {text} is in the past")
    return until


def _name(logic: RecurringLogic) -> str:
    return f"`{title(logic)}`"
