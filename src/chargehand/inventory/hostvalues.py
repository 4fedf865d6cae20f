"""Values of one host's variables, by their meaning; what does not fit is noted, not raised."""

import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from chargehand.errors import Place, Problem
from chargehand.host import Host
from chargehand.inventory.address import Fault, address_fault, port_fault, user_fault
from chargehand.inventory.variable_reference import resolve
from chargehand.secret import Secret

T = TypeVar("T")

_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


class HostValues:
    """Reads the variables of one host and collects what is wrong with them.

    Attributes:
        problems: What was found so far, warnings included.
    """

    def __init__(self, host: Host, locate: Callable[[str], Place | None]) -> None:
        self.problems: list[Problem] = []
        self._host = host
        self._locate = locate

    def read(self, names: Sequence[str], convert: Callable[[object], T]) -> T | None:
        """What the last of `names` that is set means; None when none is, or it is refused.

        None and empty text count as not set.
        """
        for name in reversed(names):
            if self._host.vars.get(name) in (None, ""):
                continue
            try:
                value = resolve(self._host, name)
                if value not in (None, ""):
                    return convert(value)
            except ValueError as error:
                self.refuse(name, str(error))
                return None
        return None

    def refuse(self, name: str, fault: str, hint: str | None = None) -> None:
        """Note that a variable cannot be obeyed."""
        message = f"{name} of `{self._host.name}` {fault}"
        self.problems.append(Problem(message, self._locate(name), hint, "connection"))

    def warn(self, name: str, fault: str) -> None:
        """Note that a variable is obeyed only in part, or weakens a check.

        The host is not named: a warning of a group's variable is the same for all of its hosts.
        """
        place = self._locate(name)
        self.problems.append(Problem(f"{name} {fault}", place, None, "connection", "warning"))


# Each of these gives the value, or raises a ValueError that says, without the value, why it is none.


def read_text(value: object) -> str:
    """Text, or a number as text."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, (bool, list, dict)):
        raise ValueError("must be text")  # noqa: TRY004  # read() takes every refusal the same way
    return str(value)


def read_secret(value: object) -> Secret:
    """Text that must not be seen."""
    return value if isinstance(value, Secret) else Secret(read_text(value))


def read_path(value: object) -> str:
    """A path on this machine, ``~`` expanded."""
    return str(Path(read_text(value)).expanduser())


def read_words(value: object) -> tuple[str, ...]:
    """Words as a shell splits them."""
    try:
        return tuple(shlex.split(read_text(value)))
    except ValueError:
        raise ValueError("has a quote without a partner") from None


def read_flag(value: object) -> bool:
    """A boolean, or one of Ansible's words for it."""
    word = str(value).casefold()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def read_seconds(value: object) -> float:
    """A positive number of seconds."""
    try:
        seconds = float(read_text(value))
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("must be a positive number of seconds")
    return seconds


def read_address(value: object) -> str:
    """A host name or IP address."""
    return _checked(read_text(value), address_fault)


def read_user(value: object) -> str:
    """The name of a user."""
    return _checked(read_text(value), user_fault)


def read_port(value: object) -> int:
    """A TCP port."""
    return int(_checked(read_text(value), port_fault))


def _checked(text: str, find_fault: Callable[[str], Fault | None]) -> str:
    fault = find_fault(text)
    if fault:
        raise ValueError(fault.message)
    return text
