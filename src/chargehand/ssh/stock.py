"""Stock: paramiko's Transport as it is, for a paramiko of which nobody knows whether ours still fits it.

It has paramiko's own threads, waits and packets, a few round trips more, and knows less of what went wrong.
One private method is called, to send what nothing public does: a terminal that does not echo, and a request
that wants a reply which nobody waits for.
"""

import threading
from collections.abc import Sequence

import paramiko
from paramiko.message import Message

from chargehand.ssh.base import Transport
from chargehand.ssh.command import Command, ThreadCommand, requests
from chargehand.ssh.foresight import Foresight
from chargehand.ssh.message import KEEPALIVE
from chargehand.ssh.orderly import Orderly
from chargehand.ssh.wire import Wire


class StockTransport(Transport):
    """One SSH connection's protocol. Nothing goes ahead, so that nothing is foreseen."""

    def __init__(
        self,
        wire: Wire,
        *,
        title: str,
        host_key_algorithms: Sequence[str],
        foresight: Foresight,  # noqa: ARG002 - for those who send ahead
    ) -> None:
        super().__init__(wire, title=title)
        options = self.get_security_options()
        takes = tuple(name for name in host_key_algorithms if name in options.key_types)
        options.key_types = takes or options.key_types

    def proven_key(self) -> bytes:
        """See `Transport.proven_key`; of a certificate the key alone."""
        return self.get_remote_server_key().asbytes()

    def auth_password(
        self,
        username: str,
        password: str,
        event: threading.Event | None = None,
        fallback: bool = False,  # noqa: ARG002 - else paramiko gives the password to whatever the host asks for
    ) -> list[str]:
        """Show a password as such; the methods that must follow, none when that was all."""
        return super().auth_password(username, password, event, fallback=False)

    def expect(self, line: str, *, pty: bool) -> None:
        """Nothing: it is asked for in its turn."""

    def ask_for_reply(self) -> None:
        """See `Transport.ask_for_reply`."""
        self._send_user_message(Message(KEEPALIVE))  # type: ignore[attr-defined]  # not in its stubs

    def open_command(self, line: str, *, pty: bool, timeout_s: float) -> Command:
        """See `Transport.open_command`."""
        channel = self.open_orderly("session", timeout_s=timeout_s)
        for payload in requests(channel.remote_chanid, line, pty=pty):
            self._send_user_message(Message(payload))  # type: ignore[attr-defined]  # not in its stubs
        return ThreadCommand(channel)

    def open_orderly(
        self, kind: str, *, target: tuple[str, int] | None = None, timeout_s: float
    ) -> paramiko.Channel:
        """See `Transport.open_orderly`."""
        channel = self.open_channel(kind, dest_addr=target, src_addr=("127.0.0.1", 0), timeout=timeout_s)
        channel.transport = Orderly(self)  # type: ignore[assignment]  # what a channel uses of it
        return channel
