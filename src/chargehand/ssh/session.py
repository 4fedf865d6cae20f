"""SshSession: one open way to one host over SSH."""

from chargehand.connection import ConnectionSettings
from chargehand.provider import Ending, Stop, Watcher
from chargehand.script import RenderedScript
from chargehand.ssh.channel import SshChannel, open_channel
from chargehand.ssh.link import Link
from chargehand.start.conduct import Conduct


class SshSession:
    """One authenticated connection, over which a script is run; see `chargehand.provider.Session`."""

    def __init__(self, link: Link, settings: ConnectionSettings) -> None:
        self._link = link
        self._settings = settings
        self._conduct = Conduct(self.start, settings, user=link.connection.user)

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

    def start(self, request: str, *, pty: bool) -> SshChannel:
        """Start one command; see `chargehand.start.channel.ChannelOpener`."""
        return open_channel(
            self._link,
            request,
            pty=pty,
            timeout_s=self._settings.channel_timeout_s,
            keepalive_s=self._settings.keepalive_s,
        )
