"""Violations: what is wrong with a document by its JSON Schema, each with its place; asks jsonschema.

Checking reads no file and no address that a schema could name, takes JSON's types strictly, and says in
words what was expected: the ``title`` of a schema.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain, islice
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators
from referencing import Registry

from chargehand.document import Document, Vaulted
from chargehand.errors import Problem, did_you_mean
from chargehand.schema.fit import content_of, is_integer, is_number

RULE = "schema"
_SHOWN = 60
_Path = tuple[str | int, ...]


def violations(document: Document, schema: str, *, at_most: int) -> list[Problem]:
    """What its schema does not allow in a document, in the order of the file."""
    errors = _validator(schema).iter_errors(document.data)
    explained = chain.from_iterable(_explain(document, error) for error in errors)
    found = {(path, problem.message): problem for path, problem in islice(explained, 10 * at_most)}
    problems = sorted(found.values(), key=_position)
    if len(problems) > at_most:
        rest = Problem("there are more violations than these", document.place(), rule=RULE)
        return [*problems[:at_most], rest]
    return problems


@cache
def _validator(schema: str) -> Draft202012Validator:
    """A validator that retrieves nothing and takes JSON's types strictly."""
    strict: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call] # stub
        Draft202012Validator,
        validators={"type": _check_type, "pattern": _check_pattern, "anyOf": _check_alternatives},
        type_checker=_TYPES,
    )
    return strict(content_of(schema), registry=Registry(), format_checker=FormatChecker())


_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many(
    {"integer": lambda _, value: is_integer(value), "number": lambda _, value: is_number(value)}
)


def _check_type(
    validator: Draft202012Validator, types: object, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """JSON Schema's ``type``; an encrypted text stands where a secret may."""
    if not (isinstance(instance, Vaulted) and schema.get("writeOnly")):
        yield from Draft202012Validator.VALIDATORS["type"](validator, types, instance, schema)


def _check_pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    r"""JSON Schema's ``pattern``; ours are anchored, and Python's ``$`` lets a last newline through."""
    if isinstance(instance, str) and not re.fullmatch(pattern, instance):
        yield ValidationError("does not match")


def _check_alternatives(
    validator: Draft202012Validator, alternatives: list[Mapping[str, Any]], instance: object, _schema: object
) -> Iterator[ValidationError]:
    """JSON Schema's ``anyOf``; when one alternative has the value's type, its violations are what is told.

    A schema of ours names its ``type`` before anything else, so the first violation decides.
    """
    firsts = [next(validator.descend(instance, each), None) for each in alternatives]
    if None in firsts:
        return
    meant = [
        alternative
        for alternative, first in zip(alternatives, firsts, strict=True)
        if first and (first.validator != "type" or first.path)
    ]
    if len(meant) == 1:
        yield from validator.descend(instance, meant[0])
    else:
        yield ValidationError("fits no alternative")


def _position(problem: Problem) -> tuple[int, int]:
    place = problem.place
    return (place.line or 0, place.column or 0) if place else (0, 0)


def _explain(document: Document, error: ValidationError) -> Iterator[tuple[_Path, Problem]]:
    """The problems that one violation stands for, each with its path."""
    path = tuple(error.absolute_path)
    schema = cast("Mapping[str, Any]", error.schema)
    instance = cast("Any", error.instance)
    wanted = cast("Any", error.validator_value)
    if error.validator == "additionalProperties":
        yield from _unknown_keys(document, path, schema, instance)
    elif error.validator == "required":
        for name in wanted:
            if name not in instance:
                yield path, _missing(document, path, name)
    elif error.validator == "anyOf" and "required" in wanted[0]:
        (name,), (instead,) = (branch["required"] for branch in wanted)
        yield path, _missing(document, path, name, f"or give `{instead}`")
    else:
        yield path, _unexpected(document, path, schema, instance)


def _unknown_keys(
    document: Document, path: _Path, schema: Mapping[str, Any], instance: Mapping[str, object]
) -> Iterator[tuple[_Path, Problem]]:
    known = schema["properties"]
    for key in instance:
        if key not in known:
            place = document.place((*path, key), key=True)
            named = "" if schema.get("writeOnly") else f" `{_cut(key)}`"
            message = f"unknown key{named}{_inside(path)}"
            yield (*path, key), Problem(message, place, did_you_mean(key, known), RULE)


def _missing(document: Document, path: _Path, name: str, hint: str | None = None) -> Problem:
    return Problem(f"`{name}` is missing{_inside(path)}", document.place(path), hint, RULE)


def _unexpected(document: Document, path: _Path, schema: Mapping[str, Any], value: object) -> Problem:
    expected = schema.get("title") or _type_words(schema)
    shown = "" if schema.get("writeOnly") else f", not {_shown(value)}"
    subject = f"`{_name(path)}`: " if _name(path) else ""
    return Problem(
        f"{subject}expected {expected}{shown}", document.place(path), _correction(schema, value), RULE
    )


def _correction(schema: Mapping[str, Any], value: object) -> str | None:
    """What to do about a value that is nearly right."""
    types = schema.get("type", ())
    if isinstance(value, str):
        if "integer" in types and "string" not in types and value.isdecimal():
            return "take the quotes off"
        return did_you_mean(value, [each for each in schema.get("enum", ()) if isinstance(each, str)])
    if isinstance(value, int | float) and schema.get("title") == "text":
        return "put it in quotes"
    return None


def _type_words(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", "something else")
    return " or ".join(types) if isinstance(types, list) else str(types)


def _inside(path: _Path) -> str:
    return f" in `{_name(path)}`" if _name(path) else ""


def _name(path: _Path) -> str:
    """A path as people say it: ``ssh.effective_user``, ``waves[2]``; the job in a list is left out."""
    steps = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path)
    return _cut(re.sub(r"^\[\d+\]", "", steps).removeprefix("."))


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"`{_cut(value)}`"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "an encrypted text" if isinstance(value, Vaulted) else _cut(str(value))


def _cut(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text[: _SHOWN + 1])
    return printable if len(text) <= _SHOWN else f"{printable[:_SHOWN]}..."
