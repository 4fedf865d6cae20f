"""Message: what one run came to, in a few lines for people who are elsewhere.

Names, reasons and outputs come from hosts and files: they are escaped, cut, and hold no secret, since no
record does.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from chargehand.frozen import frozen
from chargehand.hostset import fold
from chargehand.notify.wish import Occasion
from chargehand.report.escape import escape, escape_line
from chargehand.report.invocation import InvocationRecord
from chargehand.report.recap import span
from chargehand.result import HostResult, Status

TITLE_LENGTH: Final = 120
BODY_LENGTH: Final = 3000
_LINE: Final = 300
_REASONS: Final = 5
_OUTPUT_LINES: Final = 5
_FIRST: Final = (Status.FAILED, Status.TIMED_OUT, Status.NOT_STARTED, Status.UNREACHABLE, Status.UNKNOWN)
_LAST: Final = (Status.CANCELLED, Status.SKIPPED, Status.PENDING, Status.SUCCEEDED)


@frozen
class Message:
    """What is sent.

    Attributes:
        title: The outcome and the job, at most `TITLE_LENGTH`.
        body: Plain text of some lines, at most `BODY_LENGTH`.
    """

    title: str
    body: str


def occasions(record: InvocationRecord, previous: str | None) -> frozenset[Occasion]:
    """What an invocation that is over is an occasion of.

    Args:
        record: Of the invocation.
        previous: Status label of the last run of the same job before it; None when there was none.
    """
    if not record.begun:
        return frozenset({"missed", "always"})
    if record.status == 1:
        return frozenset({"failed", "always"})
    if record.status != 0:
        return frozenset({"always"})
    recovered = previous is not None and previous != "succeeded"
    return frozenset({"succeeded", "recovered", "always"} if recovered else {"succeeded", "always"})


def compose_message(
    record: InvocationRecord, previous: str | None = None, *, output: bool = False
) -> Message:
    """The message about an invocation that is over.

    Args:
        record: Of the invocation, with the results of its hosts.
        previous: Status label of the last run of the same job before it.
        output: Whether to tell the last lines that hosts printed which did not succeed.
    """
    found = occasions(record, previous)
    if "missed" in found:
        return compose_not_run((record,))
    outcome = next((word for word in ("failed", "recovered", "succeeded") if word in found), "cancelled")
    lines = [
        _heading(record),
        _counts(record),
        *_hosts(record.results),
        *_reasons(record.results, output=output),
        f"stopped: {_cut(record.reason)}" if record.reason else "",
        _origin(record),
        f"chargehand show {record.id}",
        "" if record.status == 0 else f"chargehand rerun {record.id} --failed",
    ]
    return _message(f"{outcome}: {_job(record)}", lines)


def compose_not_run(records: Sequence[InvocationRecord]) -> Message:
    """The one message about invocations of the same job that were due and did not take place."""
    first = records[0]
    times = f" ({len(records)} times)" if len(records) > 1 else ""
    lines = [_heading(first)]
    for record in records[:_REASONS]:
        due = f"due {_moment(record.start_at)}: " if record.start_at else ""
        lines.append(f"{due}{_cut(record.reason or record.code or 'did not take place')}")
    if len(records) > _REASONS:
        lines.append(f"and {len(records) - _REASONS} more")
    lines += [_origin(first), *(f"chargehand show {record.id}" for record in records[:1] if record.id)]
    return _message(f"did not run: {_job(first)}{times}", lines)


def _message(title: str, lines: Sequence[str]) -> Message:
    body = "\n".join(line for line in lines if line)
    if len(body) > BODY_LENGTH:
        end = "\n...\n" + lines[-1] if lines[-1] else "\n..."
        body = body[: BODY_LENGTH - len(end)] + end
    return Message(title=_cut(title, TITLE_LENGTH), body=body)


def _job(record: InvocationRecord) -> str:
    name = record.provenance.job_name if record.provenance else ""
    return escape_line(name or record.description)


def _heading(record: InvocationRecord) -> str:
    number = f"invocation {record.id}: " if record.id else ""
    return f"{number}{_cut(record.description)}"


def _counts(record: InvocationRecord) -> str:
    total = len(record.targeting.hosts or record.results)
    bad = total - sum(result.ok for result in record.results)
    took = ""
    if record.start_at and record.ended_at:
        took = f" in {span((record.ended_at - record.start_at).total_seconds())}"
    hosts = "1 host" if total == 1 else f"{total} hosts"
    return f"{bad} of {hosts} did not succeed{took}" if bad else f"{hosts} succeeded{took}"


def _hosts(results: Sequence[HostResult]) -> Iterator[str]:
    """A line for each outcome, the worst first."""
    for status in (*_FIRST, *_LAST):
        names = [result.host for result in results if result.status is status]
        if names:
            yield f"{status.replace('_', ' ')} {len(names)}: {_cut(fold(names))}"


def _reasons(results: Sequence[HostResult], *, output: bool) -> Iterator[str]:
    """What the first hosts had that did not succeed; the same reason once."""
    told: set[str] = set()
    for result in results:
        if result.ok or not result.reason or result.reason in told:
            continue
        if len(told) == _REASONS:
            yield "..."
            return
        told.add(result.reason)
        yield f"{_cut(result.host, 80)}: {_cut(result.reason)}"
        if output:
            printed = result.stderr if result.stderr.size_bytes else result.stdout
            lines = escape(printed.text()).rstrip("\n").split("\n")[-_OUTPUT_LINES:]
            yield from (f"  {line[:_LINE]}" for line in lines if line)


def _origin(record: InvocationRecord) -> str:
    """Who started it, and from which files."""
    origin = record.provenance
    if origin is None:
        return ""
    by = "" if origin.trigger == "hand" else f" ({origin.trigger})"
    file = f", {origin.playbook}" if origin.playbook else ""
    commit = f", commit {origin.commit[:12]}" if origin.commit else ""
    dirty = " with changes" if origin.dirty else ""
    return _cut(f"by {origin.user}{by}{file}{commit}{dirty}")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _cut(text: str, length: int = _LINE) -> str:
    line = escape_line(text)
    return line if len(line) <= length else f"{line[: length - 3]}..."
