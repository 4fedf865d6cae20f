"""NativeLink: one authenticated SSH connection, spoken by libssh."""

import logging
from dataclasses import dataclass

from chargehand.ssh.failure import Handshake, ending
from chargehand.ssh.login import Login
from chargehand.ssh.native.peer import Peer
from chargehand.ssh.native.porter import Keys, NativePorter
from chargehand.ssh.route import Route
from chargehand.ssh.trust import Trust

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NativeLink:
    """One authenticated connection.

    Attributes:
        title: The host, for people.
        user: Who is logged in.
        peer: The other end.
    """

    title: str
    user: str
    peer: Peer

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self.peer.is_active

    def ending(self, error: Exception | None) -> str:
        """How the connection ended, in words."""
        return ending(self.peer, self.peer, error)

    def close(self) -> None:
        """End the connection and give everything back. Never raises."""
        self.peer.close()


def shake_hands(route: Route, peer: Peer, trust: Trust, login: Login, keys: Keys) -> NativeLink:
    """Exchange keys, check the host's, log in: in this order.

    Raises:
        Unreachable: One of them failed.
        Throttled: The host hung up before the first of them.
    """
    timeout_s = route.settings.banner_timeout_s
    try:
        peer.exchange_keys(timeout_s)
        trust.check(peer.host_key)
        login.authenticate(NativePorter(peer, keys))
    except Exception as error:
        failure = Handshake(route.title, peer, peer, timeout_s).failure(error)
        log.debug("%s: no session", route.title, exc_info=error)
        peer.close()
        raise failure from None
    return NativeLink(route.title, route.user, peer)
