"""Plain references among a host's variables: ``{{ other }}``, ``{{ mapping.key }}``; nothing is executed."""

import re
from collections.abc import Mapping

from chargehand.document import Vaulted
from chargehand.expression import expression
from chargehand.host import Host
from chargehand.inventory.address import is_ip_address
from chargehand.secret import Secret

_REFERENCE = expression(r"\{\{-?\s*(\w+(?:(?:\.\w+|\[(?:'\w+'|\"\w+\"|[0-9]+)\])*))\s*-?\}\}")
_STEP = expression(r"\w+")
_DEPTH = 10


def resolve(host: Host, name: str) -> object:
    """The value of a variable with the variables it refers to put in.

    Raises:
        ValueError: It is encrypted, refers to what does not exist or in a circle, or needs a template.
    """
    return _resolve(host, host.vars[name], _DEPTH)


def _resolve(host: Host, value: object, depth: int) -> object:
    if isinstance(value, Vaulted):
        raise ValueError("is encrypted with Ansible Vault, and no vault password is given")  # noqa: TRY004
    if not isinstance(value, str) or not ("{{" in value or "{%" in value):
        return value
    if depth == 0:
        raise ValueError("refers to itself")
    whole = _REFERENCE.fullmatch(value.strip())
    if whole:
        return _resolve(host, _find(host, whole[1]), depth - 1)
    is_secret = False

    def put_in(match: re.Match[str]) -> str:
        nonlocal is_secret
        found = _resolve(host, _find(host, match[1]), depth - 1)
        is_secret = is_secret or isinstance(found, Secret)
        return found.reveal() if isinstance(found, Secret) else str(found)

    text = _REFERENCE.sub(put_in, value)
    if "{{" in text or "{%" in text:
        raise ValueError("needs a template, and only references such as {{ name.key }} are resolved here")
    return Secret(text) if is_secret else text


def _find(host: Host, path: str) -> object:
    first, *steps = _STEP.findall(path)
    if first in ("inventory_hostname", "inventory_hostname_short"):
        is_short = first == "inventory_hostname_short" and not is_ip_address(host.name)
        return host.name.partition(".")[0] if is_short else host.name
    if first not in host.vars:
        raise ValueError(f"refers to the variable `{first}`, which the host does not have")
    value: object = host.vars[first]
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise ValueError(f"refers to `{path}`, which the host does not have")
    return value
