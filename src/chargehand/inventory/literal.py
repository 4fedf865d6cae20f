"""Values of INI inventories: Python literals are what they say, everything else is text."""

import ast
import json
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Final

from chargehand.expression import expression

_PLAIN_WORD = expression(r"[^\W\d_][^'\"\\()\[\]{}]*|[/~$@][^\n]*|[0-9]+(?:\.[0-9]+){2,}")
_NAMED = ("True", "False", "None")
# Lists and mappings that JSON and Python read alike; JSON does so twenty times as fast.
_ALSO_JSON = expression(r"""[\[{](?:"[^"\\]*+"|[^"\\'#A-Za-z]++)*+""")
_DEPTH: Final = 100


def read_literal(text: str) -> object:
    """The value of `text`: a number, True, False, None, list or mapping when it is a Python literal.

    Tuples and sets become lists, keys of mappings text, as in Ansible's own output.
    """
    if not text.startswith(_NAMED) and _PLAIN_WORD.fullmatch(text):
        return text
    return _evaluate(text)


@lru_cache(maxsize=4096)
def _evaluate(text: str) -> object:
    if _ALSO_JSON.fullmatch(text) and text.count("[") + text.count("{") < _DEPTH:
        with suppress(ValueError):
            return json.loads(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text
    return _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, set):
        return [_plain(item) for item in sorted(value, key=repr)]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
