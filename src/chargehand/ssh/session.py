"""SshSession: one open way to one host over SSH."""

from typing import Generic, Protocol, TypeVar

from chargehand.connection import ConnectionSettings
from chargehand.provider import Ending, Stop, Watcher
from chargehand.script import RenderedScript
from chargehand.start.channel import Channel
from chargehand.start.conduct import Conduct


class Standing(Protocol):
    """An authenticated connection, whatever speaks it."""

    @property
    def user(self) -> str:
        """Who is logged in."""

    def close(self) -> None:
        """End it. Never raises."""


L = TypeVar("L", bound=Standing)
L_contra = TypeVar("L_contra", bound=Standing, contravariant=True)
C = TypeVar("C", bound=Channel)
C_co = TypeVar("C_co", bound=Channel, covariant=True)


class Opener(Protocol[L_contra, C_co]):
    """A way to start one command on such a connection."""

    def __call__(
        self, link: L_contra, request: str, *, pty: bool, timeout_s: float, keepalive_s: float
    ) -> C_co:
        """Start `request`; see `chargehand.start.channel.ChannelOpener`."""


class SshSession(Generic[L, C]):
    """One authenticated connection, over which a script is run; see `chargehand.provider.Session`."""

    def __init__(self, link: L, settings: ConnectionSettings, opener: Opener[L, C]) -> None:
        self._link = link
        self._settings = settings
        self._opener = opener
        self._conduct = Conduct(self.start, settings, user=link.user)

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        """Run a script at most once, to its end."""
        return self._conduct.run(script, watcher, stop)

    def settle(self) -> None:
        """The result is safe with us: let the host remove the script's folder. Never raises."""
        self._conduct.settle()

    def close(self) -> None:
        """End the connection; a script still running is stopped by the host. Never raises."""
        self._conduct.close()
        self._link.close()

    def start(self, request: str, *, pty: bool) -> C:
        """Start one command; see `chargehand.start.channel.ChannelOpener`."""
        return self._opener(
            self._link,
            request,
            pty=pty,
            timeout_s=self._settings.channel_timeout_s,
            keepalive_s=self._settings.keepalive_s,
        )
