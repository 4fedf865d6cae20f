"""``chargehand cancel``: end a run, or some of its hosts, from any terminal."""

import getpass
import time
from collections.abc import Collection, Sequence
from typing import Final

from chargehand.cli import screen
from chargehand.cli.remembered import now, result_of
from chargehand.cli.requests.history import CancelRequest
from chargehand.cli.writable import Writable, writable
from chargehand.errors import NoHostMatchedError, UsageError
from chargehand.inventory.pattern import Names, match_names
from chargehand.report.history import clock_time, outcomes, status_words
from chargehand.result import HostResult
from chargehand.runner.outcome import CANCELLED, never_started
from chargehand.search import compile_with
from chargehand.search.resultfields import result_fields
from chargehand.store import Stored, StoredShare
from chargehand.store.entry import Outcome
from chargehand.targeting import is_query

PAUSE_S: Final = 0.25
EXIT_CODE: Final = 5
"""That a run ends with which somebody cancelled, as one of which hosts did not run."""


def cancel(request: CancelRequest) -> int:
    """Cancel an invocation, and wait until it is over."""
    with writable() as past:
        number = past.find_id(request.id)
        stored = past.store.history.find(number, with_output=False)
        _check_open(stored, past)
        names = None if request.limit is None else _chosen(stored, request.limit, past)
        if names is None and stored.runner_id is None and _call_off(number, past):
            screen.note(f"{number} is cancelled; it had not begun")
            return 0
        past.store.invocations.request_cancel(number, force=request.force, hosts=names)
        if _is_left(stored, past):
            return _finish_for(stored, names, past)
        if request.no_wait:
            screen.note(f"{number} is asked to stop")
            return 0
        return _wait(number, names, past)


def _check_open(stored: Stored, past: Writable) -> None:
    record = stored.record
    if record.state == "stopped":
        when = "" if record.ended_at is None else f" at {clock_time(record.ended_at, past.zone)}"
        raise UsageError(f"{record.id} could not be cancelled: it ended{when} ({status_words(record)})")


def _chosen(stored: Stored, limit: str, past: Writable) -> Sequence[str]:
    """Names of the hosts of the run that a limit means and that are not done.

    Raises:
        UsageError: The hosts are not looked up yet, or are all done.
        NoHostMatchedError: It means none of them.
    """
    if stored.record.targeting.hosts is None:
        raise UsageError(f"{stored.record.id} has no hosts yet: cancel all of it, or wait until it begins")
    if is_query(limit):
        search = compile_with(result_fields(), limit, now=now(), time_zone=past.zone)
        found = {share.host_name for share in stored.shares if search.matches(result_of(share))}
    else:
        hosts = {share.host_name: share for share in stored.shares}
        found = set(match_names(limit, Names(hosts=hosts, groups={"all": tuple(hosts)})))
    if not found:
        raise NoHostMatchedError(f"no host of {stored.record.id} matches `{limit}`")
    names = [share.host_name for share in stored.shares if share.host_name in found and not share.result]
    if not names:
        raise UsageError(f"nothing is left to cancel: {screen.count(len(found), 'host')} done already")
    return names


def _call_off(number: int, past: Writable) -> bool:
    """End what nobody has taken up yet; whether that worked."""
    return past.store.invocations.fail(
        number,
        code=CANCELLED,
        reason=f"cancelled by {getpass.getuser()}",
        exit_code=EXIT_CODE,
        ended_at=now(),
        cancelled=True,
    )


def _is_left(stored: Stored, past: Writable) -> bool:
    """Whether whoever carried it out is gone."""
    return stored.runner_id is not None and not past.store.runners.is_alive(stored.runner_id)


def _finish_for(stored: Stored, names: Collection[str] | None, past: Writable) -> int:
    """Cancel the hosts that wait, in place of a runner that is gone; the others must be asked."""
    number, invocations = stored.record.id, past.store.invocations
    with past.store.runners.register(past.state) as runner:
        if not invocations.claim(number, runner.id, instead_of=stored.runner_id):
            return _wait(number, names, past)
        shares = past.store.history.find(number, with_output=False).shares
        queued = [
            share
            for share in shares
            if share.state == "queued" and (names is None or share.host_name in names)
        ]
        invocations.record([_never_run(share) for share in queued])
        over = invocations.finish(
            number, runner_id=runner.id, cancelled=names is None, exit_code=EXIT_CODE, ended_at=now()
        )
    screen.note(f"the runner of {number} is gone; {screen.count(len(queued), 'waiting host')} cancelled")
    if over:
        return _tell_end(past.store.history.find(number, with_output=False), past)
    screen.note(f"what became of the others, their hosts must be asked: `chargehand resume {number}`")
    return 0


def _never_run(share: StoredShare) -> Outcome:
    why = never_started(CANCELLED)
    result = HostResult(
        host=share.host_name,
        host_id=share.host_id,
        status=why.status,
        code=why.code,
        reason=why.reason,
        attempts=0,
    )
    return Outcome(share_id=share.id, token=None, result=result)


def _wait(number: int, names: Collection[str] | None, past: Writable) -> int:
    """Wait until it is over, or those hosts are, telling how it goes."""
    told = -1
    while True:
        stored = past.store.history.find(number, with_output=False)
        left = [share for share in stored.shares if share.result is None]
        if names is not None:
            left = [share for share in left if share.host_name in names]
        if stored.record.state == "stopped" or (names is not None and not left):
            return _tell_end(stored, past, whole=names is None)
        if _is_left(stored, past):
            return _finish_for(stored, names, past)
        if len(left) != told:
            told = len(left)
            screen.note(f"cancelling {number}: {screen.count(told, 'host')} left")
        time.sleep(PAUSE_S)


def _tell_end(stored: Stored, past: Writable, *, whole: bool = True) -> int:
    """Say what came of it.

    Raises:
        UsageError: It came to its end before it could be cancelled.
    """
    record = stored.record
    if whole and not record.cancelled:
        _check_open(stored, past)
    screen.say(outcomes(past.account(stored)).removesuffix("\n"))
    screen.note(f"{record.id} is {status_words(record)}")
    return 0
