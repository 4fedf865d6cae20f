"""Command: a channel on which a command runs - its windows, its messages and its end (RFC 4254 section 5)."""

import struct
import threading
from collections.abc import Iterator
from typing import Final, Protocol

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EOF,
    cMSG_CHANNEL_FAILURE,
    cMSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_WINDOW_ADJUST,
)
from paramiko.ssh_exception import SSHException

from chargehand.ssh.message import NUMBER, text
from chargehand.strand import Signal

READ_BYTES: Final = 1 << 18
_TWO: Final = struct.Struct(">II")
_PACKET_BYTES: Final = 1 << 15
_HEADROOM_BYTES: Final = 64
"""Of a packet, around the data in it; what paramiko leaves."""
_STDERR: Final = 1

# Terminal modes (RFC 4254 section 8): what we send is not echoed, and lines end as the program ended them.
_MODES: Final = b"\x35\0\0\0\0" + b"\x48\0\0\0\0" + b"\0"
_TERMINAL: Final = text(b"dumb") + struct.pack(">IIII", 80, 24, 0, 0) + text(_MODES)


def requests(number: int, line: str, *, pty: bool) -> Iterator[bytes]:
    """What asks for a command on a channel of the host's, and for a terminal before it."""
    if pty:
        yield cMSG_CHANNEL_REQUEST + NUMBER.pack(number) + text(b"pty-req") + b"\1" + _TERMINAL
    yield cMSG_CHANNEL_REQUEST + NUMBER.pack(number) + text(b"exec") + b"\1" + text(line.encode())


class Stir(Signal):
    """Says that there may be something to do. Set by anybody; reset by the one who waits for it."""

    def clear(self) -> None:
        """Nothing: paramiko would clear it whenever one of the two streams is empty."""

    reset = Signal.clear
    """What `clear` does elsewhere."""


class Command(Protocol):
    """A channel as its one user sees it.

    Attributes:
        stir: Set whenever something changes.
    """

    stir: Stir

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""

    @property
    def eof_received(self) -> bool:
        """Whether the host said that all was sent."""

    @property
    def has_room(self) -> bool:
        """Whether at least a byte can be sent."""

    @property
    def waiting_bytes(self) -> int:
        """How much came that was not taken."""

    def take(self) -> tuple[bytes, bytes]:
        """What came of both streams; taking it is what opens the window again."""

    def send(self, chunk: bytes) -> int:
        """Send the beginning of `chunk`, as much as the host has room for.

        Raises:
            OSError: The channel is closed, or the connection is gone.
        """

    def close(self) -> None:
        """Close the channel; raises as `send`."""


class Sender(Protocol):
    """What a channel needs of its connection."""

    def send_payload(self, payload: bytes) -> None:
        """Send a message; while keys are exchanged, after that. Raises EOFError at the connection's end."""

    def _unlink_channel(self, number: int) -> None:
        """Forget a channel."""


class StrandCommand:
    """One served by the hub's thread alone, so that it needs no lock; only its `stir` is set from elsewhere.

    It stands among the channels of paramiko's transport, which calls it where its messages do not come here.

    Attributes:
        chanid: Our number.
        remote_chanid: Theirs.
        active: Whether it was opened.
        closed: Whether one of us has closed it.
    """

    def __init__(self, sender: Sender, number: int, window_bytes: int) -> None:
        self.chanid = number
        self.remote_chanid = 0
        self.active = False
        self.closed = False
        self.stir = Stir()
        self.eof_received = False
        self._sender = sender
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._taken_bytes = 0
        self._window_step_bytes = window_bytes // 10
        self._room_bytes = 0
        self._packet_bytes = 0
        self._close_sent = False

    @property
    def ended(self) -> bool:
        """See `Command.ended`."""
        return self.closed or self.eof_received

    @property
    def has_room(self) -> bool:
        """See `Command.has_room`."""
        return self.closed or min(self._room_bytes, self._packet_bytes) > 0

    @property
    def waiting_bytes(self) -> int:
        """See `Command.waiting_bytes`."""
        return len(self._stdout) + len(self._stderr)

    def take(self) -> tuple[bytes, bytes]:
        """See `Command.take`."""
        stdout, stderr = bytes(self._stdout[:READ_BYTES]), bytes(self._stderr[:READ_BYTES])
        del self._stdout[:READ_BYTES], self._stderr[:READ_BYTES]
        self._spend(len(stdout) + len(stderr))
        return stdout, stderr

    def send(self, chunk: bytes) -> int:
        """See `Command.send`."""
        if self.closed:
            raise OSError("the channel is closed")
        size = min(len(chunk), self._room_bytes, self._packet_bytes)
        if size > 0:
            self._room_bytes -= size
            self._send(cMSG_CHANNEL_DATA, text(chunk[:size]))
        return size

    def close(self) -> None:
        """See `Command.close`; it answers the host's own, and is left out where the connection ends too."""
        if not self.active or self._close_sent:
            return
        self._close_sent = True
        if not self.closed:  # a CLOSE of the host's says that it hears no more
            self.closed = True
            self._send(cMSG_CHANNEL_EOF)
        self._send(cMSG_CHANNEL_CLOSE)
        self.stir.set()

    def hear(self, kind: int, body: bytes) -> None:
        """Obey a message that came for it: its type, and what follows our number.

        Raises:
            SSHException: It is no such message.
        """
        try:
            if kind == MSG_CHANNEL_DATA:
                self._stdout += body[4 : 4 + NUMBER.unpack_from(body)[0]]
            elif kind == MSG_CHANNEL_EXTENDED_DATA:
                code, size = _TWO.unpack_from(body)
                if code == _STDERR:
                    self._stderr += body[8 : 8 + size]
                else:
                    self._spend(size)
            elif kind == MSG_CHANNEL_WINDOW_ADJUST:
                self._room_bytes += NUMBER.unpack_from(body)[0]
            elif kind == MSG_CHANNEL_REQUEST:
                size = NUMBER.unpack_from(body)[0]
                if body[4 + size : 5 + size] not in (b"\0", b""):
                    self._send(cMSG_CHANNEL_FAILURE)
                return  # the wrapper tells how the script ended
            elif kind == MSG_CHANNEL_EOF:
                self.eof_received = True
            elif kind == MSG_CHANNEL_CLOSE:
                self.closed = True
                self._sender._unlink_channel(self.chanid)  # noqa: SLF001 - as paramiko's own channels do
            elif kind == MSG_CHANNEL_FAILURE:
                self.close()
            self.stir.set()
        except struct.error:
            raise SSHException(f"a message of type {kind} is too short") from None

    def _spend(self, size: int) -> None:
        """So many bytes need no room any more: let the host send as many, when it is worth a message."""
        self._taken_bytes += size
        if self._taken_bytes > self._window_step_bytes and not self.ended:
            self._send(cMSG_CHANNEL_WINDOW_ADJUST, NUMBER.pack(self._taken_bytes))
            self._taken_bytes = 0

    def _send(self, kind: bytes, rest: bytes = b"") -> None:
        self._sender.send_payload(kind + NUMBER.pack(self.remote_chanid) + rest)

    def _set_remote_channel(self, chanid: int, window_size: int, max_packet_size: int) -> None:
        """It was opened; called by paramiko's transport."""
        self.remote_chanid = chanid
        self._room_bytes += window_size
        self._packet_bytes = min(max_packet_size, _PACKET_BYTES)
        self._packet_bytes -= min(_HEADROOM_BYTES, self._packet_bytes // 2)
        self.active = True

    def _unlink(self) -> None:
        """The connection is gone; called by paramiko's transport."""
        self.closed = True
        self.stir.set()


class ThreadCommand:
    """paramiko's channel, which a thread of paramiko feeds."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self.stir = Stir()
        self._channel = channel
        channel.settimeout(0.0)
        channel.out_buffer_cv = Room(channel.lock, self.stir)
        for stream in (channel.in_buffer, channel.in_stderr_buffer):
            stream.set_event(self.stir)

    @property
    def ended(self) -> bool:
        """See `Command.ended`."""
        return bool(self._channel.closed or self._channel.eof_received)

    @property
    def eof_received(self) -> bool:
        """See `Command.eof_received`."""
        return bool(self._channel.eof_received)

    @property
    def has_room(self) -> bool:
        """See `Command.has_room`."""
        return self._channel.send_ready()

    @property
    def waiting_bytes(self) -> int:
        """See `Command.waiting_bytes`."""
        return len(self._channel.in_buffer) + len(self._channel.in_stderr_buffer)

    def take(self) -> tuple[bytes, bytes]:
        """See `Command.take`."""
        channel = self._channel
        stdout = channel.recv(READ_BYTES) if channel.recv_ready() else b""
        stderr = channel.recv_stderr(READ_BYTES) if channel.recv_stderr_ready() else b""
        return stdout, stderr

    def send(self, chunk: bytes) -> int:
        """See `Command.send`."""
        try:
            return self._channel.send(chunk)
        except TimeoutError:
            return 0

    def close(self) -> None:
        """See `Command.close`."""
        self._channel.close()


class Room(threading.Condition):
    """paramiko's condition for room to send in, telling a signal too."""

    def __init__(self, lock: threading.Lock, changed: Signal) -> None:
        super().__init__(lock)
        self._changed = changed

    def notify_all(self) -> None:
        """Wake whoever waits, by the condition or the signal."""
        super().notify_all()
        self._changed.set()
