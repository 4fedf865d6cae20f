"""The graph of groups: who belongs where, and in which order groups override each other."""

import graphlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import field

from chargehand.errors import Problem
from chargehand.frozen import frozen
from chargehand.inventory.draft import EVERYBODY, UNGROUPED, Draft, DraftGroup, nowhere

_MAX_MEMBERSHIPS = 3_000_000


class _TooManyError(Exception):
    """Groups in groups in groups, made to fill the memory."""


@frozen(kw_only=False)
class GroupGraph:
    """Groups that are settled: no cycle, everything below `all`.

    Attributes:
        members: Group to names of its hosts, those of child groups included.
        precedence: Group to its place among all groups; the higher overrides.
        ancestors: Group to itself and every group above it.
        direct: Host to the groups that name it.
    """

    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    precedence: Mapping[str, int] = field(default_factory=dict)
    ancestors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    direct: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def settle(draft: Draft) -> GroupGraph:
    """Complete the groups as Ansible does: what has no parent goes below `all`, or into `ungrouped`.

    Groups that form a cycle are noted as a problem, and then nobody belongs to any.
    """
    parents = _find_parents(draft.groups)
    for name, above in parents.items():
        if not above and name != EVERYBODY:
            above.append(EVERYBODY)
            draft.groups[EVERYBODY].children[name] = nowhere
    try:
        order = tuple(graphlib.TopologicalSorter(parents).static_order())
    except graphlib.CycleError as error:
        draft.problems.append(_cycle_problem(error.args[1], draft.groups))
        return GroupGraph()
    direct = _sort_ungrouped(draft)
    try:
        ancestors = _find_ancestors(order, parents)
        members = _find_members(draft.groups)
    except _TooManyError:
        draft.refuse(f"groups in groups make more than {_MAX_MEMBERSHIPS} memberships", None)
        return GroupGraph()
    return GroupGraph(
        members=members, precedence=_rank(order, parents, draft.groups), ancestors=ancestors, direct=direct
    )


def _find_parents(groups: Mapping[str, DraftGroup]) -> dict[str, list[str]]:
    parents: dict[str, list[str]] = {name: [] for name in groups}
    for name, group in groups.items():
        for child in group.children:
            parents[child].append(name)
    return parents


def _cycle_problem(cycle: list[str], groups: Mapping[str, DraftGroup]) -> Problem:
    edges = itertools.pairwise(cycle)
    places = [groups[parent].children[child]() for parent, child in edges]
    place = max(places, key=lambda place: place.line or 0)
    way = " → ".join(cycle)
    return Problem(f"groups contain each other: {way}", place, "take one of these children out", "inventory")


def _sort_ungrouped(draft: Draft) -> dict[str, tuple[str, ...]]:
    direct: dict[str, list[str]] = {host: [] for host in draft.hosts}
    for name, group in draft.groups.items():
        for host in group.hosts:
            direct[host].append(name)
    ungrouped = draft.groups[UNGROUPED].hosts
    for host, names in direct.items():
        if not set(names) <= {EVERYBODY, UNGROUPED}:
            if UNGROUPED in names:
                names.remove(UNGROUPED)
                del ungrouped[host]
        elif UNGROUPED not in names:
            names.append(UNGROUPED)
            ungrouped[host] = None
    return {host: tuple(names) for host, names in direct.items()}


def _rank(
    order: Iterable[str], parents: Mapping[str, list[str]], groups: Mapping[str, DraftGroup]
) -> dict[str, int]:
    """Depth first, then priority, then name."""
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[parent] for parent in parents[name]), default=-1)
    ranked = sorted(groups, key=lambda name: (depth[name], groups[name].priority, name))
    return {name: position for position, name in enumerate(ranked)}


def _find_ancestors(order: Iterable[str], parents: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    ancestors: dict[str, frozenset[str]] = {}
    total = 0
    for name in order:
        ancestors[name] = frozenset({name}).union(*(ancestors[parent] for parent in parents[name]))
        total += len(ancestors[name])
        if total > _MAX_MEMBERSHIPS:
            raise _TooManyError
    return ancestors


def _find_members(groups: Mapping[str, DraftGroup]) -> dict[str, tuple[str, ...]]:
    members: dict[str, tuple[str, ...]] = {}
    total = 0
    for name in groups:
        members[name] = _members(name, groups)
        total += len(members[name])
        if total > _MAX_MEMBERSHIPS:
            raise _TooManyError
    return members


def _members(name: str, groups: Mapping[str, DraftGroup]) -> tuple[str, ...]:
    """Own hosts first, then those of the children, then of theirs: level by level."""
    level, seen, hosts = [name], {name}, dict[str, None]()
    while level:
        for group in level:
            hosts |= groups[group].hosts
        below = dict.fromkeys(child for group in level for child in groups[group].children)
        level = [child for child in below if child not in seen]
        seen.update(level)
    return tuple(hosts)
