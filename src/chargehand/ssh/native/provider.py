"""NativeSshProvider: reaches hosts over SSH that libssh speaks, and by Fabric those that it cannot reach."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

from chargehand.connection import ConnectionSettings
from chargehand.provider import Session, Stop
from chargehand.ssh.channel import open_channel as open_fabric_channel
from chargehand.ssh.dial import connect
from chargehand.ssh.interrupt import Interrupt
from chargehand.ssh.link import Link
from chargehand.ssh.login import Login
from chargehand.ssh.native.channel import open_channel
from chargehand.ssh.native.line import ready_line
from chargehand.ssh.native.link import NativeLink, shake_hands
from chargehand.ssh.native.peer import Peer
from chargehand.ssh.native.porter import Keys
from chargehand.ssh.native.watchdog import Watchdog
from chargehand.ssh.provider import SshProvider
from chargehand.ssh.route import Route
from chargehand.ssh.session import SshSession
from chargehand.ssh.trust import Trust


class NativeSshProvider(SshProvider):
    """Reaches hosts over SSH with less work than `SshProvider`, by the same rules, with the same results.

    Jump hosts and what lies behind them, proxy commands, keys of an agent, user certificates and hosts known
    by their certificates are left to `SshProvider`.
    """

    def __init__(
        self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), jitter: random.Random | None = None
    ) -> None:
        super().__init__(now=now, jitter=jitter)
        self._watchdog = Watchdog()
        self._native_keys = Keys()

    def open(self, settings: ConnectionSettings, stop: Stop) -> Session:
        """Reach one host; see `chargehand.provider.Provider`.

        Raises:
            Unreachable: No session, and why.
        """
        link = self._reach(settings, Interrupt(stop), self._attempt_natively)
        if isinstance(link, NativeLink):
            return SshSession(link, settings, open_channel)
        return SshSession(link, settings, open_fabric_channel)

    def close(self) -> None:
        """Let go of what sessions share."""
        super().close()
        self._watchdog.close()

    def _attempt_natively(
        self, route: Route, trust: Trust, login: Login, interrupt: Interrupt
    ) -> Link | NativeLink:
        if not _takes(route, trust, login):
            return self._attempt(route, trust, login, interrupt)
        with self._gate.passing(route.title, interrupt):
            line = connect(route.address, route.port, route.connect_timeout_s, interrupt, ready_line)
            peer = Peer(line, user=route.user, host_key_algorithms=trust.algorithms, watchdog=self._watchdog)
            try:
                with interrupt.calling(line.shut):
                    return shake_hands(route, peer, trust, login, self._native_keys)
            except BaseException:
                peer.close()
                raise


def _takes(route: Route, trust: Trust, login: Login) -> bool:
    """Whether libssh can do what this host needs."""
    if route.jump or route.proxy_command or trust.by_certificate:
        return False
    return all(identity.text is not None for identity in login.identities)
