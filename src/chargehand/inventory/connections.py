"""Connections: how hosts are reached, worked out once for those that say the same of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from chargehand.connection import ConnectionSettings
from chargehand.errors import Place
from chargehand.host import Host
from chargehand.inventory.address import address_fault
from chargehand.inventory.connection import ADDRESS, HostConnection, connection_settings

_PREFIXES: Final = ("ansible_", "remote_execution_")
"""Of every variable that says how a host is reached; those of others tell hosts apart without need."""
_NEVER_READ: Final = frozenset({"ansible_facts", *ADDRESS})
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})

Key = tuple[tuple[str, type, object], ...]


class Connections:
    """How hosts are reached.

    Args:
        defaults: For what no variable says.
        allow_proxy_command: Whether ProxyCommand may come from an inventory.
        locate: Place of a variable of a host, for messages.
    """

    def __init__(
        self,
        defaults: ConnectionSettings,
        *,
        allow_proxy_command: bool = False,
        locate: Callable[[str, str], Place | None],
    ) -> None:
        self._defaults = defaults
        self._allow_proxy_command = allow_proxy_command
        self._locate = locate
        self._known: dict[Key, HostConnection] = {}

    def of(self, host: Host) -> HostConnection:
        """How a host is reached; `chargehand.inventory.connection_settings`, with places in its messages.

        Raises:
            InventoryError: With every variable of the host that cannot be obeyed.
        """
        address, key = _address(host), _key(host)
        if address is None or key is None:
            return self._work_out(host)
        known = self._known.get(key)
        if known is None:
            known = self._work_out(host)
            if known.warnings:  # they stand at the places of this host's variables
                return known
            self._known[key] = known
        return HostConnection(settings=replace(known.settings, address=address), become=known.become)

    def _work_out(self, host: Host) -> HostConnection:
        return connection_settings(
            host,
            self._defaults,
            allow_proxy_command=self._allow_proxy_command,
            locate=lambda name: self._locate(host.name, name),
        )


def _address(host: Host) -> str | None:
    """What is dialled, when that is a text without fault."""
    given = (host.vars.get(name) for name in reversed(ADDRESS))
    address = next((each for each in given if each not in (None, "")), host.name)
    return (
        address if isinstance(address, str) and _is_literal(address) and not address_fault(address) else None
    )


def _key(host: Host) -> Key | None:
    """All else that a host says of how it is reached; None when that is to be worked out for it alone."""
    said = []
    for name, value in host.vars.items():
        if name.startswith(_PREFIXES) and name not in _NEVER_READ:
            if type(value) not in _PLAIN or not _is_literal(value):
                return None
            said.append((name, type(value), value))
    return tuple(said)


def _is_literal(value: object) -> bool:
    """Whether a value refers to no other variable."""
    return not (isinstance(value, str) and ("{{" in value or "{%" in value))
