"""Outcome: what the way a host's share ended means, as a status, a short name and words."""

import signal
from typing import Final

from chargehand.frozen import frozen
from chargehand.provider import Ending
from chargehand.result import Status

CANCELLED, TIMED_OUT, IDLE, DEADLINE = "cancelled", "timed_out", "idle", "deadline"
COULD_NOT_RECORD, TAKEN_OVER, TOLD_TO_END = "could-not-record", "taken-over", "told-to-end"
ALREADY_THERE = "already-there"
"""The host has the script's folder: it was started before, and how that ended is known to nobody yet."""

_HALTED = {
    CANCELLED: (Status.CANCELLED, "cancelled while it ran, and stopped on the host"),
    TIMED_OUT: (Status.TIMED_OUT, "ran longer than its time limit, and was stopped on the host"),
    IDLE: (Status.TIMED_OUT, "stayed silent longer than allowed, and was stopped on the host"),
    DEADLINE: (Status.TIMED_OUT, "still ran at the deadline of the run, and was stopped on the host"),
}
_NEVER = {
    CANCELLED: (Status.CANCELLED, "cancelled before it started"),
    DEADLINE: (Status.SKIPPED, "never started: the deadline of the run had passed"),
    "stop_after": (Status.SKIPPED, "never started: too many hosts had failed"),
    COULD_NOT_RECORD: (Status.SKIPPED, "never started: could not record"),
    TAKEN_OVER: (Status.PENDING, "not started: another runner has taken the run over"),
    TOLD_TO_END: (Status.PENDING, "not started: the runner was told to end"),
}


@frozen(kw_only=False)
class Outcome:
    """How a host's share ended: the first half of its `HostResult`."""

    status: Status
    code: str = ""
    reason: str = ""


NO_THREAD: Final = Outcome(Status.NOT_STARTED, "no-thread", "the system starts no more threads")


def outcome_of(ending: Ending) -> Outcome:
    """What the end of a script that started means."""
    if ending.lost:
        return Outcome(Status.UNKNOWN, ending.code or "no-end", ending.lost)
    if ending.halted:
        status, reason = _HALTED.get(ending.halted, (Status.CANCELLED, f"stopped: {ending.halted}"))
        return Outcome(status, ending.halted, reason)
    if ending.signal is not None:
        return Outcome(Status.FAILED, "signal", f"killed by {_signal_words(ending.signal)}")
    if ending.exit_status is None:
        return Outcome(Status.UNKNOWN, "no-end", "it ended without telling how")
    if ending.exit_status:
        return Outcome(Status.FAILED, "exit", f"exit status {ending.exit_status}")
    return Outcome(Status.SUCCEEDED)


def never_started(why: str, detail: str = "") -> Outcome:
    """What it means that a run was stopped, because of `why`, before a host's script started."""
    status, reason = _NEVER[why]
    return Outcome(status, why, f"{reason} ({detail})" if detail else reason)


def keeps_from_starting(code: str) -> bool:
    """Whether a host that did not start because of `code` was kept from it, and has no trouble of its own."""
    return code in _NEVER


def abandoned(why: str, *, reached: bool) -> Outcome:
    """What it means that a host was left without waiting for it to confirm its stop."""
    if not reached:
        return never_started(why, "still connecting")
    return Outcome(
        Status.UNKNOWN,
        "cancel-unconfirmed",
        "cancelled, and left before the host confirmed that its script ended",
    )


def internal(error: BaseException, entry: str) -> Outcome:
    """What it means that we failed ourselves; `entry` finds it in the log."""
    return Outcome(
        Status.UNKNOWN, "internal", f"an error inside Chargehand: {type(error).__name__} (log entry {entry})"
    )


def _signal_words(name: str) -> str:
    known = signal.Signals.__members__.get(f"SIG{name}")
    return f"SIG{name}" if known is None else f"SIG{name} (exit {128 + known})"
