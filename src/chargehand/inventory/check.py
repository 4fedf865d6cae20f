"""What is dangerous or hardly meant in an inventory as a whole."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from chargehand.errors import Place, Problem
from chargehand.host import Host
from chargehand.inventory.address import Fault, address_fault, port_fault, user_fault

Locate = Callable[[str, str], Place | None]

_ADDRESSES = ("ansible_host", "ansible_ssh_host")
_PORTS = ("ansible_port", "ansible_ssh_port", "remote_execution_ssh_port")
_USERS = (
    "ansible_user",
    "ansible_ssh_user",
    "remote_execution_ssh_user",
    "ansible_become_user",
    "remote_execution_effective_user",
)
_FAULTS: Mapping[str, Callable[[str], Fault | None]] = {
    **dict.fromkeys(_ADDRESSES, address_fault),
    **dict.fromkeys(_PORTS, port_fault),
    **dict.fromkeys(_USERS, user_fault),
}


def check_hosts(
    hosts: Sequence[Host], groups: Iterable[str], declared_ids: Mapping[str, str], locate: Locate
) -> Iterator[Problem]:
    """Problems of the finished inventory; `declared_ids` is host to the variable its id comes from."""
    yield from _check_values(hosts, locate)
    yield from _check_ids(hosts, declared_ids, locate)
    yield from _check_doubles(hosts, locate)
    for name in sorted({host.name for host in hosts}.intersection(groups)):
        yield Problem(f"`{name}` is both a host and a group", None, None, "inventory", "warning")


def _check_values(hosts: Iterable[Host], locate: Locate) -> Iterator[Problem]:
    """Values that a program would read as an option or as shell code."""
    for host in hosts:
        for name in _FAULTS.keys() & host.vars:
            value = host.vars[name]
            if not isinstance(value, (str, int)) or "{{" in str(value):
                continue
            fault = _FAULTS[name](str(value))
            if fault:
                message = f"{name} of `{host.name}` {fault.message}"
                yield Problem(message, locate(host.name, name), fault.hint, "address")


def _check_ids(hosts: Iterable[Host], declared_ids: Mapping[str, str], locate: Locate) -> Iterator[Problem]:
    first: dict[int, str] = {}
    for host in hosts:
        other = first.setdefault(host.id, host.name)
        if other != host.name:
            declared = next((name for name in (host.name, other) if name in declared_ids), host.name)
            place = locate(declared, declared_ids.get(declared, "id"))
            hint = "give each its own `id`, or none of them"
            yield Problem(f"hosts `{other}` and `{host.name}` have the same id {host.id}", place, hint, "id")


def _check_doubles(hosts: Iterable[Host], locate: Locate) -> Iterator[Problem]:
    """Several names for one machine would run a script there several times at once."""
    machines: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        if host.vars.get("ansible_connection", "ssh") == "local":
            continue
        address, port = str(_last(host, _ADDRESSES, host.name)), str(_last(host, _PORTS, 22))
        if "{{" not in address + port:
            machines.setdefault((address.casefold(), port), []).append(host.name)
    for (address, port), names in machines.items():
        if len(names) > 1:
            more = ", …" if len(names) > 5 else ""
            message = (
                f"{len(names)} hosts are one machine, {address} port {port}: {', '.join(names[:5])}{more}"
            )
            yield Problem(message, locate(names[1], _ADDRESSES[0]), None, "inventory", "warning")


def _last(host: Host, names: Sequence[str], otherwise: object) -> object:
    for name in reversed(names):
        if (value := host.vars.get(name)) not in (None, ""):
            return value
    return otherwise
