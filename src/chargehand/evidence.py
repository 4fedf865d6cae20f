"""Evidence: what a host keeps of a script that nobody saw the end of, and what follows from it.

The host is asked by a script of its own, `evidence.sh`, run as the same user. The folder that the script's
token names says it all: without it the script never started, and with its exit code the end is known.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from chargehand.frozen import frozen
from chargehand.provider import Ending
from chargehand.result import Status
from chargehand.runner.outcome import outcome_of
from chargehand.start.protocol import Ended, read_end
from chargehand.start.wrapper import candidates

PATIENCE_S: Final = 15
"""How long the host waits for a wrapper that still stops the script."""

KEPT: Final = timedelta(days=6)
"""Hosts clean up what is a week old, so that a folder missing after this says nothing."""

_QUESTION: Final = Path(__file__).with_name("evidence.sh").read_bytes()

_REMOVAL: Final = """\
for parent in "$@"; do
  case $parent in
    /*) find "$parent/.chargehand-$name" -prune -type d -user "$(id -u)" -exec rm -rf {} + 2>/dev/null ;;
  esac
done
exit 0
"""


@frozen
class Evidence:
    """What a host keeps of one script.

    Attributes:
        found: ``absent``: nothing. ``ended``: its exit code. ``alive``: it runs. ``dead``: neither.
        uptime_s: Seconds since the host started; None when it cannot tell.
        end: How the script ended, when it did.
        pid: Of the script that runs; empty when there is none.
    """

    found: Literal["absent", "ended", "alive", "dead"]
    uptime_s: int | None = None
    end: Ended | None = None
    pid: str = ""


@frozen
class Finding:
    """What follows for the host's share of the run; the fields of its `HostResult`.

    Attributes:
        status: How it ended.
        code: Short name of the reason.
        reason: One line for people.
        exit_status: As the host kept it.
        signal: As the host kept it.
        over: Whether nothing of the script can run any more, so that its folder may go.
    """

    status: Status
    code: str = ""
    reason: str = ""
    exit_status: int | None = None
    signal: str | None = None
    over: bool = True


def inquiry(token: str, folders: Sequence[str] = (), *, patience_s: int = PATIENCE_S) -> bytes:
    """The script that asks a host what it keeps of the script with `token`.

    Args:
        token: Of that script.
        folders: Those that were tried first for it.
        patience_s: How long the host waits for what is about to end.
    """
    return _head(token, folders) + f"patience={patience_s * 10}\n".encode() + _QUESTION


def removal(token: str, folders: Sequence[str] = ()) -> bytes:
    """The script that removes what a host keeps of the script with `token`."""
    return _head(token, folders) + _REMOVAL.encode()


def read_evidence(token: str, said: bytes) -> Evidence | None:
    """What the answer to `inquiry` says; None when it is none."""
    pattern = rf"^evidence {re.escape(token)} (\w+) (\d+|-)(?: (.*?))?\r?$"
    line = re.search(pattern, said.decode("utf-8", "replace"), re.MULTILINE)
    if not line:
        return None
    word, up, rest = line[1], line[2], line[3] or ""
    uptime_s = None if up == "-" else int(up)
    match word:
        case "ended":
            end = read_end(rest)
            return Evidence(found="ended", uptime_s=uptime_s, end=end) if end else None
        case "absent":
            return Evidence(found="absent", uptime_s=uptime_s)
        case "alive":
            return Evidence(found="alive", uptime_s=uptime_s, pid=rest)
        case "dead":
            return Evidence(found="dead", uptime_s=uptime_s)
        case _:
            return None


def conclude(
    evidence: Evidence, *, intended_at: datetime, now: datetime, started: bool, cancelled: bool = False
) -> Finding | None:
    """What follows from the evidence; None when the script certainly never started.

    Args:
        evidence: What the host keeps.
        intended_at: When the script was about to be sent.
        now: Not before the host answered.
        started: Whether the host had said that the script runs.
        cancelled: Whether somebody had asked for its end.
    """
    restarted = evidence.uptime_s is not None and now - timedelta(seconds=evidence.uptime_s) > intended_at
    if evidence.end is not None:
        return _end(evidence.end, cancelled=cancelled)
    if evidence.found == "alive" and not restarted:
        return _unknown(
            "still-runs",
            f"its runner died, and the script still runs on the host (pid {evidence.pid})",
            over=False,
        )
    if evidence.found != "absent":
        detail = "the host was restarted meanwhile" if restarted else "nothing of it runs any more"
        return _unknown(
            "no-end", f"its runner died, and the host does not know how the script ended: {detail}"
        )
    if started:
        return _unknown("no-evidence", "the script had started, and the host keeps nothing of it any more")
    if restarted or evidence.uptime_s is None:
        detail = "was restarted meanwhile" if restarted else "cannot tell since when it is up"
        return _unknown("no-evidence", f"the host keeps nothing of the script, and {detail}")
    if now - intended_at > KEPT:
        return _unknown("no-evidence", f"asked after more than {KEPT.days} days, when hosts clean up")
    return None


def _end(end: Ended, *, cancelled: bool) -> Finding:
    """The end is known; what is not is why a script was stopped, and what it would have come to."""
    outcome = outcome_of(Ending(exit_status=end.exit_status, signal=end.signal))
    how = outcome.reason or "exit status 0"
    if end.survived:
        return _unknown(
            "still-runs", f"stopped on the host ({how}), and something of it still runs", over=False
        )
    unheard = end.signal == "PIPE" or end.exit_status == 128 + 13
    if outcome.status is Status.SUCCEEDED or not (end.stopped or unheard):
        found = outcome.status, outcome.code, outcome.reason
    elif cancelled:
        found = Status.CANCELLED, "cancelled", f"cancelled while it ran, and stopped on the host ({how})"
    elif end.stopped:
        found = Status.UNKNOWN, "interrupted", f"stopped on the host when its runner died ({how})"
    else:
        found = Status.UNKNOWN, "interrupted", f"its runner died, and nobody took its output any more ({how})"
    status, code, reason = found
    return Finding(status=status, code=code, reason=reason, exit_status=end.exit_status, signal=end.signal)


def _unknown(code: str, reason: str, *, over: bool = True) -> Finding:
    return Finding(status=Status.UNKNOWN, code=code, reason=reason, over=over)


def _head(token: str, folders: Sequence[str]) -> bytes:
    if not re.fullmatch(r"[0-9a-zA-Z]+", token):
        raise ValueError(f"no token: {token!r}")
    return f"set +aefuvx\nname={token}\nset -- {candidates(folders)}\n".encode("utf-8", "surrogateescape")
