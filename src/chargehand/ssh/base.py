"""Base: what is asked of the protocol of a connection, whichever of paramiko's and ours serves it."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import paramiko

from chargehand.ssh.agreement import Mismatch
from chargehand.ssh.command import Command
from chargehand.ssh.wire import Wire

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its errors go to stderr


class Transport(paramiko.Transport, ABC):
    """One SSH connection's protocol.

    Args:
        wire: The bytes below.
        title: The host, for people.
        packets: Makes the packet layer; None is paramiko's.

    Attributes:
        title: As given.
        farewell: What the host said when it disconnected, where that is known.
    """

    farewell = ""

    def __init__(self, wire: Wire, *, title: str, packets: Callable[..., Any] | None = None) -> None:
        super().__init__(wire, packetizer_class=packets)  # type: ignore[arg-type]  # what it uses of a socket
        self.title = title
        self.name = f"chargehand-ssh {title}"

    @abstractmethod
    def proven_key(self) -> bytes:
        """The key, or certificate, that the host proved to have."""

    def mismatch(self) -> Mismatch | None:
        """Why no algorithms could be agreed on, where that is known; None also when it is not what failed."""
        return None

    @abstractmethod
    def expect(self, line: str, *, pty: bool) -> None:
        """Say which command will be asked for first, so that it may go out with the login."""

    @abstractmethod
    def ask_for_reply(self) -> None:
        """Send a request that every server answers, if only with a refusal; do not wait for it."""

    @abstractmethod
    def open_command(self, line: str, *, pty: bool, timeout_s: float) -> Command:
        """Open a channel and ask for a command on it.

        Raises:
            SSHException: The connection broke, or there was no answer in time.
            ChannelException: The host opens no channel.
        """

    @abstractmethod
    def open_orderly(
        self, kind: str, *, target: tuple[str, int] | None = None, timeout_s: float
    ) -> paramiko.Channel:
        """Open a channel that may be closed by one thread while another sends; raises as `open_command`."""
