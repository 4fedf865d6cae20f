"""Dialect: what a scalar means and what a file may hold.

`YAML_12` is the core schema of YAML 1.2 without its octal and hexadecimal numbers: ``yes``, ``0644``,
``22:30`` and ``2026-01-01`` stay text. `YAML_11` is what Ansible reads in an inventory.

Source:
    YAML 1.2.2, chapter 10.3 (core schema). YAML 1.1 as PyYAML's safe loader has it, which Ansible uses.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from yaml import ScalarNode
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.resolver import Resolver

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.secret import Vaulted

_CORE_TAG = "tag:yaml.org,2002:"
_VAULT_TAGS = frozenset({"!vault", "!vault-encrypted"})

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = expression(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = expression(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = expression(r"([-+]?)\.(?:(inf|Inf|INF)|nan|NaN|NAN)\Z")

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff"
_LINE_BREAKS = "\x85\u2028\u2029"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"


@frozen
class Limits:
    """How big a document may be.

    Attributes:
        size_bytes: Of the file.
        depth: Mappings and lists inside one another.
        aliased: Values that all aliases of the file stand for, together.
    """

    size_bytes: int
    depth: int
    aliased: int


class MeaninglessError(ValueError):
    """A scalar that its tag or its look promises to be something it is not; says what, never the value."""


@frozen
class Dialect:
    """How a file is read.

    Attributes:
        name: What error messages call it.
        limits: Unless the caller gives others.
        mean: The value of a scalar: its text, its tag or None, whether it is plain.
        collection_tags: Tags a mapping or list may have.
        forbidden: Characters that may not stand in the file.
        suspicious: Characters that are warned of.
        strict: Keys must be text and must not repeat, and there are no merge keys; otherwise a repeated
            key is a warning and the last one counts.
    """

    name: str
    limits: Limits
    mean: Callable[[str, str | None, bool], object]
    collection_tags: frozenset[str]
    forbidden: re.Pattern[str]
    suspicious: re.Pattern[str] | None
    strict: bool


def _mean_12(text: str, tag: str | None, plain: bool) -> object:
    if tag is None:
        return _mean_plain_12(text) if plain else _sound(text)
    if tag in _VAULT_TAGS:
        return Vaulted(text)
    if tag == f"{_CORE_TAG}str":
        return _sound(text)
    raise MeaninglessError(f"the tag {tag_name(tag)} is not allowed here")


def _mean_plain_12(text: str) -> object:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.match(text):
        return _integer(text)
    if _FLOAT.match(text):
        return float(text)
    if found := _NOT_FINITE.match(text):
        return float(found[1] + ("inf" if found[2] else "nan"))
    return text


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python refuses to read more than 4,300 digits
        raise MeaninglessError("a whole number has too many digits") from None


def _sound(text: str) -> str:
    """Refuse what only an escape can bring in and nothing can hold: no argument, no variable, no file."""
    if "\0" in text:
        raise MeaninglessError("a text must not contain the character NUL")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise MeaninglessError("a text contains half of a surrogate pair")
    return text


_LONGEST_NUMBER = 1000
_RESOLVER = Resolver()
_IMPLICIT_11 = frozenset(_RESOLVER.yaml_implicit_resolvers)
_CONSTRUCTOR = SafeConstructor()
_CONSTRUCTORS_11: dict[str, Callable[[ScalarNode], object]] = {
    f"{_CORE_TAG}null": _CONSTRUCTOR.construct_yaml_null,
    f"{_CORE_TAG}bool": _CONSTRUCTOR.construct_yaml_bool,
    f"{_CORE_TAG}int": _CONSTRUCTOR.construct_yaml_int,
    f"{_CORE_TAG}float": _CONSTRUCTOR.construct_yaml_float,
    f"{_CORE_TAG}timestamp": _CONSTRUCTOR.construct_yaml_timestamp,
}
_TEXT_TAGS_11 = frozenset({f"{_CORE_TAG}str", f"{_CORE_TAG}value", f"{_CORE_TAG}merge"})


def _mean_11(text: str, tag: str | None, plain: bool) -> object:
    if tag is None and (not plain or text[:1] not in _IMPLICIT_11):
        return text
    if tag in _VAULT_TAGS:
        return Vaulted(text)
    if tag is None or tag == "!unsafe":  # which overlooks quotes in Ansible; unsafe is all text here anyway
        return _mean_plain_11(text)
    return _mean_tagged_11(text, tag)


@lru_cache(maxsize=4096)
def _mean_plain_11(text: str) -> object:
    return _mean_tagged_11(text, _RESOLVER.resolve(ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call] # stub


def _mean_tagged_11(text: str, tag: str) -> object:
    if tag in _TEXT_TAGS_11:
        return text
    if tag not in _CONSTRUCTORS_11:
        raise MeaninglessError(f"the tag {tag_name(tag)} is not supported")
    if len(text) > _LONGEST_NUMBER:  # base 60 takes quadratic time
        raise MeaninglessError("a number has too many digits")
    try:
        value = _CONSTRUCTORS_11[tag](ScalarNode(tag, text))
    except (ValueError, KeyError, AttributeError, IndexError, ConstructorError):
        raise MeaninglessError(f"not a value that the tag {tag_name(tag)} can have") from None
    return value.isoformat() if isinstance(value, date) else value


def tag_name(tag: str) -> str:
    """A tag as people write it: ``!!int``, ``!vault``."""
    return "!!" + tag.removeprefix(_CORE_TAG) if tag.startswith(_CORE_TAG) else tag


YAML_12 = Dialect(
    name="YAML 1.2",
    limits=Limits(size_bytes=256 * 1024, depth=32, aliased=10_000),
    mean=_mean_12,
    collection_tags=frozenset({f"{_CORE_TAG}map", f"{_CORE_TAG}seq"}),
    forbidden=expression(f"[{_CONTROLS}{_LINE_BREAKS}{_BIDI}]"),
    suspicious=None,
    strict=True,
)

YAML_11 = Dialect(
    name="YAML 1.1",
    limits=Limits(size_bytes=64 * 1024 * 1024, depth=200, aliased=5_000_000),
    mean=_mean_11,
    collection_tags=frozenset({f"{_CORE_TAG}map", f"{_CORE_TAG}seq", "!unsafe"}),
    forbidden=expression(f"[{_CONTROLS}]"),
    suspicious=expression(f"[{_BIDI}]"),
    strict=False,
)
