"""How a stored value reads: as a number, as a truth value, as text."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from chargehand.expression import expression
from chargehand.secret import Secret

_NUMBER = expression(r"[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})", re.ASCII)
_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def read_number(value: object) -> Decimal | None:
    """A number, or text with a sign, digits and a point; None for anything else."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return number if number.is_finite() else None
    return None


def read_boolean(value: object) -> bool | None:
    """A truth value, or one of true yes on 1 and false no off 0 in any case; None for anything else."""
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(str(value).lower()) if isinstance(value, str | int) else None


def read_text(value: object) -> str | None:
    """The text form: ``true``, ``8080``, JSON for a mapping; None for a secret, which nothing matches."""
    if isinstance(value, str):
        return value
    if isinstance(value, Secret):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def find_nested(value: object, key: str) -> object:
    """What stands under a key such as ``default_ipv4.address``; None when nothing does.

    A list is asked member by member, unless the next part of the key is a number.
    """
    if isinstance(value, Mapping):
        if key in value:
            return value[key]
        first, dot, rest = key.partition(".")
        return find_nested(value[first], rest) if dot and first in value else None
    if isinstance(value, list | tuple):
        first, _, rest = key.partition(".")
        if first.isdecimal():
            member = value[int(first)] if len(first) < 10 and int(first) < len(value) else None
            return find_nested(member, rest) if rest else member
        return [found for member in value if (found := find_nested(member, key)) is not None] or None
    return None
