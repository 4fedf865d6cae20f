"""Verdict: whether an entry is accepted, by what the store holds of its share; no database in sight.

A share goes from queued over starting and running to stopped. What it came to never changes, save from
``unknown``. An entry that says what is already there is accepted and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from chargehand.result import HostResult, Status
from chargehand.store.entry import Chunk, Entry, Intent, Outcome, Settled, Started

Changes = Mapping[str, object]
_NOTHING: Changes = {}


@dataclass(slots=True)
class Standing:
    """What the store holds of a share, and of its invocation as far as it matters.

    Attributes:
        state: Of the share.
        status: Of the share.
        token: Names the script's folder on the host.
        said: Of its result, what tells it from another: exit status, signal, duration, code.
        started_at: When its script did, as far as that is known.
        runner_id: Who carries the invocation out.
        cancelled: Whether somebody wants the share or all of the invocation stopped.
    """

    state: str
    status: str
    token: str | None
    said: tuple[object, ...]
    started_at: datetime | None
    runner_id: str | None
    cancelled: bool


def judge(share: Standing, entry: Entry) -> Changes | None:
    """What `entry` changes of `share`, by column; None when it is refused. `share` is changed as well."""
    match entry:
        case Intent():
            return _intent(share, entry)
        case Started():
            return _started(share, entry)
        case Outcome():
            return _outcome(share, entry)
        case Settled():
            return {"settled": True} if share.state == "stopped" else None
        case Chunk():
            return _NOTHING


def _intent(share: Standing, entry: Intent) -> Changes | None:
    if share.cancelled or share.runner_id != entry.runner_id:
        return None
    if share.state == "starting" and share.token == entry.token:
        return _NOTHING
    if share.state != "queued" or share.token not in (None, entry.token):
        return None
    share.state, share.token = "starting", entry.token
    return {"state": "starting", "token": entry.token, "intended_at": entry.at}


def _started(share: Standing, entry: Started) -> Changes | None:
    if share.state == "queued" or share.token != entry.token:
        return None
    if share.state != "starting":
        return _NOTHING
    share.state, share.started_at = "running", entry.at
    return {"state": "running", "started_at": entry.at}


def _outcome(share: Standing, entry: Outcome) -> Changes | None:
    result = entry.result
    untouched = entry.token is None and share.state == "queued"
    if share.token != entry.token and not untouched:
        return None
    said = distinguish(result)
    if share.state == "stopped" and share.status != Status.UNKNOWN:
        return _NOTHING if (share.status, share.said) == (result.status, said) else None
    share.state, share.status, share.said = "stopped", str(result.status), said
    share.started_at = result.started_at or share.started_at  # who was not there does not know better
    return columns_of(result) | {
        "state": "stopped",
        "reconciled": entry.reconciled,
        "started_at": share.started_at,
    }


def distinguish(result: HostResult) -> tuple[object, ...]:
    """What tells a result from another one."""
    return (result.exit_status, result.signal, result.duration_s, result.code)


def columns_of(result: HostResult) -> dict[str, object]:
    """A result as columns; its output is in rows of its own."""
    return {
        "status": str(result.status),
        "exit_status": result.exit_status,
        "signal": result.signal,
        "started_at": result.started_at,
        "duration_s": result.duration_s,
        "code": result.code,
        "reason": result.reason,
        "noise": result.noise,
        "pty": result.pty,
        "attempts": result.attempts,
        "stdout_size_bytes": result.stdout.size_bytes,
        "stdout_sha256": result.stdout.sha256,
        "stderr_size_bytes": result.stderr.size_bytes,
        "stderr_sha256": result.stderr.sha256,
    }
