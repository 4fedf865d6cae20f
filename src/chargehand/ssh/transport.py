"""SshTransport: paramiko's Transport without its noise, its timer thread, and its waits without a deadline.

The one module that leans on what paramiko calls private (names with an underscore): every use is an override
or a call from the subclass, and tests drive each against a real sshd.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_CLOSE, cMSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST
from paramiko.message import Message
from paramiko.packet import Packetizer

from chargehand.ssh.wire import Wire

log = logging.getLogger(__name__)
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its errors go to stderr

# Terminal modes (RFC 4254 section 8): what we send is not echoed, and lines end as the program ended them.
TERMINAL_MODES = b"\x35\0\0\0\0" + b"\x48\0\0\0\0" + b"\0"

_KINDS = (
    ("key exchange", "kex_algo_list", "preferred_kex"),
    ("host key algorithm", "server_key_algo_list", "preferred_keys"),
    ("cipher", "client_encrypt_algo_list", "preferred_ciphers"),
    ("cipher", "server_encrypt_algo_list", "preferred_ciphers"),
    ("MAC", "client_mac_algo_list", "preferred_macs"),
    ("MAC", "server_mac_algo_list", "preferred_macs"),
)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The kind of algorithm that both sides have none in common of, and both lists."""

    what: str
    theirs: str
    ours: str


class _TimerlessPacketizer(Packetizer):
    """paramiko's own, without the thread that times the handshake: it outlives a handshake that fails."""

    def start_handshake(self, timeout: float) -> None:
        """Nothing: the handshake's deadline is kept by who waits for it."""


class SshTransport(paramiko.Transport):
    """One SSH connection's protocol.

    Attributes:
        farewell: What the host said when it disconnected.
        host_key_blob: The key, or certificate, that the host proved to have.
    """

    def __init__(self, wire: Wire, *, title: str, host_key_algorithms: Sequence[str]) -> None:
        super().__init__(wire, packetizer_class=_TimerlessPacketizer)  # type: ignore[arg-type]  # what it uses of a socket
        self.name = f"chargehand-ssh {title}"
        self.farewell = ""
        self.host_key_blob = b""
        self._host_key_algorithms = tuple(host_key_algorithms)
        self._offered: dict[str, list[str]] = {}

    @property
    def preferred_keys(self) -> Sequence[str]:
        """The host key algorithms to offer, in the order of what is known of the host."""
        return self._host_key_algorithms

    def mismatch(self) -> Mismatch | None:
        """Why no algorithms could be agreed on; None when that is not what failed."""
        for what, offered, preferred in _KINDS:
            theirs, ours = self._offered.get(offered), getattr(self, preferred)
            if theirs is not None and not set(theirs) & set(ours):
                return Mismatch(what, ",".join(theirs), ",".join(ours))
        return None

    def ask_for_reply(self) -> None:
        """Send a request that every server answers, if only with a refusal; do not wait for it."""
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)  # type: ignore[attr-defined]  # not in its stubs

    def start_command(self, channel: paramiko.Channel, request: str, *, pty: bool) -> None:
        """Ask for a command, and a terminal first, without waiting: a refusal closes the channel."""
        if pty:
            terminal = _channel_request(channel, "pty-req")
            terminal.add_string("dumb")
            for size in (80, 24, 0, 0):
                terminal.add_int(size)
            terminal.add_string(TERMINAL_MODES)
            self._send_user_message(terminal)  # type: ignore[attr-defined]  # not in its stubs
        command = _channel_request(channel, "exec")
        command.add_string(request)
        self._send_user_message(command)  # type: ignore[attr-defined]  # not in its stubs

    def open_orderly(
        self, kind: str, *, target: tuple[str, int] | None = None, timeout_s: float
    ) -> paramiko.Channel:
        """Open a channel that may be closed by one thread while another sends."""
        source = ("127.0.0.1", 0) if target else None
        channel = self.open_channel(kind, dest_addr=target, src_addr=source, timeout=timeout_s)
        channel.transport = _Orderly(self)  # type: ignore[assignment]  # all that a channel asks of it
        return channel

    def _log(self, level: int, msg: object, *args: object) -> None:  # noqa: ARG002 - its levels are not ours
        for line in msg if isinstance(msg, list) else [msg]:
            log.debug(line, *args)

    def _really_parse_kex_init(self, m: Message, ignore_first_byte: bool = False) -> dict[str, Any]:
        parsed: dict[str, Any] = super()._really_parse_kex_init(m, ignore_first_byte)  # type: ignore[misc]  # not in its stubs
        self._offered = {name: list(value) for name, value in parsed.items() if isinstance(value, list)}
        return parsed

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        super()._verify_key(host_key, sig)  # type: ignore[misc]  # not in its stubs
        self.host_key_blob = bytes(host_key)

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        self.farewell = m.get_text()


class _Orderly:
    """A channel's view of its transport that sends nothing of the channel after its CLOSE.

    paramiko decides to send and sends in two steps; when the channel is closed by another thread in between,
    the data comes after CLOSE, and OpenSSH then ends the whole connection («data packet referred to
    nonexistent channel») with everybody else's channels on it.
    """

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self._turn = threading.Lock()
        self._closed = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def _send_user_message(self, message: Message) -> None:
        with self._turn:
            if self._closed:
                return
            self._closed = message.asbytes()[:1] == cMSG_CHANNEL_CLOSE
            self._transport._send_user_message(message)  # type: ignore[attr-defined]  # noqa: SLF001 - in its place


def _channel_request(channel: paramiko.Channel, kind: str) -> Message:
    message = Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(True)
    return message
