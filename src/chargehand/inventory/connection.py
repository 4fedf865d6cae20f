"""How a host is reached, and who its script runs as, by its variables."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, get_args

from chargehand.connection import BecomeMethod, ConnectionSettings, HostKeyPolicy
from chargehand.errors import InventoryError, Place, Problem
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.inventory.address import address_fault
from chargehand.inventory.hostvalues import (
    HostValues,
    read_address,
    read_flag,
    read_path,
    read_port,
    read_seconds,
    read_secret,
    read_text,
    read_user,
    read_words,
)
from chargehand.inventory.ssh_options import SshOption, jump_of_command, read_jump, read_options, read_policy
from chargehand.secret import Secret

T = TypeVar("T")

_CONNECTION = ("ansible_connection",)
ADDRESS = ("ansible_host", "ansible_ssh_host")
_PORT = ("ansible_port", "ansible_ssh_port", "remote_execution_ssh_port")
_USER = ("ansible_user", "ansible_ssh_user", "remote_execution_ssh_user")
_PASSWORD = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "remote_execution_ssh_password")
_KEY_FILE = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_KEY = ("ansible_private_key", "ansible_ssh_private_key")
_KEY_PASSPHRASE = (
    "ansible_private_key_passphrase",
    "ansible_ssh_private_key_passphrase",
    "remote_execution_ssh_key_passphrase",
)
_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
_TIMEOUT = ("ansible_timeout", "ansible_ssh_timeout")
_WORK_FOLDER = ("ansible_remote_tmp", "remote_execution_remote_working_dir")
_BECOME = ("ansible_become",)
_BECOME_METHOD = ("ansible_become_method", "remote_execution_effective_user_method")

_PROVIDERS = {
    **dict.fromkeys(("ssh", "smart", "paramiko", "paramiko_ssh", "libssh"), "ssh"),
    "local": "local",
}
_METHODS: dict[str, BecomeMethod] = {method: method for method in get_args(BecomeMethod)}

# OpenSSH obeys the first of several values. Ansible gives it this string, the single variables, the rest.
_FIRST_OPTIONS = ("ansible_ssh_args",)
_LATER_OPTIONS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")


@frozen
class HostBecome:
    """What a host's variables say about the effective user; None where they say nothing.

    Attributes:
        enabled: Whether the user is to be switched at all.
        user: The effective user.
        method: The program that switches.
        password: For that program.
        executable: The program's path.
        flags: Extra arguments for it.
    """

    enabled: bool | None = None
    user: str | None = None
    method: BecomeMethod | None = None
    password: Secret | None = None
    executable: str | None = None
    flags: tuple[str, ...] | None = None


@frozen
class HostConnection:
    """How a host is reached and who its script runs as, as far as its variables say.

    Attributes:
        settings: The defaults with the host's variables over them.
        become: The host's word on the effective user.
        warnings: Variables that are obeyed in part, or that weaken a check.
    """

    settings: ConnectionSettings
    become: HostBecome
    warnings: tuple[Problem, ...] = ()


def connection_settings(
    host: Host,
    defaults: ConnectionSettings,
    *,
    allow_proxy_command: bool = False,
    locate: Callable[[str], Place | None] = lambda _: None,
) -> HostConnection:
    """How `host` is reached by Ansible's connection variables and those of Foreman Remote Execution.

    Args:
        host: Its variables win over `defaults`, and Foreman's names over Ansible's.
        defaults: For what no variable says; its address is not used.
        allow_proxy_command: Whether ProxyCommand, which runs a program here, may come from an inventory.
        locate: Place of a variable, for messages; `Inventory.place` knows it.

    Raises:
        InventoryError: With every variable of the host that cannot be obeyed.

    Source:
        ansible-core 2.19: variables of its ssh, sudo and su plugins; the last alias that is set wins.
    """
    values = HostValues(host, locate)
    options = _Options(values)
    settings = _read_settings(host.name, defaults, values, options)
    settings = _read_proxy(settings, values, options, allow_proxy_command)
    become = _read_become(values)
    if settings.host_key_policy == "off" != defaults.host_key_policy:
        name = options.name_of("stricthostkeychecking") or _CHECKING[0]
        values.warn(name, "turns the check of host keys off")
    if any(problem.severity == "error" for problem in values.problems):
        raise InventoryError(values.problems)
    return HostConnection(settings=settings, become=become, warnings=tuple(values.problems))


class _Options:
    """The OpenSSH options among a host's variables; those without a meaning here are warned of."""

    def __init__(self, values: HostValues) -> None:
        self._values = values
        self._first = self._collect(_FIRST_OPTIONS)
        self._later = self._collect(_LATER_OPTIONS)

    def pick(self, option: str, said: T | None, convert: Callable[[str], T]) -> T | None:
        """What counts for one setting, `said` being the value of its own variable."""
        if option in self._first:
            return self._convert(option, *self._first[option], convert)
        if said is None and option in self._later:
            return self._convert(option, *self._later[option], convert)
        return said

    def name_of(self, option: str) -> str | None:
        """The variable that holds an option."""
        name, _ = self._first.get(option) or self._later.get(option) or (None, "")
        return name

    def _collect(self, names: Sequence[str]) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for name in names:
            for option in self._values.read((name,), _read_options) or ():
                if option.is_used:
                    found.setdefault(option.name, (name, option.value))
                elif not option.is_harmless:
                    self._values.warn(name, f"holds the option `{option.name}`, which has no effect here")
        return found

    def _convert(self, option: str, name: str, value: str, convert: Callable[[str], T]) -> T | None:
        try:
            return convert(value)
        except ValueError as error:
            self._values.refuse(name, f"sets {option}, which {error}")
            return None


def _read_settings(
    name: str, defaults: ConnectionSettings, values: HostValues, options: _Options
) -> ConnectionSettings:
    read, pick, other = values.read, options.pick, defaults
    user = pick("user", read(_USER, read_user), read_user)
    key_file = pick("identityfile", read(_KEY_FILE, read_path), read_path)
    policy: HostKeyPolicy | None = pick("stricthostkeychecking", _read_checking(values), read_policy)
    known_hosts = pick("userknownhostsfile", None, _read_paths)
    timeout = pick("connecttimeout", read(_TIMEOUT, read_seconds), read_seconds)
    return replace(
        defaults,
        provider="local" if read(_CONNECTION, _read_provider) == "local" else other.provider,
        address=read(ADDRESS, read_address) or _name_as_address(name, values),
        port=pick("port", read(_PORT, read_port), read_port) or other.port,
        user=user or other.user,
        password=read(_PASSWORD, read_secret) or other.password,
        private_key_file=key_file or other.private_key_file,
        private_key=read(_KEY, read_secret) or other.private_key,
        key_passphrase=read(_KEY_PASSPHRASE, read_secret) or other.key_passphrase,
        host_key_policy=policy or other.host_key_policy,
        known_hosts_files=known_hosts or other.known_hosts_files,
        ssh_config_file=pick("configfile", None, read_path) or other.ssh_config_file,
        connect_timeout_s=timeout or other.connect_timeout_s,
        keepalive_s=pick("serveraliveinterval", None, read_seconds) or other.keepalive_s,
        work_folders=_read_work_folders(values) or other.work_folders,
    )


def _read_proxy(
    settings: ConnectionSettings, values: HostValues, options: _Options, allow_command: bool
) -> ConnectionSettings:
    """ProxyCommand and ProxyJump exclude each other; a command that only forwards is a jump."""
    jump = options.pick("proxyjump", None, read_jump)
    if jump is not None:
        return replace(settings, proxy_jump=jump, proxy_command=None)
    command = options.pick("proxycommand", None, str)
    if command is None:
        return settings
    jump = options.pick("proxycommand", None, jump_of_command)
    if jump is not None:
        return replace(settings, proxy_jump=jump, proxy_command=None)
    if not allow_command:
        fault = "sets a ProxyCommand, which would run a program on this machine"
        hint = "write -o ProxyJump=host, or allow it in the settings"
        values.refuse(options.name_of("proxycommand") or _LATER_OPTIONS[0], fault, hint)
    return replace(settings, proxy_jump=None, proxy_command=command)


def _read_become(values: HostValues) -> HostBecome:
    method = values.read(_BECOME_METHOD, _read_method)
    kind = method or "sudo"
    user = ("ansible_become_user", f"ansible_{kind}_user", "remote_execution_effective_user")
    password = (
        "ansible_become_password",
        "ansible_become_pass",
        f"ansible_{kind}_pass",
        "remote_execution_effective_user_password",
    )
    return HostBecome(
        enabled=values.read(_BECOME, read_flag),
        user=values.read(user, read_user),
        method=method,
        password=values.read(password, read_secret),
        executable=values.read(("ansible_become_exe", f"ansible_{kind}_exe"), read_text),
        flags=values.read(("ansible_become_flags", f"ansible_{kind}_flags"), read_words),
    )


def _read_provider(value: object) -> str:
    """The provider of Ansible's connection plugin, its collection left aside."""
    plugin = read_text(value)
    provider = _PROVIDERS.get(plugin.rpartition(".")[2])
    if provider is None:
        raise ValueError(f"is `{plugin}`, and only ssh and local connections are supported")
    return provider


def _read_method(value: object) -> BecomeMethod:
    method = read_text(value)
    found = _METHODS.get(method.rpartition(".")[2])
    if found is None:
        raise ValueError(f"is `{method}`, and must be one of {', '.join(_METHODS)}")
    return found


def _read_options(value: object) -> list[SshOption]:
    return list(read_options(read_words(value)))


def _read_checking(values: HostValues) -> HostKeyPolicy | None:
    """Only "no" says something: a check that is on leaves the policy to the settings."""
    return "off" if values.read(_CHECKING, read_flag) is False else None


def _read_work_folders(values: HostValues) -> tuple[str, ...]:
    folders = (values.read((name,), read_text) for name in reversed(_WORK_FOLDER))
    return tuple(folder for folder in folders if folder)


def _read_paths(value: str) -> tuple[str, ...]:
    return tuple(read_path(word) for word in read_words(value))


def _name_as_address(name: str, values: HostValues) -> str:
    fault = address_fault(name)
    if fault:
        values.refuse(ADDRESS[0], f"is not set, and the name {fault.message}", "give it an ansible_host")
    return name
