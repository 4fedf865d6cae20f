"""Targeting: which hosts a job invocation means, and in what order.

A static targeting is resolved when the job is submitted, a dynamic one anew at every run; both are
resolved by the same function, so that `plan` shows what `run` does.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Literal

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.inventory import Inventory
from chargehand.search import compile_query

TargetingType = Literal["static_query", "dynamic_query"]

# What makes a --limit a search query; anything else is one of Ansible's host patterns, so that a bare
# word names a host or a group and is never widened into a free-text search. A `~` that begins a term of a
# pattern is its regular expression.
_QUERY = expression(r"[=<>^]|[^\s,:&!]\s*!?~|\b(?:and|or|not|has)\s|\b(?:null|set)\?", re.IGNORECASE)
_PLAIN_WORD = expression(r"[A-Za-z0-9_.:/@+][A-Za-z0-9_.:/@+-]*\Z")
_KEYWORDS = frozenset({"and", "or", "not", "has", "set?", "null?", "at", "before", "after"})


@frozen
class Within:
    """The part of the inventory that a job sees; None sees all.

    Attributes:
        location: Name of a location; those nested in it count.
        organization: Name of an organization; those nested in it count.
    """

    location: str | None = None
    organization: str | None = None


EVERYWHERE = Within()


@frozen
class Targeting:
    """Which hosts a job invocation means.

    Attributes:
        targeting_type: When `search_query` is looked up.
        search_query: What selects the hosts; chosen hosts are ``name ^ (a, b)``.
        bookmark_id: The bookmark the query came from.
        randomized_ordering: Shuffled once per resolution; otherwise by name.
        within: Only the hosts of a location and organization are seen.
        time_zone: Of the dates in the query.
    """

    targeting_type: TargetingType
    search_query: str
    bookmark_id: int | None = None
    randomized_ordering: bool | None = None
    within: Within = EVERYWHERE
    time_zone: tzinfo = UTC


def resolve(
    targeting: Targeting, inventory: Iterable[Host], *, now: datetime, shuffle: random.Random
) -> tuple[Host, ...]:
    """The hosts of a targeting in the order in which they are started: by name, or shuffled.

    Raises:
        SearchError: The query is not understood.
    """
    hosts = by_name(filter(matcher(targeting, now=now), inventory))
    if targeting.randomized_ordering:
        shuffled = list(hosts)
        shuffle.shuffle(shuffled)
        return tuple(shuffled)
    return hosts


def matcher(targeting: Targeting, *, now: datetime) -> Callable[[Host], bool]:
    """Whether a host is meant by a targeting.

    Raises:
        SearchError: The query is not understood.
    """
    matches = compile_query(targeting.search_query, now=now, time_zone=targeting.time_zone).matches
    within = targeting.within
    if within == EVERYWHERE:
        return matches
    return lambda host: is_visible(host, within) and matches(host)


def by_name(hosts: Iterable[Host]) -> tuple[Host, ...]:
    """Hosts in the order in which they are started."""
    return tuple(sorted(hosts, key=lambda host: (host.name, host.id)))


def is_visible(host: Host, within: Within) -> bool:
    """Whether a host belongs to a location and an organization."""
    return related(host.location, within.location) and related(host.organization, within.organization)


def related(own: str | None, asked: str | None) -> bool:
    """Whether the title of a location or organization is the one asked for, or nested in it."""
    return asked is None or own == asked or (own is not None and own.startswith(f"{asked}/"))


def narrow(
    hosts: Iterable[Host], limit: str, inventory: Inventory, *, now: datetime, time_zone: tzinfo = UTC
) -> tuple[Host, ...]:
    """Those of `hosts` that a ``--limit`` names: a search query or an Ansible host pattern.

    Raises:
        UnknownHostError: A word of the pattern names nothing.
        SearchError: The limit is neither.
    """
    kept = {host.name for host in _named(limit, inventory, now, time_zone)}
    return tuple(host for host in hosts if host.name in kept)


def exclude(
    hosts: Iterable[Host], excluded: str, inventory: Inventory, *, now: datetime, time_zone: tzinfo = UTC
) -> tuple[Host, ...]:
    """`hosts` without those that an ``--exclude`` names; read as a ``--limit`` is.

    Raises:
        UnknownHostError: A word of the pattern names nothing.
        SearchError: It is neither a query nor a pattern.
    """
    dropped = {host.name for host in _named(excluded, inventory, now, time_zone)}
    return tuple(host for host in hosts if host.name not in dropped)


def pick(
    names: Iterable[str], inventory: Iterable[Host], within: Within
) -> tuple[tuple[Host, ...], tuple[str, ...]]:
    """The hosts of these names, in that order, and the names that no visible host has."""
    visible = {host.name: host for host in inventory if is_visible(host, within)}
    wanted = dict.fromkeys(names)
    hosts = tuple(visible[name] for name in wanted if name in visible)
    return hosts, tuple(name for name in wanted if name not in visible)


def query_for(names: Sequence[str]) -> str:
    """The search query that means exactly these hosts, as Foreman writes it: ``name ^ (a, b)``."""
    return f"name ^ ({', '.join(map(_quoted, names))})"


def is_query(limit: str) -> bool:
    """Whether a ``--limit`` is a search query; anything else is an Ansible host pattern."""
    pattern = limit.lstrip().startswith(("~", "@"))
    return not pattern and (limit.strip() == "*" or bool(_QUERY.search(limit)))


def _named(limit: str, inventory: Inventory, now: datetime, time_zone: tzinfo) -> Sequence[Host]:
    if is_query(limit):
        return compile_query(limit, now=now, time_zone=time_zone).select(inventory)
    return inventory.match(limit)


def _quoted(name: str) -> str:
    if _PLAIN_WORD.match(name) and name.lower() not in _KEYWORDS:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
