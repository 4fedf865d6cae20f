"""Fit: whether a value is as a JSON Schema says, without a word about why not.

Knows what our schemas use, and refuses to judge by anything else; jsonschema says the same, by a test.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from chargehand.document import Vaulted

_Schema = Mapping[str, Any]


def schema_path(name: str = "job") -> Path:
    """The file of a schema: beside the installed package, else in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "schemas" / f"{name}.schema.json"
    return installed if installed.exists() else package.parents[1] / "schemas" / installed.name


@cache
def content_of(name: str) -> dict[str, Any]:
    """What a schema says."""
    content: dict[str, Any] = json.loads(schema_path(name).read_text(encoding="utf-8"))
    return content


def is_integer(value: object) -> bool:
    """Whether it is one to JSON."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is one to JSON, which knows no infinity."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def fits(value: Any, schema: _Schema, whole: _Schema) -> bool:  # noqa: ANN401 - any document
    """Whether a value is as a part of a schema says.

    Args:
        value: The one.
        schema: The part.
        whole: The schema that its references are about.

    Raises:
        KeyError: It says something in a way that is not known here.
    """
    return all(_RULES[name](value, wanted, schema, whole) for name, wanted in schema.items())


def _type(value: object, wanted: str | list[str], schema: _Schema, _whole: _Schema) -> bool:
    """An encrypted text stands where a secret may."""
    names = [wanted] if isinstance(wanted, str) else wanted
    return (isinstance(value, Vaulted) and bool(schema.get("writeOnly"))) or any(
        _TYPES[name](value) for name in names
    )


def _enum(value: object, wanted: list[object], _schema: _Schema, _whole: _Schema) -> bool:
    return any(type(each) is type(value) and each == value for each in wanted)


def _pattern(value: object, wanted: str, _schema: _Schema, _whole: _Schema) -> bool:
    return not isinstance(value, str) or re.fullmatch(wanted, value) is not None


def _properties(value: object, wanted: Mapping[str, _Schema], _schema: _Schema, whole: _Schema) -> bool:
    return not isinstance(value, dict) or all(
        fits(value[name], each, whole) for name, each in wanted.items() if name in value
    )


def _others(value: object, wanted: _Schema | bool, schema: _Schema, whole: _Schema) -> bool:
    """JSON Schema's ``additionalProperties``."""
    known = schema.get("properties", {})
    others = [name for name in value if name not in known] if isinstance(value, dict) else []
    if isinstance(wanted, bool):
        return wanted or not others
    return all(fits(value[name], wanted, whole) for name in others)  # type: ignore[index]


def _items(value: object, wanted: _Schema, _schema: _Schema, whole: _Schema) -> bool:
    return not isinstance(value, list) or all(fits(each, wanted, whole) for each in value)


def _required(value: object, wanted: list[str], _schema: _Schema, _whole: _Schema) -> bool:
    return not isinstance(value, dict) or all(name in value for name in wanted)


def _any_of(value: object, wanted: list[_Schema], _schema: _Schema, whole: _Schema) -> bool:
    return any(fits(value, each, whole) for each in wanted)


def _not(value: object, wanted: _Schema, _schema: _Schema, whole: _Schema) -> bool:
    return not fits(value, wanted, whole)


def _reference(value: object, wanted: str, _schema: _Schema, whole: _Schema) -> bool:
    root, definitions, name = wanted.split("/")
    if root != "#":
        raise KeyError(wanted)
    return fits(value, whole[definitions][name], whole)


def _at_least(kind: type, measure: Callable[[Any], float]) -> Callable[..., bool]:
    return lambda value, wanted, *_: not _is(value, kind) or measure(value) >= wanted


def _at_most(kind: type, measure: Callable[[Any], float]) -> Callable[..., bool]:
    return lambda value, wanted, *_: not _is(value, kind) or measure(value) <= wanted


def _is(value: object, kind: type) -> bool:
    return is_number(value) if kind is float else isinstance(value, kind)


def _says_nothing(*_: object) -> bool:
    return True


_TYPES: Final[Mapping[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": is_integer,
    "number": is_number,
}
_RULES: Final[Mapping[str, Callable[..., bool]]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "properties": _properties,
    "additionalProperties": _others,
    "items": _items,
    "required": _required,
    "anyOf": _any_of,
    "not": _not,
    "$ref": _reference,
    "minimum": _at_least(float, float),
    "maximum": _at_most(float, float),
    "minLength": _at_least(str, len),
    "minItems": _at_least(list, len),
    "minProperties": _at_least(dict, len),
    "maxProperties": _at_most(dict, len),
    **dict.fromkeys(
        ("$schema", "$comment", "$defs", "title", "description", "examples", "default", "writeOnly"),
        _says_nothing,
    ),
}
