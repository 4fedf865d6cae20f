"""What an executable inventory prints: groups as lists of names, variables of hosts under ``_meta``."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeGuard

from chargehand.errors import Place
from chargehand.inventory.draft import Draft, Layer

Listing = Mapping[str, object]
_SECTIONS = ("hosts", "vars", "children")


def looks_like_listing(root: Mapping[object, object]) -> bool:
    """Whether a JSON file has the shape of a program's output and not of a tree of groups."""
    return "_meta" in root or any(
        isinstance(group, list) or (isinstance(group, Mapping) and isinstance(group.get("hosts"), list))
        for group in root.values()
    )


def read_listing(
    draft: Draft, listing: Listing, place: Place, ask_host: Callable[[str], Listing] | None = None
) -> None:
    """Add what a program printed to the draft; names are taken literally.

    Hosts that only ``_meta`` mentions are ignored. `ask_host` is called for every host when there is
    no ``_meta.hostvars``.
    """
    reader = _Reader(draft, place)
    for name, group in listing.items():
        if name != "_meta":
            reader.read_group(name, group)
    hostvars = reader.read_hostvars(listing)
    for host in reader.hosts:
        found = ask_host(host) if hostvars is None and ask_host else (hostvars or {}).get(host, {})
        reader.read_vars(f"host `{host}`", found, partial(draft.add_host_layer, host))


class _Reader:
    """Reads one listing.

    Attributes:
        hosts: Every host that a group names, in order.
    """

    def __init__(self, draft: Draft, place: Place) -> None:
        self._draft = draft
        self._place = place
        self.hosts: dict[str, None] = {}

    def read_group(self, name: str, group: object) -> None:
        self._draft.add_group(name)
        if isinstance(group, Mapping) and not any(section in group for section in _SECTIONS):
            group = {"hosts": [name], "vars": group}
        sections = group if isinstance(group, Mapping) else {"hosts": group}
        for host in self._names(name, "hosts", sections):
            self.hosts[host] = None
            self._draft.add_host(host, name, lambda: self._place)
        self.read_vars(
            f"group `{name}`",
            sections.get("vars", {}),
            partial(self._draft.add_group_layer, name),
        )
        for child in self._names(name, "children", sections):
            self._draft.add_child(name, child, lambda: self._place)

    def read_hostvars(self, listing: Listing) -> Mapping[str, object] | None:
        """``_meta.hostvars``, or None when the program leaves it out."""
        meta = listing.get("_meta", {})
        if not isinstance(meta, Mapping) or not isinstance(meta.get("hostvars", {}), Mapping):
            self._draft.refuse("`_meta` and `_meta.hostvars` must be objects", self._place)
            return {}
        return meta.get("hostvars")

    def read_vars(self, owner: str, values: object, add: Callable[[Layer], None]) -> None:
        if isinstance(values, Mapping):
            add(Layer({str(name): value for name, value in values.items()}, lambda _: self._place))
        else:
            self._draft.refuse(f"the variables of {owner} must be an object", self._place)

    def _names(self, group: str, section: str, sections: Mapping[str, object]) -> list[str]:
        names = sections.get(section, [])
        if _is_names(names):
            return names
        self._draft.refuse(f"`{section}` of group `{group}` must be a list of names", self._place)
        return []


def _is_names(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)
