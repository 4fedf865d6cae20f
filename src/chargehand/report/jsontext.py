"""JSON text: plain data as valid UTF-8 that no terminal obeys, whatever the strings in it hold."""

import json
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring as _text
from typing import Final

from chargehand.report.escape import escape_json

_encode: Final[Callable[[object], str]] = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_MOST_KNOWN: Final = 1000


def dumps(value: object, *, indent: bool = True) -> str:
    """`value` as JSON text, in one line or with two spaces for each level.

    Raises:
        TypeError: It holds what is no plain data.
        ValueError: It holds a number that JSON does not have.
    """
    return escape_json(_lines(value, "\n", {}) if indent else _encode(value))


def _lines(value: object, end: str, known: dict[tuple[int, str], str]) -> str:
    """What the standard library writes with ``indent=2``, in half the time; `end` ends a line.

    `known` are the texts of mappings and lists by their ids: hosts share what their groups say.
    """
    if not isinstance(value, (dict, list, tuple)) or not value:
        return repr(value) if type(value) is int else _encode(value)
    key = id(value), end
    if (text := known.get(key)) is None:
        if len(known) > _MOST_KNOWN:
            known.clear()
        text = known[key] = _branch(value, end, known)
    return text


def _branch(
    value: dict[object, object] | Sequence[object], end: str, known: dict[tuple[int, str], str]
) -> str:
    inner = end + "  "
    if isinstance(value, dict):
        items = [
            f"{_text(key) if type(key) is str else _encode({key: 0})[1:-4]}: "
            f"{_text(item) if type(item) is str else _lines(item, inner, known)}"
            for key, item in value.items()
        ]
        return f"{{{inner}{f',{inner}'.join(items)}{end}}}"
    items = [_text(item) if type(item) is str else _lines(item, inner, known) for item in value]
    return f"[{inner}{f',{inner}'.join(items)}{end}]"
