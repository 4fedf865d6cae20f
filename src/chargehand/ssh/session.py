"""SshSession: one open way to one host."""

from chargehand.connection import ConnectionSettings
from chargehand.ssh.channel import SshChannel, open_channel
from chargehand.ssh.link import Link


class SshSession:
    """One authenticated connection, for one script."""

    def __init__(self, link: Link, settings: ConnectionSettings) -> None:
        self._link = link
        self._settings = settings

    def start(self, request: str, *, pty: bool) -> SshChannel:
        """See `chargehand.channel.ChannelOpener`."""
        return open_channel(
            self._link,
            request,
            pty=pty,
            timeout_s=self._settings.channel_timeout_s,
            keepalive_s=self._settings.keepalive_s,
        )

    def close(self) -> None:
        """End the session; a script still running is stopped by the host. Never raises."""
        self._link.close()
