"""SshSession: one open way to one host over SSH."""

from collections.abc import Callable

from chargehand.connection import ConnectionSettings
from chargehand.provider import Ending, NotStarted, Stop, Watcher
from chargehand.script import RenderedScript
from chargehand.ssh.channel import SshChannel, open_channel
from chargehand.ssh.idle import IdleLinks
from chargehand.ssh.link import Link
from chargehand.start.conduct import Conduct


class SshSession:
    """One authenticated connection, over which a script is run; see `chargehand.provider.Session`.

    Args:
        link: The connection.
        settings: How it was made.
        idle: Where it goes in the end, when nothing is left of the script.
        again: Makes a new one; given when `link` waited for us and may have died unnoticed.
    """

    def __init__(
        self,
        link: Link,
        settings: ConnectionSettings,
        idle: IdleLinks,
        *,
        again: Callable[[], Link] | None = None,
    ) -> None:
        self._link = link
        self._settings = settings
        self._idle = idle
        self._again = again
        self._conduct = Conduct(self.start, settings, user=link.connection.user, prepared=link.prepared)

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        """Run a script at most once, to its end."""
        return self._conduct.run(script, watcher, stop)

    def settle(self) -> None:
        """The result is safe with us: let the host remove the script's folder. Never raises."""
        self._conduct.settle()

    def close(self) -> None:
        """End the connection, or keep it; a script still running is stopped by the host. Never raises."""
        at_rest = self._conduct.at_rest
        kept = at_rest and self._idle.keep(self._settings, self._link)
        if kept or not at_rest:
            self._conduct.close()
        if not kept:
            self._link.close()  # and with it a channel on which nothing runs any more

    def start(self, request: str, *, pty: bool) -> SshChannel:
        """Start one command; see `chargehand.start.channel.ChannelOpener`.

        A command has no script yet: on a connection that had died it is asked for once more, on a new one.
        """
        try:
            return self._open(request, pty=pty)
        except NotStarted:
            again, self._again = self._again, None
            if again is None:
                raise
        self._link.close()
        self._link = again()
        return self._open(request, pty=pty)

    def _open(self, request: str, *, pty: bool) -> SshChannel:
        return open_channel(
            self._link,
            request,
            pty=pty,
            timeout_s=self._settings.channel_timeout_s,
            keepalive_s=self._settings.keepalive_s,
        )
