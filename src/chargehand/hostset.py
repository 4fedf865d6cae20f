"""Sets of host names, folded for people: ``web[01-97],db1`` and back.

Names are kept in natural order: runs of digits compare as numbers (``web2`` before ``web10``), then
by the text itself. A name that holds a blank, a comma, a bracket, a quote or a backslash is
written in double quotes and never folded.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from chargehand.errors import Problem, SearchError
from chargehand.expression import expression

_DIGITS = expression(r"([0-9]{1,18})")
_NEEDS_QUOTES = expression(r'[\s,\[\]"\\]|^$')
_ITEM = expression(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>(?:[^\s,"\[\]\\]|\[[^\[\]]*\])+)', re.DOTALL)
_SEPARATOR = expression(r"[\s,]*")
_BRACKETS = expression(r"\[([^\]]*)\]")
_RANGE = expression(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")

NaturalKey = tuple[tuple[str | int, ...], str]


def natural_key(name: str) -> NaturalKey:
    """Sort key that puts ``web2`` before ``web10``."""
    pieces = _DIGITS.split(name)
    return tuple(int(piece) if place % 2 else piece for place, piece in enumerate(pieces)), name


def fold(names: Iterable[str]) -> str:
    """Write a set of names short: ``web[01-03,7],db1``. Repeated names count once."""
    items: list[tuple[NaturalKey, str]] = []
    shapes: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for name in set(names):
        pieces = _DIGITS.split(name)
        if _NEEDS_QUOTES.search(name):
            items.append((natural_key(name), _quoted(name)))
        elif len(pieces) == 1:
            items.append((natural_key(name), name))
        else:
            shapes[tuple(pieces[::2])].append(tuple(pieces[1::2]))
    for shape, rows in shapes.items():
        items.extend(_fold_shape(shape, rows))
    return ",".join(text for _, text in sorted(items))


def expand(text: str, *, limit: int = 100_000) -> list[str]:
    """The names a folded set stands for, each once, in natural order; items part by comma or blank.

    Raises:
        SearchError: The text is no host set, or stands for more than `limit` names.
    """
    names: set[str] = set()
    at = _skip_separators(text, 0)
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            raise _refused(f"`{text[at : at + 20]}` in a host set has a bracket or quote without its partner")
        if item["quoted"] is not None:
            names.add(re.sub(r"\\(.)", r"\1", item["quoted"], flags=re.DOTALL))
        else:
            names.update(_expand_item(item["plain"], limit - len(names)))
        end = _skip_separators(text, item.end())
        if end == item.end() and end < len(text):
            raise _refused(f"`{text[at : end + 1]}` in a host set: expected a comma after `{item[0]}`")
        at = end
    return sorted(names, key=natural_key)


def _fold_shape(shape: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[tuple[NaturalKey, str]]:
    """Fold names that differ in their numbers only, on the one number that leaves the fewest items."""
    candidates = (_by_other_numbers(rows, place) for place in reversed(range(len(shape) - 1)))
    place, buckets = min(
        zip(reversed(range(len(shape) - 1)), candidates, strict=True), key=lambda pair: len(pair[1])
    )
    for others, numbers in buckets.items():
        first = min(numbers, key=lambda number: (int(number), number))
        ranges = first if len(numbers) == 1 else f"[{_ranges(numbers)}]"
        yield natural_key(_joined(shape, others, place, first)), _joined(shape, others, place, ranges)


def _by_other_numbers(rows: list[tuple[str, ...]], place: int) -> dict[tuple[str, ...], list[str]]:
    buckets: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        buckets[row[:place] + row[place + 1 :]].append(row[place])
    return buckets


def _joined(shape: tuple[str, ...], others: tuple[str, ...], place: int, number: str) -> str:
    numbers = (*others[:place], number, *others[place:])
    return "".join(itertools.chain.from_iterable(zip(shape, (*numbers, ""), strict=True)))


def _ranges(numbers: Sequence[str]) -> str:
    """``01-03,7``: numbers of one padding run together; 99 and 100 follow 01 to 98."""
    paddings = {len(number) for number in numbers if _is_padded(number)}
    runs: list[tuple[int, int, int]] = []
    padded = [(_padding(number, paddings), int(number)) for number in numbers]
    for width, number in sorted(padded):
        if runs and runs[-1][0] == width and runs[-1][2] == number - 1:
            runs[-1] = (width, runs[-1][1], number)
        else:
            runs.append((width, number, number))
    runs.sort(key=lambda run: (run[1], -run[0]))
    return ",".join(
        f"{first:0{width}d}" if first == last else f"{first:0{width}d}-{last:0{width}d}"
        for width, first, last in runs
    )


def _is_padded(number: str) -> bool:
    return len(number) > 1 and number.startswith("0")


def _padding(number: str, paddings: set[int]) -> int:
    if _is_padded(number):
        return len(number)
    return max((width for width in paddings if width <= len(number)), default=1)


def _expand_item(item: str, limit: int) -> Iterator[str]:
    pieces = _BRACKETS.split(item)
    choices = [_numbers(piece, limit) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    if math.prod(len(choice) for choice in choices) > limit:
        raise _too_many(item)
    return ("".join(choice) for choice in itertools.product(*choices))


def _numbers(ranges: str, limit: int) -> list[str]:
    numbers: list[str] = []
    for part in ranges.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise _refused(f"`[{ranges}]` in a host set: expected numbers and ranges such as `[01-12,20]`")
        first, last = match[1], match[2] or match[1]
        if int(last) < int(first):
            raise _refused(f"`[{ranges}]` in a host set: the range {part.strip()} ends before it begins")
        if int(last) - int(first) >= limit:
            raise _too_many(f"[{ranges}]")
        width = len(first) if _is_padded(first) else 1
        numbers += [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
    return numbers


def _quoted(name: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _skip_separators(text: str, at: int) -> int:
    match = _SEPARATOR.match(text, at)
    return match.end() if match else at


def _too_many(text: str) -> SearchError:
    return _refused(f"`{text}` stands for too many host names")


def _refused(message: str) -> SearchError:
    return SearchError(Problem(message, rule="hostset"))
