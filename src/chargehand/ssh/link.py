"""Link: one authenticated SSH connection, made by Fabric over a Wire of ours."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import fabric
import paramiko

from chargehand.ssh.failure import Handshake, shown
from chargehand.ssh.login import Login
from chargehand.ssh.route import Route
from chargehand.ssh.transport import SshTransport
from chargehand.ssh.trust import Trust
from chargehand.ssh.wire import Wire

log = logging.getLogger(__name__)

FAREWELL_S = 5.0


@dataclass(frozen=True, slots=True)
class Link:
    """One authenticated connection.

    Attributes:
        title: The host, for people.
        connection: Fabric's; its transport is `transport`.
        transport: The protocol.
        wire: The bytes below it.
        below: What is let go of when it is closed: the connection itself, and what it goes through.
    """

    title: str
    connection: fabric.Connection
    transport: SshTransport
    wire: Wire
    below: ExitStack = field(default_factory=ExitStack)

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self.transport.is_active()

    def ending(self, error: Exception | None) -> str:
        """How the connection ended, in words."""
        if self.transport.farewell:
            return f"the host ended the connection: {shown(self.transport.farewell)}"
        words = {"eof": "the host closed the connection", "reset": "the connection was reset"}
        why = self.wire.trouble or error or "it was closed"
        return words.get(self.wire.ended) or f"the connection broke: {why}"

    def hang_up(self) -> None:
        """End the connection. Never raises."""
        _hang_up(self.transport, self.wire)

    def close(self) -> None:
        """End the connection and give everything back. Never raises."""
        self.below.close()


def shake_hands(route: Route, wire: Wire, trust: Trust, login: Login) -> Link:
    """Exchange keys, check the host's, log in: in this order.

    Raises:
        Unreachable: One of them failed.
        Throttled: The host hung up before the first of them.
    """
    made: list[SshTransport] = []

    def transport_factory(sock: Wire, **_: object) -> SshTransport:
        """The one place where the kind of transport is chosen."""
        made.append(SshTransport(sock, title=route.title, host_key_algorithms=trust.algorithms))
        return made[-1]

    timeout_s = route.settings.banner_timeout_s
    connect: Mapping[str, object] = {
        "sock": wire,
        "transport_factory": transport_factory,
        "timeout": timeout_s,
        "banner_timeout": timeout_s,
        "auth_timeout": route.settings.auth_timeout_s,
        "channel_timeout": route.settings.channel_timeout_s,
        "auth_strategy": login,
    }
    try:
        connection = fabric.Connection(
            host=route.address,
            user=route.user,
            port=route.port,
            config=_config(),
            gateway=False,
            connect_kwargs=connect,
        )
        connection.client.set_missing_host_key_policy(trust)
        connection.open()
    except Exception as error:
        transport = made[0] if made else None
        failure = Handshake(route.title, wire, transport, timeout_s).failure(error)
        log.debug("%s: no session", route.title, exc_info=error)
        _hang_up(transport, wire)
        raise failure from None
    return Link(route.title, connection, made[0], wire)


def _config() -> fabric.Config:
    """A configuration that reads no file and no environment: everything is said in the call.

    One for each connection: Fabric's Connection writes to it, and threads that share one break each other.
    """
    return fabric.Config(ssh_config=_NoSshConfig(), overrides={"load_ssh_configs": False}, lazy=True)


class _NoSshConfig(paramiko.SSHConfig):
    """What ssh_config says is in the route already."""

    def lookup(self, hostname: str) -> paramiko.SSHConfigDict:
        return paramiko.SSHConfigDict(hostname=hostname)


def _hang_up(transport: SshTransport | None, wire: Wire) -> None:
    """Close, wait for paramiko's thread to let go of the descriptor, and give it back."""
    if transport is not None:
        transport.close()
    wire.close()
    if transport is not None and transport.ident is not None:
        transport.join(FAREWELL_S)
    wire.release()
