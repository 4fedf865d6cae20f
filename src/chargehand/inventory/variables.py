"""Which variables a host has: what its groups and itself say, in Ansible's order of precedence."""

from collections.abc import Iterable, Mapping, Sequence

from chargehand.inventory.draft import EVERYBODY, Draft
from chargehand.inventory.groups import GroupGraph
from chargehand.inventory.model import Level
from chargehand.inventory.varfiles import VarFiles


class Variables:
    """The levels of every host's variables; what hosts of the same groups share is folded once.

    `beside` are the files beside the sources, then those beside the playbooks.
    """

    def __init__(self, draft: Draft, graph: GroupGraph, beside: Sequence[VarFiles]) -> None:
        self._draft = draft
        self._graph = graph
        self._in_files = {name: [files.group_layers(name) for files in beside] for name in draft.groups}
        self._host_files = {name: [files.host_layers(name) for files in beside] for name in draft.hosts}
        self._shared: dict[frozenset[str], tuple[tuple[Level, ...], Mapping[str, object]]] = {}

    def levels(self, host: str) -> list[Level]:
        """Levels of one host, lowest precedence first."""
        shared, _ = self._share(host)
        return [*shared, *self._own_levels(host)]

    def values(self, host: str) -> dict[str, object]:
        """The effective variables of one host."""
        _, shared = self._share(host)
        return fold(self._own_levels(host), shared)

    def everybody(self) -> dict[str, object]:
        """What applies to every host, known or not."""
        return fold(self._group_levels([EVERYBODY]))

    def groups(self, host: str) -> list[str]:
        """Every group of a host, lowest precedence first."""
        named = self._graph.direct[host]
        groups = frozenset().union(*(self._graph.ancestors[name] for name in named))
        return sorted(groups | {EVERYBODY}, key=self._graph.precedence.__getitem__)

    def _share(self, host: str) -> tuple[tuple[Level, ...], Mapping[str, object]]:
        key = frozenset(self._graph.direct[host])
        if key not in self._shared:
            levels = tuple(self._group_levels(self.groups(host)))
            self._shared[key] = levels, fold(levels)
        return self._shared[key]

    def _group_levels(self, groups: Sequence[str]) -> Iterable[Level]:
        """Steps 1 to 6 of the precedence; `all` comes before the other groups in each kind of file."""
        others = [name for name in groups if name != EVERYBODY]
        for name in [EVERYBODY, *others]:
            yield Level(f"group {name}", tuple(self._draft.groups[name].layers))
        for names in ([EVERYBODY], others):
            for source in range(len(self._in_files[EVERYBODY])):
                for name in names:
                    yield Level(f"group {name}", tuple(self._in_files[name][source]))

    def _own_levels(self, host: str) -> list[Level]:
        layers = [*self._draft.hosts[host], *(layer for found in self._host_files[host] for layer in found)]
        return [Level(f"host {host}", tuple(layers))]


def fold(levels: Iterable[Level], below: Mapping[str, object] | None = None) -> dict[str, object]:
    """Lay the values of each level over those before it; values are replaced, never merged."""
    values: dict[str, object] = dict(below or {})
    for level in levels:
        for layer in level.layers:
            values.update(layer.values)
    return values
