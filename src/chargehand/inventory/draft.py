"""Draft: an inventory while its sources are read, one after another, into one set of groups and hosts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chargehand.errors import Place, Problem, Severity
from chargehand.frozen import frozen
from chargehand.inventory.address import name_fault

EVERYBODY = "all"
UNGROUPED = "ungrouped"
GROUP_PRIORITY = "ansible_group_priority"

# Places are asked for only when a problem is told: finding one may cost a pass over the file.
Where = Callable[[], Place]


@frozen(kw_only=False)
class Layer:
    """Variables that were written together, for one group or one host.

    Attributes:
        values: Name to value.
        where: Place of the variable of that name.
    """

    values: Mapping[str, object]
    where: Callable[[str], Place]


@dataclass(slots=True)
class DraftGroup:
    """A group as the sources read so far describe it.

    Attributes:
        hosts: Direct members, in the order in which they were added.
        children: Direct child groups, and where each was made one.
        layers: Variables, lowest precedence first.
        priority: Among groups of the same depth, the higher wins.
    """

    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, Where] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    priority: int = 1


class Draft:
    """What the sources read so far say; readers add to it and never look at each other.

    Attributes:
        groups: In the order in which they were first named; `all` and `ungrouped` always exist.
        hosts: Every host with its own variables, lowest precedence first.
        problems: Whatever was found wrong, warnings included.
    """

    def __init__(self, max_hosts: int) -> None:
        self.groups = {EVERYBODY: DraftGroup(), UNGROUPED: DraftGroup()}
        self.hosts: dict[str, list[Layer]] = {}
        self.problems: list[Problem] = []
        self.max_hosts = max_hosts
        self._is_full = False
        self.groups[EVERYBODY].children[UNGROUPED] = nowhere

    def add_group(self, name: str) -> DraftGroup:
        """The group of that name, made when it is new."""
        return self.groups.setdefault(name, DraftGroup())

    def add_child(self, parent: str, child: str, where: Where) -> None:
        """Make one group the child of another; cycles are found when all sources are read."""
        if parent == child:
            self.refuse(f"group `{parent}` cannot be its own child", where())
            return
        self.add_group(child)
        self.add_group(parent).children.setdefault(child, where)

    def add_host(self, name: str, group: str, where: Where, port: int | None = None) -> None:
        """Put a host, new or known, into a group; a port behind a name counts where that is first written."""
        if name not in self.hosts:
            fault = name_fault(name)
            if fault:
                self.refuse(f"host name {name!r} {fault.message}", where(), fault.hint)
                return
            if len(self.hosts) == self.max_hosts:
                self._refuse_more(where)
                return
            self.hosts[name] = [] if port is None else [Layer({"ansible_port": port}, lambda _: where())]
        elif port is not None and all(layer.values.get("ansible_port") != port for layer in self.hosts[name]):
            self.warn(f"port {port} behind `{name}` has no effect: the host is already known", where())
        self.groups[group].hosts.setdefault(name)

    def add_host_layer(self, name: str, layer: Layer) -> None:
        """Give a host variables that override its earlier ones."""
        if layer.values and name in self.hosts:
            self.hosts[name].append(layer)

    def add_group_layer(self, name: str, layer: Layer) -> None:
        """Give a group variables that override its earlier ones; the priority is no variable."""
        if GROUP_PRIORITY in layer.values:
            self._take_priority(name, layer)
            rest = {key: value for key, value in layer.values.items() if key != GROUP_PRIORITY}
            layer = Layer(rest, layer.where)
        if layer.values:
            self.groups[name].layers.append(layer)

    def refuse(self, message: str, place: Place | None, hint: str | None = None) -> None:
        """Note an error."""
        self._note(message, place, hint, "error")

    def warn(self, message: str, place: Place | None, hint: str | None = None) -> None:
        """Note a warning."""
        self._note(message, place, hint, "warning")

    def _note(self, message: str, place: Place | None, hint: str | None, severity: Severity) -> None:
        self.problems.append(Problem(message, place, hint, "inventory", severity))

    def _refuse_more(self, where: Where) -> None:
        if not self._is_full:
            self.refuse(f"more than {self.max_hosts} hosts: the limit for one inventory", where())
        self._is_full = True

    def _take_priority(self, name: str, layer: Layer) -> None:
        value = layer.values[GROUP_PRIORITY]
        try:
            self.groups[name].priority = int(str(value))
        except ValueError:
            self.refuse(
                f"{GROUP_PRIORITY} of group `{name}` must be a whole number", layer.where(GROUP_PRIORITY)
            )


def nowhere() -> Place:
    """The place of what no file says, because it always holds."""
    return Place("<inventory>")
