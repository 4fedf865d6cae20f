"""Link: one authenticated SSH connection, made by Fabric over a Wire of ours."""

import logging
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import fabric
import paramiko

from chargehand.frozen import frozen
from chargehand.ssh.base import Transport
from chargehand.ssh.failure import Handshake, shown
from chargehand.ssh.foresight import Foresight
from chargehand.ssh.login import Login
from chargehand.ssh.route import Route
from chargehand.ssh.trust import Trust
from chargehand.ssh.wire import Wire
from chargehand.start.conduct import Prepared

log = logging.getLogger(__name__)

FAREWELL_S = 5.0


@frozen(kw_only=False)
class Link:
    """One authenticated connection.

    Attributes:
        title: The host, for people.
        connection: Fabric's; its transport is `transport`.
        transport: The protocol.
        wire: The bytes below it.
        prepared: The start whose request may have gone out with the login.
        below: Lets go of what it goes through.
    """

    title: str
    connection: fabric.Connection
    transport: Transport
    wire: Wire
    prepared: Prepared | None = None
    below: Callable[[], None] | None = None

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
        self.hang_up()
        if self.below is not None:
            self.below()


def shake_hands(
    route: Route,
    wire: Wire,
    trust: Trust,
    login: Login,
    *,
    prepared: Prepared | None,
    foresight: Foresight,
    kind: Callable[..., Transport],
) -> Link:
    """Exchange keys, check the host's, log in: in this order.

    Args:
        route: The way.
        wire: The bytes below.
        trust: Says whether the host's key is the right one.
        login: Who we are.
        prepared: What will be started first.
        foresight: What the host may get ahead of its answers.
        kind: Makes the transport.

    Raises:
        Unreachable: One of them failed.
        Unforeseen: It may do when it gets nothing ahead.
        Throttled: The host hung up before the first of them.
    """
    made: list[Transport] = []

    def transport_factory(sock: Wire, **_: object) -> Transport:
        algorithms = trust.algorithms
        made.append(kind(sock, title=route.title, host_key_algorithms=algorithms, foresight=foresight))
        if prepared is not None:
            made[-1].expect(prepared.protocol.request, pty=prepared.protocol.pty)
        return made[-1]

    timeout_s = route.settings.banner_timeout_s
    connect: dict[str, object] = {
        "sock": wire,
        "transport_factory": transport_factory,
        "banner_timeout": timeout_s,
        "auth_timeout": route.settings.auth_timeout_s,
        "channel_timeout": route.settings.channel_timeout_s,
        "auth_strategy": login,
    }
    try:
        connection = _Connection.made(route, connect, _Client(trust))
        connection.open()
    except Exception as error:
        transport = made[0] if made else None
        failure = Handshake(route.title, wire, transport, timeout_s).failure(error)
        log.debug("%s: no session", route.title, exc_info=error)
        _hang_up(transport, wire)
        raise failure from None
    return Link(route.title, connection, made[0], wire, prepared)


class _Connection(fabric.Connection):  # type: ignore[misc]  # Fabric has no types
    """Fabric's, told everything in the call.

    Where something may still come from the configuration Fabric asks for it at every connection, and what is
    not an attribute it writes into the configuration, which costs a look through all attributes each time.
    """

    authentication = SimpleNamespace(strategy_class=None)  # ours is among the connect_kwargs
    __setattr__ = object.__setattr__

    @classmethod
    def made(cls, route: Route, connect: dict[str, object], client: "_Client") -> "_Connection":
        """One like the first, which Fabric made, but for what is a host's own."""
        connection: _Connection = cls.__new__(cls)
        own = {"host": route.address, "user": route.user, "port": route.port, "client": client}
        timeout = {"connect_timeout": int(route.settings.banner_timeout_s), "connect_kwargs": connect}
        connection.__dict__.update(vars(_first()), original_host=route.address, **own, **timeout)
        return connection


@cache
def _first() -> _Connection:
    """A connection to nowhere, by a configuration that reads no file and no environment."""
    config = fabric.Config(ssh_config=_NoSshConfig(), overrides={"load_ssh_configs": False}, lazy=True)
    return _Connection(
        host="nowhere", user="nobody", port=0, config=config, gateway=False, forward_agent=False
    )


class _Client(paramiko.SSHClient):
    """paramiko's, without known hosts of its own, so that it asks `policy` for every key."""

    def __init__(self, policy: Trust) -> None:
        super().__init__()
        self._policy = policy
        self._system_host_keys: dict[str, object] = {}
        self._host_keys: dict[str, object] = {}


class _NoSshConfig(paramiko.SSHConfig):
    """What ssh_config says is in the route already."""

    def lookup(self, hostname: str) -> paramiko.SSHConfigDict:
        return paramiko.SSHConfigDict(hostname=hostname)


def _hang_up(transport: Transport | None, wire: Wire) -> None:
    """Close, wait until nobody reads from the descriptor any more, and give it back."""
    if transport is not None:
        transport.close()
    wire.close()
    if transport is not None:
        transport.join(FAREWELL_S)
    wire.release()
