"""Inventory: the hosts and groups that all sources together describe."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache
from operator import is_

from chargehand.connection import ConnectionSettings
from chargehand.document import Vaulted
from chargehand.errors import Place, Problem
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.inventory.connections import Connections
from chargehand.inventory.draft import Layer
from chargehand.inventory.pattern import Names, match_names
from chargehand.search import compile_query
from chargehand.secret import MASKED, Secret

_PLAIN = (str, int)
_ID = expression(r"[0-9]{1,18}")
_SECRET_NAME = expression(
    r"pass(word|wd|phrase)?(_|$)|secret|token|private_key(?!_file)|api_?key", re.IGNORECASE
)


@frozen(kw_only=False)
class Origin:
    """One place that gives a variable a value for a host.

    Attributes:
        scope: What the file speaks of there: ``group web``, ``host web1``.
        place: Where.
        value: What it says; ``***`` for secrets and for names that sound like one.
        wins: Whether this is the value the host has.
    """

    scope: str
    place: Place
    value: object
    wins: bool = False


@frozen(kw_only=False)
class Level:
    """One step of the precedence: what one group or host says, in one kind of file."""

    scope: str
    layers: tuple[Layer, ...]


@frozen
class Inventory:
    """The hosts of all sources, in inventory order, and their groups.

    Inventory order is Ansible's: the order of ``hosts: all``.

    Attributes:
        hosts: Every host.
        groups: Group to the names of its hosts, those of child groups included; ``all`` and
            ``ungrouped`` are always there.
        warnings: What is allowed and yet hardly meant.
        levels: Gives the levels of a host's variables, lowest precedence first; read it through `explain`.
        everybody: What applies to ``localhost`` even when no source names it.
    """

    hosts: tuple[Host, ...]
    groups: Mapping[str, tuple[str, ...]]
    warnings: tuple[Problem, ...] = ()
    levels: Callable[[str], Iterable[Level]] = field(repr=False)
    everybody: Mapping[str, object] = field(repr=False, default_factory=dict)
    _by_name: Mapping[str, Host] = field(init=False, repr=False)
    _by_id: Mapping[int, Host] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {host.name: host for host in self.hosts})
        object.__setattr__(self, "_by_id", {host.id: host for host in self.hosts})

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Host:
        return self._by_name[name]

    def find(self, called: int | str) -> Host | None:
        """The host with this id, or this name, or the id that this text of digits is."""
        if isinstance(called, int):
            return self._by_id.get(called)
        number = int(called) if _ID.fullmatch(called) else None
        return self._by_name.get(called) or (None if number is None else self._by_id.get(number))

    def search(self, query: str, now: datetime | None = None) -> list[Host]:
        """Hosts that meet a search query, in inventory order.

        Args:
            query: In the search language; ``*`` is everybody.
            now: What ``today`` and ``"2 hours ago"`` are counted from, aware; None reads the clock.

        Raises:
            SearchError: The query is not understood.
        """
        return compile_query(query, now=now or datetime.now(UTC)).select(self)

    def match(self, pattern: str) -> list[Host]:
        """Hosts that one of Ansible's host patterns chooses, in the order it gives them.

        ``localhost`` need not be in the inventory to be named; it then has id 0 and a local connection.

        Raises:
            UnknownHostError: A word of the pattern names nothing.
            SearchError: The pattern is not understood.
        """
        names = match_names(pattern, Names(self._by_name, self.groups))
        return [self._by_name.get(name) or self._implicit(name) for name in names]

    def connections(self, defaults: ConnectionSettings, *, allow_proxy_command: bool = False) -> Connections:
        """How its hosts are reached; see `chargehand.inventory.connection_settings`."""
        return Connections(defaults, allow_proxy_command=allow_proxy_command, locate=self.place)

    def explain(self, host: str, name: str) -> list[Origin]:
        """Where the value of a host's variable comes from, lowest precedence first; the last one wins.

        Raises:
            KeyError: No such host.
        """
        found = [
            Origin(level.scope, layer.where(name), _shown(name, layer.values[name]))
            for level in self._levels_of(host)
            for layer in level.layers
            if name in layer.values
        ]
        if found:
            last = found[-1]
            found[-1] = Origin(last.scope, last.place, last.value, wins=True)
        return found

    def shown_vars(self, host: str) -> Mapping[str, object]:
        """A host's variables for people to see: secrets, and what sounds like one, as ``***``.

        Raises:
            KeyError: No such host.
        """
        return _masked_items(self._by_name[host].vars)

    def place(self, host: str, name: str) -> Place | None:
        """Where the value that a host's variable has is written; None when it has none."""
        winner: Layer | None = None
        for level in self._levels_of(host) if host in self else ():
            for layer in level.layers:
                winner = layer if name in layer.values else winner
        return winner.where(name) if winner else None

    def _levels_of(self, host: str) -> Iterable[Level]:
        return self.levels(self._by_name[host].name)

    def _implicit(self, name: str) -> Host:
        return Host(name=name, id=0, vars={**self.everybody, "ansible_connection": "local"})


def _shown(name: str, value: object) -> object:
    if _sounds_secret(name) and value not in ("", None):
        return MASKED
    return _masked(value)


@lru_cache(maxsize=4096)
def _sounds_secret(name: object) -> bool:
    return _SECRET_NAME.search(str(name)) is not None


def _masked(value: object) -> object:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (Secret, Vaulted)):
        return MASKED
    if isinstance(value, Mapping):
        return _masked_items(value)
    if isinstance(value, list):
        masked = [_masked(item) for item in value]
        return value if all(map(is_, masked, value)) else masked
    return value


def _masked_items(values: Mapping[str, object]) -> Mapping[str, object]:
    """The same mapping when there is nothing to hide in it, so that what hosts share stays shared."""
    changed = {}
    for name, value in values.items():
        if (shown := _shown(name, value)) is not value:
            changed[name] = shown
    return {**values, **changed} if changed else values
