"""Ranges in host names of an inventory: ``web[01:50:2]``, ``db-[a:c]``; both ends belong to the range."""

import itertools
import math
from collections.abc import Sequence

from chargehand.expression import expression

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BRACKETS = expression(r"\[([^\[\]]*)\]")
_BOUNDS = expression(r"([0-9]*|[a-zA-Z]):([0-9]+|[a-zA-Z])(?::([0-9]+))?")


def expand(pattern: str, limit: int = 1_000_000) -> list[str]:
    """Every name that `pattern` stands for, the last range counting fastest.

    A range that runs backwards stands for no name at all.

    Raises:
        ValueError: A range is not understood, or there are more than `limit` names.
    """
    if "[" not in pattern and "]" not in pattern:
        return [pattern]
    parts = _BRACKETS.split(pattern)
    texts, ranges = parts[::2], [_members(bounds) for bounds in parts[1::2]]
    if any("[" in text or "]" in text for text in texts):
        raise ValueError("a bracket has no partner")
    if math.prod(len(members) for members in ranges) > limit:
        raise ValueError(f"stands for more than {limit} hosts")
    head, tails = texts[0], texts[1:]
    return [
        head + "".join(itertools.chain.from_iterable(zip(chosen, tails, strict=True)))
        for chosen in itertools.product(*ranges)
    ]


def _members(bounds: str) -> Sequence[str]:
    match = _BOUNDS.fullmatch(bounds)
    if not match:
        raise ValueError(f"range [{bounds}] is not [first:last] or [first:last:step]")
    first, last, step = match[1] or "0", match[2], int(match[3] or 1)
    if step == 0:
        raise ValueError(f"range [{bounds}] has step 0")
    if first.isdigit() != last.isdigit():
        raise ValueError(f"range [{bounds}] mixes letters and numbers")
    if first.isdigit():
        return _numbers(first, last, step)
    start, stop = (_LETTERS.index(end) for end in (first, last))
    if start > stop:
        raise ValueError(f"range [{bounds}] runs backwards")
    return _LETTERS[start : stop + 1 : step]


class _Numbers(Sequence[str]):
    """The numbers of a range as text; made one by one, so that a huge range costs nothing to count."""

    def __init__(self, numbers: range, width: int) -> None:
        self._numbers = numbers
        self._width = width

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # never sliced
        return str(self._numbers[index]).zfill(self._width)


def _numbers(first: str, last: str, step: int) -> Sequence[str]:
    padded = len(first) > 1 and first.startswith("0")
    if padded and len(first) != len(last):
        raise ValueError(f"`{first}` and `{last}` need the same number of digits, as `{first}` begins with 0")
    return _Numbers(range(int(first), int(last) + 1, step), len(first) if padded else 0)
