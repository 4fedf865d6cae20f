"""OpenSSH options as Ansible's variables hold them in one string, and what they mean here."""

import shlex
from collections.abc import Iterator, Sequence

from chargehand.connection import HostKeyPolicy, JumpHost
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.inventory.address import address_fault, port_fault, user_fault

_WITH_ARGUMENT = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
_LETTERS = {"F": "configfile", "J": "proxyjump", "i": "identityfile", "l": "user", "p": "port"}
_USED = frozenset(
    {
        *("configfile", "connecttimeout", "identityfile", "port", "proxycommand", "proxyjump"),
        *("serveraliveinterval", "stricthostkeychecking", "user", "userknownhostsfile"),
    }
)
_WITHOUT_EFFECT = frozenset(
    {
        *("compression", "controlmaster", "controlpath", "controlpersist", "loglevel"),
        *("serveralivecountmax", "-4", "-C", "-T", "-q", "-v", "-vv", "-vvv"),
    }
)
_POLICIES: dict[str, HostKeyPolicy] = {
    **dict.fromkeys(("yes", "true", "ask"), "strict"),
    **dict.fromkeys(("no", "false", "off"), "off"),
    "accept-new": "accept-new",
}
_JUMP = expression(r"(?:ssh://)?(?:([^@]+)@)?(\[[^\]]+\]|[^:\[\]]+)(?::([0-9]+))?/?")


@frozen(kw_only=False)
class SshOption:
    """One option: its name in ssh_config, in small letters, or the flag itself, and its value."""

    name: str
    value: str = ""

    @property
    def is_used(self) -> bool:
        """Whether it has a meaning here."""
        return self.name in _USED

    @property
    def is_harmless(self) -> bool:
        """Whether leaving it out changes nothing that matters to a job."""
        return self.name in _WITHOUT_EFFECT


def read_options(words: Sequence[str]) -> Iterator[SshOption]:
    """The options of a command line such as ``-o ProxyJump=bastion -i ~/.ssh/key -C``.

    Raises:
        ValueError: An option lacks its value, or a word is no option.
    """
    left = iter(words)
    for word in left:
        if not word.startswith("-") or len(word) < 2:
            raise ValueError("holds a word that is no option")
        letter, value = word[1], word[2:]
        if letter not in _WITH_ARGUMENT:
            yield SshOption(word)
            continue
        if not value:
            value = next(left, "")
        if not value:
            raise ValueError(f"holds the option -{letter} without its value")
        yield _read_setting(value) if letter == "o" else SshOption(_LETTERS.get(letter, f"-{letter}"), value)


def read_policy(value: str) -> HostKeyPolicy:
    """The policy that a value of StrictHostKeyChecking asks for.

    Raises:
        ValueError: It asks for none.
    """
    if value.casefold() not in _POLICIES:
        raise ValueError("is neither yes, no nor accept-new")
    return _POLICIES[value.casefold()]


def read_jump(value: str) -> tuple[JumpHost, ...]:
    """The hops of ``user@first:2222,second``; ``none`` means no hop.

    Raises:
        ValueError: A hop is not understood or dangerous.
    """
    if value.casefold() == "none":
        return ()
    return tuple(_read_hop(hop.strip()) for hop in value.split(","))


def jump_of_command(command: str) -> tuple[JumpHost, ...] | None:
    """The hop of ``ssh -W %h:%p -q user@bastion``, the old way to write ProxyJump; None for others.

    ``none`` means no hop.

    Raises:
        ValueError: The hop is dangerous.
    """
    if command.casefold() == "none":
        return ()
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if len(words) < 2 or words[0] not in ("ssh", "/usr/bin/ssh"):
        return None
    rest = words[1:]
    rest = rest if rest[0].startswith("-") else [*rest[1:], rest[0]]  # ssh takes options on both sides
    try:
        options = {option.name: option.value for option in read_options(rest[:-1])}
    except ValueError:
        return None
    port, user = options.pop("port", None), options.pop("user", None)
    if options.pop("-W", "").strip("[]") not in ("%h:%p", "%h]:%p") or set(options) - {"-q", "-T"}:
        return None
    hop = _read_hop(rest[-1])
    return (_check_hop(hop.address, port or hop.port, user or hop.user),)


def _read_setting(text: str) -> SshOption:
    name, _, value = text.replace("=", " ", 1).strip().partition(" ")
    return SshOption(name.casefold(), value.strip())


def _read_hop(text: str) -> JumpHost:
    match = _JUMP.fullmatch(text)
    if not match:
        raise ValueError("names a jump host that is not [user@]host[:port]")
    user, address, port = match.groups()
    return _check_hop(address.strip("[]"), port, user)


def _check_hop(address: str, port: object, user: str | None) -> JumpHost:
    faults = [
        address_fault(address),
        port_fault(port) if port is not None else None,
        user_fault(user) if user is not None else None,
    ]
    for fault in filter(None, faults):
        raise ValueError(f"names a jump host that {fault.message}")
    return JumpHost(address=address, port=None if port is None else int(str(port)), user=user)
