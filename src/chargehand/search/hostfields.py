"""The fields of a host: Foreman's names, mapped to an inventory's groups, variables and facts."""

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from chargehand.host import Host
from chargehand.search.fields import Field, FieldTable, Kind
from chargehand.search.values import find_nested, read_boolean, read_number

Read = Callable[[Host], object]

FREE_TEXT: Final = ("name", "groups", "os", "ansible_host", "comment")

_FACTS: Final[dict[str, tuple[Kind, str]]] = {
    "os": ("text", "distribution"),
    "os_major": ("number", "distribution_major_version"),
    "os_minor": ("number", "distribution_version"),
    "architecture": ("text", "architecture"),
    "model": ("text", "product_name"),
    "domain": ("text", "domain"),
    "mac": ("text", "default_ipv4.macaddress"),
    "has_ip": ("text", "all_ipv4_addresses"),
    "has_ip6": ("text", "all_ipv6_addresses"),
    "subnet": ("text", "default_ipv4.network"),
    "subnet.name": ("text", "default_ipv4.network"),
    "subnet6": ("text", "default_ipv6.network"),
    "subnet6.name": ("text", "default_ipv6.network"),
    "uuid": ("text", "product_uuid"),
    "reported.ram": ("number", "memtotal_mb"),
    "reported.cores": ("number", "processor_vcpus"),
    "reported.sockets": ("number", "processor_count"),
    "reported.kernel_version": ("text", "kernel"),
    "reported.bios_vendor": ("text", "bios_vendor"),
    "reported.bios_version": ("text", "bios_version"),
    "reported.bios_release_date": ("text", "bios_date"),
}
_VARIABLES: Final[dict[str, tuple[Kind, str]]] = {
    "ansible_host": ("text", "ansible_host"),
    "comment": ("text", "comment"),
    "realm": ("text", "realm"),
    "compute_resource": ("text", "compute_resource"),
    "image": ("text", "image"),
    "location": ("text", "location"),
    "organization": ("text", "organization"),
    "owner": ("text", "owner"),
    "user.login": ("text", "owner"),
    "owner_type": ("text", "owner_type"),
    "user.firstname": ("text", "user.firstname"),
    "user.lastname": ("text", "user.lastname"),
    "user.mail": ("text", "user.mail"),
    "usergroup": ("text", "usergroup"),
    "managed": ("boolean", "managed"),
    "build": ("boolean", "build"),
    "created_at": ("date", "created_at"),
    "installed_at": ("date", "installed_at"),
    "last_report": ("date", "last_report"),
}
_GROUP_NAMES: Final = (
    "hostgroup", "hostgroup_fullname", "hostgroup_name", "hostgroup_title", "parent_hostgroup",
    "group", "groups",
)  # fmt: skip
_NO_COUNTERPART: Final = (
    "hostgroup_id", "os_id", "compute_resource_id", "owner_id", "realm_id", "domain_id", "puppet_proxy_id",
    "puppetmaster", "puppet_ca", "smart_proxy", "pxe_loader", "origin", "environment", "class",
    "host_collection",
    "errata_status", "compliance_status", "location_id", "organization_id",
)  # fmt: skip
_LAST_RUN: Final = (
    "build_status", "global_status", "execution_status", "job_invocation.id", "job_invocation.result",
    "status.interesting", "status.applied", "status.restarted", "status.failed", "status.failed_restarts",
    "status.skipped", "status.pending",
)  # fmt: skip


@lru_cache(maxsize=1)
def host_fields(now: datetime) -> FieldTable[Host]:
    """Every field of a host.

    A field taken from a fact reads the variable of its own name when the fact is missing, so that
    ``os = Debian`` also works in an inventory without facts.

    Args:
        now: Boot times are told from uptimes that were gathered then, unless the facts say when.
    """
    fields: dict[str, Field[Host]] = {
        "name": Field("name", "text", lambda host: host.name),
        "id": Field("id", "integer", lambda host: host.id),
        "ip": Field("ip", "text", _address(4)),
        "ip6": Field("ip6", "text", _address(6)),
        "has_mac": Field("has_mac", "text", _mac_addresses),
        "os_title": Field("os_title", "text", _os_title),
        "os_description": Field("os_description", "text", _os_title),
        "params_name": Field("params_name", "text", lambda host: list(host.vars)),
        "reported.disks_total": Field("reported.disks_total", "number", _disks_total_bytes),
        "reported.virtual": Field("reported.virtual", "boolean", _is_virtual),
    }
    for name, (kind, key) in _FACTS.items():
        fields[name] = Field(name, kind, _fact_or_variable(key, name))
    for name, (kind, key) in _VARIABLES.items():
        fields[name] = Field(name, kind, _variable(key))
    for name in _GROUP_NAMES:
        fields[name] = Field(name, "text", lambda host: host.groups)
    for name in ("enabled", "status.enabled"):
        fields[name] = Field(name, "boolean", lambda host: not read_boolean(host.vars.get("disabled")))
    for name in ("boot_time", "reported.boot_time"):
        fields[name] = Field(name, "date", lambda host: _boot_time(host, now))
    return FieldTable(
        fields=fields,
        keyed={"facts": _fact, "params": _variable, "vars": _variable},
        free=FREE_TEXT,
        elsewhere={
            **dict.fromkeys(_NO_COUNTERPART, "an inventory has no such thing; a variable is `params.NAME`"),
            **dict.fromkeys(
                _LAST_RUN, "earlier runs are no part of the inventory; see `chargehand rerun --failed`"
            ),
        },
    )


def _variable(key: str) -> Read:
    if "." in key:
        return lambda host: find_nested(host.vars, key)
    return lambda host: host.vars.get(key)


def _fact(key: str) -> Read:
    return lambda host: find_nested(host.facts, key)


def _fact_or_variable(fact: str, variable: str) -> Read:
    def read(host: Host) -> object:
        found = find_nested(host.facts, fact)
        return host.vars.get(variable) if found is None else found

    return read


def _address(version: int) -> Read:
    """The address facts tell, else ``ansible_host`` when that is an address of this version."""

    def read(host: Host) -> object:
        found = find_nested(host.facts, f"default_ipv{version}.address")
        if found is not None:
            return found
        try:
            dialled = str(host.vars.get("ansible_host"))
            return dialled if ipaddress.ip_address(dialled).version == version else None
        except ValueError:
            return None

    return read


def _os_title(host: Host) -> object:
    parts = [host.facts.get(name) for name in ("distribution", "distribution_version")]
    return " ".join(str(part) for part in parts if part is not None) or None


def _mac_addresses(host: Host) -> object:
    """Of every interface; facts name them with ``_`` for ``-``."""
    interfaces = host.facts.get("interfaces")
    if not isinstance(interfaces, list):
        return find_nested(host.facts, "default_ipv4.macaddress")
    keys = [f"{str(interface).replace('-', '_')}.macaddress" for interface in interfaces]
    return [found for key in keys if (found := find_nested(host.facts, key)) is not None]


def _disks_total_bytes(host: Host) -> object:
    devices = host.facts.get("devices")
    if not isinstance(devices, dict):
        return None
    sizes = [
        (read_number(find_nested(disk, "sectors")), read_number(find_nested(disk, "sectorsize")))
        for disk in devices.values()
    ]
    known = [sectors * size for sectors, size in sizes if sectors is not None and size is not None]
    return sum(known) if known else None


def _is_virtual(host: Host) -> object:
    role = host.facts.get("virtualization_role")
    return None if role is None else role == "guest"


def _boot_time(host: Host, now: datetime) -> object:
    uptime_s = read_number(host.facts.get("uptime_seconds"))
    if uptime_s is None:
        return None
    gathered_s = read_number(find_nested(host.facts, "date_time.epoch"))
    try:
        gathered_at = now if gathered_s is None else datetime.fromtimestamp(int(gathered_s), UTC)
        return gathered_at - timedelta(seconds=int(uptime_s))
    except (ValueError, OverflowError, OSError):
        return None
