"""Stock: paramiko's Transport as it is, for a paramiko of which nobody knows whether ours still fits it.

It has paramiko's own threads, waits and packets, a few round trips more, and knows less of what went wrong. A
host certificate is shown to it as the plain key below. One private method is called: nothing public asks for
a terminal that does not echo.
"""

import logging
from collections.abc import Sequence

import paramiko
from paramiko.message import Message

from chargehand.ssh.command import Command, ThreadCommand, requests
from chargehand.ssh.foresight import Foresight
from chargehand.ssh.message import KEEPALIVE
from chargehand.ssh.wire import Wire

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its errors go to stderr


class StockTransport(paramiko.Transport):
    """One SSH connection's protocol; see `SshTransport`. Nothing goes ahead, so that nothing is foreseen."""

    farewell = ""

    def __init__(
        self,
        wire: Wire,
        *,
        title: str,
        host_key_algorithms: Sequence[str],
        foresight: Foresight,  # noqa: ARG002 - for those who send ahead
    ) -> None:
        super().__init__(wire)  # type: ignore[arg-type]  # what it uses of a socket
        self.name = f"chargehand-ssh {title}"
        options = self.get_security_options()
        takes = tuple(name for name in host_key_algorithms if name in options.key_types)
        options.key_types = takes or options.key_types

    @property
    def host_key_blob(self) -> bytes:
        """The key that the host proved to have."""
        return self.get_remote_server_key().asbytes()

    def mismatch(self) -> None:
        """It does not tell what the host offered."""

    def expect(self, line: str, *, pty: bool) -> None:
        """Nothing: it is asked for in its turn."""

    def ask_for_reply(self) -> None:
        """Send a request that every server answers, if only with a refusal; do not wait for it."""
        self._send_user_message(Message(KEEPALIVE))  # type: ignore[attr-defined]  # not in its stubs

    def open_command(self, line: str, *, pty: bool, timeout_s: float) -> Command:
        """Open a channel and ask for a command on it; see `SshTransport.open_command`."""
        channel = self.open_session(timeout=timeout_s)
        for payload in requests(channel.remote_chanid, line, pty=pty):
            self._send_user_message(Message(payload))  # type: ignore[attr-defined]  # not in its stubs
        return ThreadCommand(channel)

    def open_orderly(
        self, kind: str, *, target: tuple[str, int] | None = None, timeout_s: float
    ) -> paramiko.Channel:
        """Open a channel."""
        return self.open_channel(kind, dest_addr=target, src_addr=("127.0.0.1", 0), timeout=timeout_s)
