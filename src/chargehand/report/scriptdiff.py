"""ScriptDiffs: unified diffs of scripts, equal ones once, within a bound on what comparing may cost."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from chargehand.report.change import ScriptChange

MAX_LINES: Final = 5000
"""Of one script; a longer one is not compared line by line."""

OWN_NAME: Final = "{host}"
"""Stands for the name of each host, where hosts are told of together whose scripts hold their own names."""

Lines = tuple[str, ...] | None
"""Of a unified diff; None when comparing would cost too much."""

_NO_END: Final = "(no new line at the end)"
_COST_OF_ONE: Final = 4_000_000
_COST_OF_ALL: Final = 40_000_000


class ScriptDiffs:
    """Compares scripts until that has cost enough; what differs then is told to differ, no more."""

    def __init__(self) -> None:
        self._left = _COST_OF_ALL

    def fold(self, pairs: Mapping[tuple[str | None, str | None, str], Sequence[str]]) -> list[ScriptChange]:
        """The hosts with the same changed lines together, be it but for their own names.

        Args:
            pairs: Names of hosts by their script before and after, None where there is none, and the reason.
        """
        together: dict[tuple[Lines, str], list[tuple[Lines, Lines, Sequence[str]]]] = {}
        for (before, after, reason), hosts in pairs.items():
            lines = () if after is None else self._diff(*_lines(before, after))
            nameless = _without_name(lines, hosts[0]) if len(hosts) == 1 else lines
            together.setdefault((_changed(nameless), reason), []).append((lines, nameless, hosts))
        return [
            ScriptChange(
                hosts=tuple(host for _, _, hosts in group for host in hosts),
                lines=_shown(group),
                reason=reason,
            )
            for (_, reason), group in together.items()
        ]

    def _diff(self, before: Sequence[str], after: Sequence[str]) -> Lines:
        """The lines of a unified diff without its head."""
        cost = _cost(before, after)
        if max(len(before), len(after)) > MAX_LINES or cost > min(_COST_OF_ONE, self._left):
            return None
        self._left -= cost
        return tuple(difflib.unified_diff(before, after, lineterm=""))[2:]


def _shown(group: Sequence[tuple[Lines, Lines, Sequence[str]]]) -> Lines:
    """The lines of the first, nameless if those of others only agree with them without a name."""
    lines, nameless, _ = group[0]
    return lines if len({_changed(each) for each, _, _ in group}) == 1 else nameless


def _without_name(lines: Lines, host: str) -> Lines:
    return None if lines is None else tuple(line.replace(host, OWN_NAME) for line in lines)


def _changed(lines: Lines) -> Lines:
    """The lines that differ, without those around them."""
    return None if lines is None else tuple(line for line in lines if not line.startswith((" ", "@")))


def _lines(before: str | None, after: str) -> tuple[list[str], list[str]]:
    """The lines of both; a last line without its end is marked when only one has that."""
    texts = ["" if before is None else before, after]
    ends = [text.endswith("\n") for text in texts]
    odd = before is not None and ends[0] != ends[1]
    was, now = (
        [*(text.removesuffix("\n").split("\n") if text else []), *([_NO_END] if odd and not end else [])]
        for text, end in zip(texts, ends, strict=True)
    )
    return was, now


def _cost(before: Sequence[str], after: Sequence[str]) -> int:
    """What differs of the one times what differs of the other, between what they have in common."""
    begin, end, most = 0, 0, min(len(before), len(after))
    while begin < most and before[begin] == after[begin]:
        begin += 1
    while end < most - begin and before[-1 - end] == after[-1 - end]:
        end += 1
    return max(1, len(before) - begin - end) * max(1, len(after) - begin - end)
