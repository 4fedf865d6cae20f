"""Which variables a host has: what its groups and itself say, in Ansible's order of precedence."""

from collections.abc import Iterable, Mapping, Sequence

from chargehand.frozen import frozen
from chargehand.inventory.draft import EVERYBODY, Draft, Layer
from chargehand.inventory.groups import GroupGraph
from chargehand.inventory.model import Level
from chargehand.inventory.varfiles import VarFiles


@frozen
class _Shared:
    """What hosts that the same groups name have in common.

    Attributes:
        groups: As of `Variables.groups`.
        levels: Of these groups.
        values: Variables by the layers of a host's own that lie over those of the groups.
    """

    groups: tuple[str, ...]
    levels: tuple[Level, ...]
    values: dict[tuple[int, ...], Mapping[str, object]]


class Variables:
    """The levels of every host's variables; what hosts of the same groups share is folded once.

    `beside` are the files beside the sources, then those beside the playbooks.
    """

    def __init__(self, draft: Draft, graph: GroupGraph, beside: Sequence[VarFiles]) -> None:
        self._draft = draft
        self._graph = graph
        self._in_files = {name: [files.group_layers(name) for files in beside] for name in draft.groups}
        self._own = {
            name: [*layers, *(layer for files in beside for layer in files.host_layers(name))]
            for name, layers in draft.hosts.items()
        }
        self._shared: dict[tuple[str, ...], _Shared] = {}

    def levels(self, host: str) -> list[Level]:
        """Levels of one host, lowest precedence first."""
        return [*self._share(host).levels, Level(f"host {host}", tuple(self._own[host]))]

    def values(self, host: str) -> Mapping[str, object]:
        """The effective variables of one host; hosts that are told the same have the same mapping."""
        shared, own = self._share(host), self._own[host]
        key = tuple(map(id, own))
        found = shared.values.get(key)
        if found is None:
            found = shared.values[key] = fold(own, shared.values[()])
        return found

    def everybody(self) -> dict[str, object]:
        """What applies to every host, known or not."""
        return _fold_levels(self._group_levels([EVERYBODY]))

    def groups(self, host: str) -> tuple[str, ...]:
        """Every group of a host but `all`, sorted."""
        return self._share(host).groups

    def _share(self, host: str) -> _Shared:
        named = self._graph.direct[host]
        found = self._shared.get(named)
        if found is None:
            groups = frozenset({EVERYBODY}).union(*(self._graph.ancestors[name] for name in named))
            levels = tuple(self._group_levels(sorted(groups, key=self._graph.precedence.__getitem__)))
            found = self._shared[named] = _Shared(
                groups=tuple(sorted(groups - {EVERYBODY})), levels=levels, values={(): _fold_levels(levels)}
            )
        return found

    def _group_levels(self, groups: Sequence[str]) -> Iterable[Level]:
        """Steps 1 to 6 of the precedence; `all` comes before the other groups in each kind of file."""
        others = [name for name in groups if name != EVERYBODY]
        for name in [EVERYBODY, *others]:
            yield Level(f"group {name}", tuple(self._draft.groups[name].layers))
        for names in ([EVERYBODY], others):
            for source in range(len(self._in_files[EVERYBODY])):
                for name in names:
                    yield Level(f"group {name}", tuple(self._in_files[name][source]))


def fold(layers: Iterable[Layer], below: Mapping[str, object]) -> dict[str, object]:
    """Lay each layer over those before it; values are replaced, never merged."""
    values = dict(below)
    for layer in layers:
        values.update(layer.values)
    return values


def _fold_levels(levels: Iterable[Level]) -> dict[str, object]:
    return fold((layer for level in levels for layer in level.layers), {})
