"""A change as text for people: what starts, then every job with what becomes of it, scripts last."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from chargehand.errors import Problem
from chargehand.frozen import frozen
from chargehand.hostset import fold
from chargehand.report.change import JobChange, ProjectChange, ScriptChange, Side, in_words
from chargehand.report.escape import escape_line

LINES_SHOWN: Final = 100
GROUPS_SHOWN: Final = 5

Style = Literal["plain", "head", "added", "removed", "hunk", "error", "warning"]

_SIGNS: Final[dict[str, Style]] = {"+": "added", "-": "removed", "@": "hunk"}


@frozen(kw_only=False)
class Line:
    """One line, safe to print, and how it may be coloured."""

    text: str
    style: Style = "plain"


def lines(change: ProjectChange) -> Iterator[Line]:
    """A change, line by line."""
    yield Line(f"{escape_line(change.before.label)} -> {escape_line(change.after.label)}")
    for side in (change.before, change.after):
        yield from _side(side)
    yield from told_warnings(change)
    for job in change.jobs:
        yield Line("")
        yield from _job(job)
    if change.jobs:
        yield Line("")
    yield Line(in_words(change))
    yield from _push(change)
    for word, keys in (("begins", change.begins), ("ends", change.ends)):
        yield from (Line(f"recurring logic {word}: {escape_line(key)}") for key in keys)
    if not change and change.valid:
        yield Line("nothing changes")


def told_warnings(change: ProjectChange) -> Iterator[Line]:
    """The warnings that are new; those of before are known."""
    known = {problem.message for problem in change.before.problems}
    for problem in change.after.problems:
        if problem.severity == "warning" and problem.message not in known:
            yield Line(told(problem), "warning")


def told(problem: Problem) -> str:
    """A problem in one line, without the line it is about."""
    where = f"{problem.place}: " if problem.place else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return escape_line(f"{where}{problem.severity}: {problem.message}{hint}")


def shown(value: object) -> str:
    """A value in one line."""
    if isinstance(value, list):
        return escape_line(", ".join(map(str, value))) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else escape_line(str(value))


def hosts_in_words(job: JobChange) -> str:
    """``12 hosts``, ``12 -> 14 hosts``."""
    before = None if job.kind == "added" else job.hosts_before
    after = None if job.kind == "removed" else job.hosts_after
    counts = [count for count in (before, after) if count is not None]
    said = " -> ".join(map(str, dict.fromkeys(counts)))
    return f"{said} host" if said == "1" else f"{said} hosts"


def _side(side: Side) -> Iterator[Line]:
    if side.left_out:
        names = ", ".join(map(escape_line, side.left_out[:GROUPS_SHOWN]))
        more = f" and {len(side.left_out) - GROUPS_SHOWN} more" if len(side.left_out) > GROUPS_SHOWN else ""
        yield Line(f"{escape_line(side.name)}: links and submodules are left out: {names}{more}", "warning")
    if not side.valid:
        yield Line(f"{escape_line(side.name)} is invalid:", "error")
        yield from (
            Line(f"  {told(problem)}", "error") for problem in side.problems if problem.severity == "error"
        )


def _job(job: JobChange) -> Iterator[Line]:
    moved = f", was {escape_line(job.was[0])} in {escape_line(job.was[1])}" if job.was else ""
    starts = ", STARTS" if job.starts else ""
    where = f"{escape_line(job.playbook)}{moved}"
    kind = "cannot be compared" if job.kind == "unknown" else job.kind
    yield Line(f"{escape_line(job.label)} ({where}): {kind}, {hosts_in_words(job)}{starts}", "head")
    yield from (
        Line(f"  {escape_line(fact.name)}: {shown(fact.before)} -> {shown(fact.after)}")
        if fact.before is not None
        else Line(f"  {escape_line(fact.name)}: {shown(fact.after)}", "added")
        for fact in job.facts
    )
    if job.kind != "removed":
        yield from _hosts("+", "added", job.hosts_added)
        yield from _hosts("-", "removed", job.hosts_removed)
    for each in job.reach[:GROUPS_SHOWN]:
        who = escape_line(fold(each.hosts))
        yield Line(f"  {each.name} of {who}: {shown(each.before)} -> {shown(each.after)}")
    yield from _more("other changes of how hosts are reached", len(job.reach))
    for script in job.scripts[:GROUPS_SHOWN]:
        yield from _script(script)
    rest = sum(len(script.hosts) for script in job.scripts[GROUPS_SHOWN:])
    if rest:
        yield Line(f"  scripts of {rest} more hosts differ: -o json tells all")
    if job.runs_before != job.runs_after:
        yield from (Line(f"  ran next: {at}", "removed") for at in job.runs_before)
        yield from (Line(f"  runs next: {at}", "added") for at in job.runs_after)


def _hosts(sign: str, style: Style, hosts: Iterable[str]) -> Iterator[Line]:
    named = escape_line(fold(hosts))
    if named:
        yield Line(f"  {sign} {named}", style)


def _script(script: ScriptChange) -> Iterator[Line]:
    said = f" {escape_line(script.reason)}" if script.reason else ""
    yield Line(f"  script of {escape_line(fold(script.hosts))}:{said}")
    if script.lines is None:
        yield Line("  | differs, and is too long to be compared line by line")
        return
    for line in script.lines[:LINES_SHOWN]:
        yield Line(f"  | {escape_line(line)}", _SIGNS.get(line[:1], "plain"))
    if len(script.lines) > LINES_SHOWN:
        yield Line(f"  | [... {len(script.lines) - LINES_SHOWN} lines left out: -o json tells all ...]")


def _more(what: str, count: int) -> Iterator[Line]:
    if count > GROUPS_SHOWN:
        yield Line(f"  {count - GROUPS_SHOWN} {what}: -o json tells all")


def _push(change: ProjectChange) -> Iterator[Line]:
    if change.starts:
        where = f"a push to {escape_line(change.branch)}" if change.branch else "a push"
        yield Line(f"{where} starts: {', '.join(escape_line(job.label) for job in change.starts)}", "head")
