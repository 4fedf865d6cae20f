"""Recap: what a run came to, as text for people - equal outputs told once, failures last.

Everything a host said is escaped (`chargehand.report.escape`). Plain text only: it goes to stdout, where
it may be piped.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from chargehand.frozen import frozen
from chargehand.hostset import fold
from chargehand.report.escape import escape, escape_line
from chargehand.report.forge import Forge
from chargehand.result import CapturedOutput, HostResult, JobResult, Status

MAX_LINES: Final = 400
LAST_LINES: Final = 5

_ORDER: Final = (
    Status.SUCCEEDED,
    Status.SKIPPED,
    Status.CANCELLED,
    Status.FAILED,
    Status.TIMED_OUT,
    Status.NOT_STARTED,
    Status.UNREACHABLE,
    Status.UNKNOWN,
    Status.PENDING,
)


@frozen(kw_only=False)
class Group:
    """Hosts of which the same is to be told.

    Attributes:
        names: The hosts' names, folded and safe to print.
        hosts: How many they are.
        result: The result of one of them.
    """

    names: str
    hosts: int
    result: HostResult


def recap(
    result: JobResult, *, rerun: Callable[[Sequence[str]], str] | None = None, forge: Forge = Forge.NONE
) -> str:
    """The whole text: outputs, failures, counts, and how to run again what did not succeed.

    Args:
        result: What the run came to.
        rerun: Gives the command that runs the job again on some hosts, by their names.
        forge: Whose log it is for; it folds the outputs where that can be.
    """
    printed = forge.inert(outputs(result.results))
    if printed:
        printed = forge.folded("What hosts printed", printed, result.started_at, result.ended_at)
    parts = [printed, *map(forge.inert, (outcome(result), _advice(result, rerun)))]
    return "\n".join(part for part in parts if part)


def outcome(result: JobResult) -> str:
    """Who did not succeed, and the counts."""
    return "\n".join(part for part in (failures(result.results), counts(result)) if part)


def tally(result: JobResult) -> str:
    """``10 succeeded, 2 failed``."""
    found = (f"{result.counts[status]} {_words(status)}" for status in _ORDER if result.counts[status])
    return ", ".join(found) or "nothing to do"


def outputs(results: Iterable[HostResult]) -> str:
    """What hosts printed, equal outputs once under their folded names."""
    return "".join(
        _told(f"{group.names}:", list(_output_lines(group.result)))
        for group in _groups(results, lambda each: (each.stdout.sha256, each.stderr.sha256))
        if group.result.stdout.size_bytes or group.result.stderr.size_bytes
    )


def failures(results: Iterable[HostResult]) -> str:
    """Every host that did not succeed, with the reason and the last lines it wrote to stderr."""
    groups = _groups(
        (each for each in results if not each.ok), lambda each: (each.status, each.reason, each.stderr.sha256)
    )
    text = "".join(
        f"{group.names}: {_words(group.result.status)}"
        + (f": {escape_line(group.result.reason)}" if group.result.reason else "")
        + "\n"
        + "".join(f"  ! {line}\n" for line in _last_lines(group.result))
        for group in groups
    )
    return f"Not succeeded\n{text}" if text else ""


def counts(result: JobResult) -> str:
    """A line for each status, with its hosts, and the total."""
    hosts: defaultdict[Status, list[str]] = defaultdict(list)
    for each in result.results:
        hosts[each.status].append(each.host)
    rows = [
        (_words(status), str(len(hosts[status])), _folded(hosts[status]))
        for status in _ORDER
        if hosts[status]
    ]
    width = max((len(words) for words, *_ in rows), default=0)
    digits = max((len(count) for _, count, _ in rows), default=0)
    table = "".join(f"{words:<{width}}  {count:>{digits}}  {names}\n" for words, count, names in rows)
    took = span((result.ended_at - result.started_at).total_seconds())
    total = len(result.results)
    return f"{table}total {total} {'host' if total == 1 else 'hosts'} in {took}: {tally(result)}\n"


def span(seconds: float) -> str:
    """A length of time for people: ``0.4 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _groups(results: Iterable[HostResult], sameness: Callable[[HostResult], object]) -> Iterator[Group]:
    """Results that are the same together, in the order of their first hosts."""
    together: defaultdict[object, list[HostResult]] = defaultdict(list)
    for result in results:
        together[sameness(result)].append(result)
    for same in together.values():
        yield Group(_folded(each.host for each in same), len(same), same[0])


def _folded(hosts: Iterable[str]) -> str:
    return escape_line(fold(hosts))


def _words(status: Status) -> str:
    return status.replace("_", " ")


def _told(head: str, lines: list[str]) -> str:
    if len(lines) == 1:
        return f"{head} {lines[0]}\n"
    return f"{head}\n" + "".join(f"  {line}\n" for line in lines)


def _output_lines(result: HostResult) -> Iterator[str]:
    """Lines of both streams, those of stderr marked, the middle of very many left out."""
    lines = [*_lines(result.stdout), *(f"! {line}" for line in _lines(result.stderr))]
    if len(lines) <= MAX_LINES:
        yield from lines
        return
    half = MAX_LINES // 2
    yield from lines[:half]
    yield f"[... {len(lines) - 2 * half} lines left out ...]"
    yield from lines[-half:]


def _lines(output: CapturedOutput) -> list[str]:
    return escape(output.text()).removesuffix("\n").split("\n") if output.size_bytes else []


def _last_lines(result: HostResult) -> list[str]:
    return _lines(result.stderr)[-LAST_LINES:]


def _advice(result: JobResult, rerun: Callable[[Sequence[str]], str] | None) -> str:
    unclear = [each.host for each in result.results if each.status is Status.UNKNOWN]
    again = [each.host for each in result.results if each.status not in (Status.SUCCEEDED, Status.UNKNOWN)]
    text = f"Look before you run it again, the script may have run: {_folded(unclear)}\n" if unclear else ""
    if again and rerun is not None:
        text += f"To run again what did not succeed:\n  {escape_line(rerun(again))}\n"
    return text
