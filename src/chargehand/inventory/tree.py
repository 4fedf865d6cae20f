"""Inventories written as a tree of groups: YAML, JSON and TOML."""

from collections.abc import Callable, Mapping
from functools import partial

from chargehand.errors import Place
from chargehand.inventory.address import split_port
from chargehand.inventory.draft import Draft, Layer
from chargehand.inventory.ranges import expand

Path = tuple[object, ...]
Locate = Callable[[Path], Place]
Tree = Mapping[object, object]


def read_tree(draft: Draft, root: Tree, locate: Locate) -> None:
    """Add the groups of a tree to the draft; `locate` gives the place of the key at a path."""
    reader = _Reader(draft, locate)
    for name, group in root.items():
        reader.read_group(name, group, (name,))


class _Reader:
    """Reads the groups of one file, from the root down."""

    def __init__(self, draft: Draft, locate: Locate) -> None:
        self._draft = draft
        self._locate = locate
        self._sections = {"vars": self._read_vars, "children": self._read_children, "hosts": self._read_hosts}

    def read_group(self, name: object, group: object, path: Path) -> None:
        """Read one group and those below it."""
        if not isinstance(name, str) or not name:
            self._refuse(f"the group name {name!r} must be text", path, "put it in quotes")
            return
        if group is not None and not isinstance(group, Mapping):
            self._warn(f"`{name}` is skipped: a group is a mapping, and this is {_kind(group)}", path)
            return
        self._draft.add_group(name)
        for key, content in (group or {}).items():
            self._read_section(name, key, content, (*path, key))

    def _read_section(self, group: str, key: object, content: object, path: Path) -> None:
        if key not in self._sections:
            message = f"`{key}` of group `{group}` is skipped: a group has `hosts`, `vars` and `children`"
            self._warn(message, path)
        elif isinstance(content, Mapping):
            self._sections[str(key)](group, content, path)
        elif isinstance(content, str):
            self._sections[str(key)](group, {content: None}, path)
        elif content is not None:
            hint = f"write each of the {key} as a key: `name:`"
            self._refuse(f"`{key}` must be a mapping, and is {_kind(content)}", path, hint)

    def _read_vars(self, group: str, values: Tree, path: Path) -> None:
        self._draft.add_group_layer(group, self._layer(values, path))

    def _read_children(self, group: str, children: Tree, path: Path) -> None:
        for name, content in children.items():
            self.read_group(name, content, (*path, name))
            if isinstance(name, str) and name in self._draft.groups:
                self._draft.add_child(group, name, partial(self._locate, (*path, name)))

    def _read_hosts(self, group: str, hosts: Tree, path: Path) -> None:
        for pattern, values in hosts.items():
            if not isinstance(pattern, str):
                self._refuse(f"the host name {pattern!r} must be text", (*path, pattern), "put it in quotes")
            elif not values:
                self._read_host(group, pattern, {}, (*path, pattern))
            elif isinstance(values, Mapping):
                self._read_host(group, pattern, values, (*path, pattern))
            else:
                message = f"the variables of `{pattern}` must be a mapping, and are {_kind(values)}"
                self._refuse(message, (*path, pattern))

    def _read_host(self, group: str, pattern: str, values: Tree, path: Path) -> None:
        base, port = split_port(pattern)
        try:
            names = expand(base, self._draft.max_hosts)
        except ValueError as error:
            self._refuse(f"the host name `{pattern}` is not understood: {error}", path)
            return
        if not names:
            self._warn(f"`{pattern}` stands for no host: the range runs backwards", path)
        where = partial(self._locate, path)
        layer = self._layer(values, path)
        for name in names:
            self._draft.add_host(name, group, where, port)
            self._draft.add_host_layer(name, layer)

    def _layer(self, values: Tree, path: Path) -> Layer:
        return Layer(
            {str(name): value for name, value in values.items()}, lambda name: self._locate((*path, name))
        )

    def _refuse(self, message: str, path: Path, hint: str | None = None) -> None:
        self._draft.refuse(message, self._locate(path), hint)

    def _warn(self, message: str, path: Path) -> None:
        self._draft.warn(message, self._locate(path))


def _kind(value: object) -> str:
    names = {list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "a value")
