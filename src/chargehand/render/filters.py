"""The filters that templates have: Jinja's plain ones, and ours for shells and files."""

import base64
import binascii
import json
import math
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Undefined

from chargehand.expression import expression
from chargehand.render.undefined import Withheld

# Left out of Jinja's: what makes HTML, what differs from one render to the next, and `attr`, which goes
# around the sandbox's attribute check.
# fmt: off
_TAKEN_OVER = (
    "abs", "batch", "capitalize", "center", "count", "dictsort", "first", "float", "format", "groupby",
    "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject",
    "rejectattr", "replace", "reverse", "round", "select", "selectattr", "slice", "sort", "string",
    "sum", "title", "trim", "truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap",
)
# fmt: on

_BARE_KEY = expression(r"[A-Za-z_][A-Za-z0-9_-]*")
_NOT_BARE = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


class FilterError(ValueError):
    """A filter got what it cannot take."""


def quote(value: object) -> str:
    """One word for a POSIX shell, whatever it holds."""
    return shlex.quote(text_of(value))


def text_of(value: object) -> str:
    """A scalar as it is printed; null, lists and mappings are refused."""
    if isinstance(value, (str, int, float, Undefined, Withheld)):
        return str(value)
    raise FilterError(f"a {_word(value)} is not one word; choose its part, or quote every item of a list")


def to_json(value: object, indent: int | None = None) -> str:
    """As JSON, keys in the order they have."""
    require_plain(value)
    return json.dumps(value, ensure_ascii=False, indent=indent)


def from_json(text: str) -> object:
    """The value of a JSON text."""
    return json.loads(text)


def to_yaml(value: object) -> str:
    """As a YAML block, keys in the order they have; scalars as in JSON, which YAML reads alike."""
    require_plain(value)
    return "".join(f"{line}\n" for line in _yaml_lines(value))


def b64encode(value: object) -> str:
    """The UTF-8 bytes of a text as base64."""
    return base64.b64encode(text_of(value).encode()).decode()


def b64decode(text: str) -> str:
    """The text whose UTF-8 bytes these are in base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise FilterError("this is not the base64 of a text") from error


def default(value: object, fallback: object = "", boolean: bool = False) -> object:
    """Jinja's, except that a secret is not passed over."""
    if isinstance(value, Withheld):
        value.refuse()
    return JINJA_FILTERS["default"](value, fallback, boolean)


def printed(value: object) -> object:
    """What ``{{ ... }}`` prints: plain data except null; everything else is surely a mistake."""
    if isinstance(value, (str, int, float, Undefined, Withheld)):
        return value
    if value is None:
        raise FilterError("the value is null; give another with `| default('...', true)`")
    require_plain(value)
    return value


def require_plain(value: object) -> None:
    """Refuse what is no data, such as a function that was not called or a ``map`` without ``list``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            require_plain(key)
            require_plain(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            require_plain(item)
    elif isinstance(value, (Undefined, Withheld)):
        str(value)
    elif not isinstance(value, (str, int, float, type(None))):
        raise FilterError(f"a {_word(value)} is not text; call it, or add `| list` or `| join`")


FILTERS: dict[str, Callable[..., Any]] = {name: JINJA_FILTERS[name] for name in _TAKEN_OVER} | {
    "quote": quote,
    "to_json": to_json,
    "from_json": from_json,
    "to_yaml": to_yaml,
    "b64encode": b64encode,
    "b64decode": b64decode,
    "default": default,
    "d": default,
}


def _word(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _yaml_lines(value: object) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, item in value.items() for line in _yaml_item(f"{_yaml_key(key)}:", item)]
    if isinstance(value, (list, tuple)) and value:
        return [line for item in value for line in _yaml_item("-", item)]
    return [_yaml_scalar(value)]


def _yaml_item(start: str, item: object) -> list[str]:
    lines = _yaml_lines(item)
    if isinstance(item, (Mapping, list, tuple)) and item:
        return [start, *(f"  {line}" for line in lines)]
    return [f"{start} {lines[0]}"]


def _yaml_key(key: object) -> str:
    if isinstance(key, str) and _BARE_KEY.fullmatch(key) and key.lower() not in _NOT_BARE:
        return key
    return _yaml_scalar(key)


def _yaml_scalar(value: object) -> str:
    """JSON without the characters that YAML wants escaped, and floats as YAML 1.1 knows them too."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        mantissa, exponent, power = repr(value).partition("e")
        return mantissa + (".0" if exponent and "." not in mantissa else "") + exponent + power
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
