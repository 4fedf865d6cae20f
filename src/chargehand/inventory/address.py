"""What may stand as host name, address and user, and how a port is written behind a name."""

import ipaddress
import re
from typing import NamedTuple

from chargehand.expression import expression

_RANGE = r"(?i)\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
_HEX_RANGE = r"(?i)\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\]"
_LABEL = r"\w(?:[\w-]*[^\W_])?"
_BRACKETED_PORT = r"\[(.+)\]:([0-9]+)"
_PORT = r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)"
_ADDRESS = expression(r"\w[\w.-]*")
_ZONE = r"[\w.-]+"
_PLAIN_WORD = expression(r"\w[\w.-]*", re.ASCII)  # what nearly every word is, and nothing minds
_SHELL = frozenset("'`\"$;&|<>(){}*?!#~")


class Fault(NamedTuple):
    """Why a word is refused, as the end of a sentence, and what to do."""

    message: str
    hint: str | None = None


def split_port(pattern: str) -> tuple[str, int | None]:
    """The name and the port of ``name:2222`` or ``[address]:2222``; ranges may stand in the name.

    A bare IPv6 address has no port, and what is no host name at all is left as it is.
    """
    if _PLAIN_WORD.fullmatch(pattern):
        return pattern, None
    match = re.fullmatch(_BRACKETED_PORT, pattern) or re.fullmatch(_PORT, pattern)
    name, port = (match[1], int(match[2])) if match else (pattern, None)
    return (name, port) if is_host_pattern(name) else (pattern, None)


def is_host_pattern(text: str) -> bool:
    """Whether this is a host name, an IPv4 or an IPv6 address; ranges may stand in any part."""
    if all(re.fullmatch(_LABEL, label) for label in re.sub(_RANGE, "0", text).split(".")):
        return True
    return is_ip_address(re.sub(_HEX_RANGE, "0", text))


def is_ip_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address, a zone such as ``%eth0`` included."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    zone = getattr(address, "scope_id", None)
    return zone is None or re.fullmatch(_ZONE, zone) is not None


def name_fault(name: str) -> Fault | None:
    """Why this cannot be a host's name: it would be read as an option, a path or shell code somewhere."""
    if _PLAIN_WORD.fullmatch(name):
        return None
    fault = _word_fault(name, _SHELL | {",", "\\"})
    if fault is None and "=" in name:
        return Fault("contains `=`", "variables of a group stand under [group:vars]")
    if fault is None and ".." in name.split("/"):
        return Fault("leads out of its folder")
    return fault


def address_fault(address: str) -> Fault | None:
    """Why this cannot be dialled safely."""
    if _ADDRESS.fullmatch(address) or is_ip_address(address):
        return None
    return _word_fault(address, _SHELL) or Fault("is neither a host name nor an IP address")


def user_fault(user: str) -> Fault | None:
    """Why this cannot be a user's name; one of a domain, with a backslash or ``@``, can be."""
    return _word_fault(user, _SHELL)


def port_fault(port: object) -> Fault | None:
    """Why this is no TCP port."""
    text = str(port)
    if re.fullmatch("[0-9]{1,5}", text) and 1 <= int(text) <= 65535:
        return None
    return Fault("is not a port: a whole number from 1 to 65535")


def _word_fault(word: str, forbidden: frozenset[str]) -> Fault | None:
    if _PLAIN_WORD.fullmatch(word):
        return None
    if not word:
        return Fault("is empty")
    if word.startswith("-"):
        return Fault("begins with `-`, as an option would")
    if any(char.isspace() for char in word):
        return Fault("contains white space")
    if not word.isprintable():
        return Fault("contains control characters")
    found = sorted(forbidden.intersection(word))
    return Fault(f"contains `{found[0]}`") if found else None
