"""A change as Markdown: a comment of a pull request, folded, and bounded as forges bound comments.

Whoever proposes a change writes the names and scripts in it, so that all of them stand in code, where
nothing is a heading, a link, a mention or HTML.
"""

import html
from collections.abc import Iterable, Iterator
from typing import Final

from chargehand.expression import expression
from chargehand.hostset import fold
from chargehand.report.change import JobChange, ProjectChange, ScriptChange, Side, in_words
from chargehand.report.changetext import hosts_in_words, shown, told, told_warnings
from chargehand.report.escape import escape, escape_line

MARKER: Final = "<!-- chargehand plan -->"
"""The first line, by which a bot finds the comment that it wrote before."""

MAX_CHARACTERS: Final = 65_536
"""GitHub's bound; counted in bytes of UTF-8, of which there are never fewer than characters."""

_LINES_SHOWN: Final = 200
_LISTED: Final = 20
_LONGEST_NAME: Final = 300
_RESERVE: Final = 400
_TICKS: Final = expression("`+")


def markdown(change: ProjectChange) -> str:
    """A change as a comment; what does not fit is left out, and said to be."""
    page = _Page(MAX_CHARACTERS - _RESERVE)
    lost = sum(not page.add(f"{line}\n") for line in _head(change))
    shut_out = 0
    for job in change.jobs:
        block = _block(job, page.left)
        if block is None or not page.add(block):
            shut_out += 1
    return page.text + _left_out(change, shut_out, lost) if shut_out or lost else page.text


class _Page:
    """Text up to a length in bytes."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.text = ""

    def add(self, text: str) -> bool:
        """Add a whole piece, if there is room for it."""
        size = _size(text)
        if size > self.left:
            return False
        self.left -= size
        self.text += text
        return True


def _head(change: ProjectChange) -> Iterator[str]:
    yield MARKER
    yield "### What this change would do"
    yield ""
    yield f"{code(change.before.label)} → {code(change.after.label)}: {in_words(change)}."
    if change.starts:
        where = f"A push to {code(change.branch)}" if change.branch else "A push"
        yield ""
        yield f"**{where} starts:** {_listed(job.label for job in change.starts)}."
    for word, keys in (("begin", change.begins), ("end", change.ends)):
        if keys:
            yield ""
            yield f"**Recurring logics that {word}:** {_listed(keys)}."
    for side in (change.before, change.after):
        yield from _side(side)
    warnings = [line.text for line in told_warnings(change)]
    if warnings:
        yield from ["", "Warnings that are new:", ""]
        yield from _items(warnings)
    if not change and change.valid:
        yield from ["", "Nothing changes."]


def _side(side: Side) -> Iterator[str]:
    if side.left_out:
        yield from ["", f"Links and submodules of {code(side.name)} are left out: {_listed(side.left_out)}."]
    if not side.valid:
        yield from ["", f"**{code(side.name)} is invalid:**", ""]
        yield from _items([told(each) for each in side.problems if each.severity == "error"])


def _block(job: JobChange, room: int) -> str | None:
    """A job, folded; its scripts as far as there is room, nothing at all when there is too little."""
    begin = "\n" + "\n".join(_summary(job)) + "\n"
    end = "\n</details>\n"
    told, left = begin, room - _size(begin) - _size(end) - _RESERVE
    if left < 0:
        return None
    without = 0
    for script in job.scripts:
        piece = "\n".join(_script(script)) + "\n"
        if without or _size(piece) > left:
            without += len(script.hosts)
            continue
        told, left = told + piece, left - _size(piece)
    if without:
        told += f"\nThe scripts of {without} more hosts differ; they are left out of this comment.\n"
    return told + end


def _summary(job: JobChange) -> Iterator[str]:
    kind = "cannot be compared" if job.kind == "unknown" else job.kind
    starts = ", <b>starts</b>" if job.starts else ""
    yield "<details>"
    hosts = hosts_in_words(job).replace("->", "→")
    yield f"<summary>{_tag(job.label)}: {kind}, {hosts}{starts}</summary>"
    yield ""
    yield f"- file: {code(job.playbook)}"
    if job.was:
        yield f"- was: {code(job.was[0])} in {code(job.was[1])}"
    for fact in job.facts:
        before = "" if fact.before is None else f"{code(shown(fact.before))} → "
        yield f"- {code(fact.name)}: {before}{code(shown(fact.after))}"
    if job.kind != "removed":
        yield from _hosts("hosts added", job.hosts_added)
        yield from _hosts("hosts removed", job.hosts_removed)
    for each in job.reach[:_LISTED]:
        change = f"{code(shown(each.before))} → {code(shown(each.after))}"
        yield f"- {code(each.name)} of {code(fold(each.hosts))}: {change}"
    if len(job.reach) > _LISTED:
        yield f"- {len(job.reach) - _LISTED} other changes of how hosts are reached"
    if job.runs_before != job.runs_after:
        yield f"- next runs: {_listed(job.runs_before) or '-'} → {_listed(job.runs_after) or '-'}"


def _hosts(head: str, hosts: Iterable[str]) -> Iterator[str]:
    names = list(hosts)
    if names:
        yield f"- {head} ({len(names)}): {code(fold(names))}"


def _script(script: ScriptChange) -> Iterator[str]:
    yield ""
    said = f" {code(script.reason)}" if script.reason else ""
    yield f"Script of {code(fold(script.hosts))}:{said}"
    if script.lines is None:
        yield "differs, and is too long to be compared line by line."
        return
    lines = [escape(line) for line in script.lines[:_LINES_SHOWN]]
    if len(script.lines) > _LINES_SHOWN:
        lines.append(f"[... {len(script.lines) - _LINES_SHOWN} lines left out ...]")
    if lines:
        fence = _ticks(lines, 3)
        yield from ["", f"{fence}diff", *lines, fence]


def _left_out(change: ProjectChange, jobs: int, lines: int) -> str:
    """The last sentence of a comment that is at its bound."""
    parts = [f"{jobs} of {len(change.jobs)} jobs"] if jobs else []
    parts += [f"{lines} lines of what stands above"] if lines else []
    told = f"{' and '.join(parts)}. `chargehand plan --from REV --to REV` tells all."
    return f"\nLeft out of this comment, which is at its bound: {told}\n"


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(map(code, listed[:_LISTED])) + more


def _items(texts: list[str]) -> Iterator[str]:
    yield from (f"- {code(text)}" for text in texts[:_LISTED])
    if len(texts) > _LISTED:
        yield f"- and {len(texts) - _LISTED} more"


def code(text: str) -> str:
    """A text as one line of code, whatever it holds."""
    shown = _cut(text)
    ticks = _ticks([shown], 1)
    pad = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def _tag(text: str) -> str:
    return f"<code>{html.escape(_cut(text))}</code>"


def _cut(text: str) -> str:
    line = escape_line(text)
    return line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1] + "…"


def _ticks(lines: Iterable[str], least: int) -> str:
    """More backticks in a row than stand anywhere in the text."""
    return "`" * max([least, *(len(run) + 1 for line in lines for run in _TICKS.findall(line))])


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
