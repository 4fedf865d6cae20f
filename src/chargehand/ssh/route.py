"""Route: how one host is reached, settings and ssh_config together, every question answered."""

import dataclasses
import os
import pwd
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from chargehand.connection import ConnectionSettings, HostKeyPolicy, JumpHost, title
from chargehand.frozen import frozen
from chargehand.provider import Unreachable
from chargehand.ssh.config import Question, SshConfig

DEFAULT_IDENTITIES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
HOPS = 8
_DEFAULTS = ConnectionSettings(address="")
# Nothing that a command line or a proxy command could take for something else.
_NAME = re.compile(r"""(?!-)[^\s\x00-\x20\x7f'"`$\\;&<>|(){}\[\]*?!#/@]+""")
_USER = re.compile(r"""(?!-)[^\s\x00-\x20\x7f'"`$;&<>|(){}]+""")
_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<address>[^:\[\]]+))(?::(?P<port>\d+))?"
)


@frozen
class Route:
    """How one host is reached.

    Attributes:
        settings: As given.
        address: What is dialled.
        port: TCP port.
        user: Login name.
        key_name: The name under which the host's key is known when it is not its address.
        jump: Hops before it, the nearest to us first.
        proxy_command: With its tokens replaced.
        identity_files: Private keys to try when no key was given; those that do not exist included.
        identities_only: Whether the agent's other keys stay out of it.
        known_hosts: Files with host keys.
        connect_timeout_s: For the TCP connection.
        policy: What happens to an unknown host key.
        policy_wanted: What ssh_config says of it, when that is looser than `policy`.
    """

    settings: ConnectionSettings
    address: str
    port: int
    user: str
    key_name: str | None
    jump: tuple[JumpHost, ...]
    proxy_command: str | None
    identity_files: tuple[Path, ...]
    identities_only: bool
    known_hosts: tuple[Path, ...]
    connect_timeout_s: float
    policy: HostKeyPolicy
    policy_wanted: str

    @property
    def title(self) -> str:
        """The host, for people."""
        return title(self.address, self.port)


def find(settings: ConnectionSettings, config: SshConfig) -> Route:
    """Settings first, then ssh_config, then OpenSSH's defaults.

    Raises:
        Unreachable: An address or user that no command line would survive, or an ssh_config that is refused.
    """
    _check(settings.address, settings.user)
    question = Question(settings.ssh_config_file, settings.address, settings.user, settings.port)
    said = config.ask(question)
    address = _one(said, "hostname") or settings.address
    user = settings.user or _one(said, "user") or _own_name(settings.address)
    port = settings.port or int(_one(said, "port") or 22)
    _check(address, user)
    jump, command = _way(settings, said)
    timeout = _one(said, "connecttimeout")
    own_timeout = settings.connect_timeout_s != _DEFAULTS.connect_timeout_s
    policy, wanted = _policy(settings.host_key_policy, _one(said, "stricthostkeychecking"))
    return Route(
        settings=settings,
        address=address,
        port=port,
        user=user,
        key_name=_one(said, "hostkeyalias"),
        jump=_whole(jump, settings, config),
        proxy_command=_expanded(command, settings.address, address, port, user),
        identity_files=_paths(said.get("identityfile") or DEFAULT_IDENTITIES),
        identities_only=_one(said, "identitiesonly") == "yes",
        known_hosts=_known_hosts(settings, said),
        connect_timeout_s=float(timeout) if timeout and not own_timeout else settings.connect_timeout_s,
        policy=policy,
        policy_wanted=wanted,
    )


def hop_settings(settings: ConnectionSettings, chain: tuple[JumpHost, ...]) -> ConnectionSettings:
    """How the last hop of a chain is reached: as the host behind it, but never with the host's password."""
    hop = chain[-1]
    return dataclasses.replace(
        settings,
        address=hop.address,
        port=hop.port,
        user=hop.user,
        password=None,
        proxy_jump=chain[:-1] or None,  # the chain is whole: ssh_config can only add a proxy command
        proxy_command=None,
    )


def _own_name(address: str) -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        words = f"{address}: no login name is given, and the user who runs this has none"
        raise Unreachable("user", words) from None


def _check(address: str, user: str | None) -> None:
    if not _NAME.fullmatch(address):
        raise Unreachable("address", f"not an address that can be dialled: {address[:100]!r}")
    if user is not None and not _USER.fullmatch(user):
        raise Unreachable("user", f"{address}: not a login name: {user[:100]!r}")


def _one(said: Mapping[str, tuple[str, ...]], name: str) -> str | None:
    """The one value of a setting; None when nobody wrote it, or wrote ``none``."""
    value = said.get(name, ("none",))[0]
    return None if value == "none" else value


def _way(
    settings: ConnectionSettings, said: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[JumpHost, ...], str | None]:
    """Hops or a proxy command: what the settings say, or else what ssh_config says."""
    if settings.proxy_jump:
        return settings.proxy_jump, None
    if settings.proxy_command is not None:
        return (), None if settings.proxy_command == "none" else settings.proxy_command
    if settings.proxy_jump is not None:
        return (), None
    hops = _one(said, "proxyjump")
    if hops:
        return _hops(hops), None
    return (), _one(said, "proxycommand")


def _whole(
    chain: tuple[JumpHost, ...], settings: ConnectionSettings, config: SshConfig
) -> tuple[JumpHost, ...]:
    """The chain with the hops before its first one that ssh_config knows of."""
    while chain:
        first = chain[0]
        said = config.ask(Question(settings.ssh_config_file, first.address, first.user, first.port))
        written = _one(said, "proxyjump")
        if not written:
            break
        chain = _hops(written) + chain
        if len(chain) > HOPS:
            raise Unreachable(
                "jump-loop", f"{settings.address}: more than {HOPS} jump hosts: ssh_config loops"
            )
    return chain


def _hops(written: str) -> tuple[JumpHost, ...]:
    return tuple(_hop(text.strip()) for text in written.split(","))


def _hop(text: str) -> JumpHost:
    found = _HOP.fullmatch(text)
    if not found:
        raise Unreachable("ssh-config", f"ProxyJump of ssh_config is not understood: {text[:100]!r}")
    port = int(found["port"]) if found["port"] else None
    return JumpHost(address=found["v6"] or found["address"], port=port, user=found["user"])


def _policy(ours: HostKeyPolicy, theirs: str | None) -> tuple[HostKeyPolicy, str]:
    """ssh_config can make us stricter, never looser: then it is told what it wants and does not get."""
    if theirs in ("yes", "true") and ours == "accept-new":
        return "strict", ""
    loose = theirs in ("no", "off", "false", "accept-new")
    return ours, f"StrictHostKeyChecking {theirs}" if loose and ours == "strict" else ""


def _known_hosts(settings: ConnectionSettings, said: Mapping[str, tuple[str, ...]]) -> tuple[Path, ...]:
    if settings.known_hosts_files != _DEFAULTS.known_hosts_files:
        return _paths(settings.known_hosts_files)
    written = [_one(said, name) for name in ("userknownhostsfile", "globalknownhostsfile")]
    names = [name for value in written if value for name in value.split()]
    return _paths(tuple(names) or settings.known_hosts_files)


def _expanded(command: str | None, name: str, address: str, port: int, user: str) -> str | None:
    if command is None:
        return None
    tokens = {"%%": "%", "%h": address, "%n": name, "%p": str(port), "%r": user}
    return re.sub("%[%hnpr]", lambda found: tokens[found[0]], command)


@lru_cache(maxsize=64)
def _paths(names: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(Path(name).expanduser() for name in names)
