"""Line: what carries the bytes of one SSH connection - a socket, in a thread or a strand, or a channel."""

import errno
import os
import select
import socket
from contextlib import suppress
from typing import Protocol

import paramiko
from paramiko.ssh_exception import SSHException

from chargehand.ssh.command import Room
from chargehand.strand import HUBS, Hub, Mutex, Signal, Strand, hub_here, strand_here

_BEGUN = (errno.EAGAIN, errno.EINPROGRESS)
_ENDINGS = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR if HUBS else 0


class Line(Protocol):
    """A stream of bytes both ways."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long `recv` and `send` may take."""

    def recv(self, size: int, /) -> bytes:
        """The next bytes; none at the end.

        Raises:
            OSError: Nothing came in time (TimeoutError), or the connection broke.
        """

    def send(self, chunk: bytes, /) -> int:
        """Take the beginning of `chunk`; how many bytes.

        Raises:
            OSError: There was no room in time (TimeoutError), or the connection broke.
        """

    def shut(self) -> None:
        """End the stream both ways and wake who waits for it; called from any thread. Never raises."""

    def close(self) -> None:
        """Give the descriptor back, when nobody reads any more. Never raises."""


class SocketLine(Line, Protocol):
    """A line over a socket that may not be connected yet."""

    def connect(self, where: tuple[object, ...], /) -> None:
        """Connect, in at most the time that was set.

        Raises:
            OSError: That cannot be done.
        """


def line_over(connection: socket.socket) -> SocketLine:
    """A line over a socket, for whoever calls this: a thread or a strand."""
    hub = hub_here()
    return ThreadLine(connection) if hub is None else StrandLine(connection, hub)


class ThreadLine:
    """A socket as it is: the thread that reads waits in it, and so does the one that sends."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.settimeout = connection.settimeout
        self.recv = connection.recv
        self.send = connection.send
        self.connect = connection.connect
        self.close = connection.close

    def shut(self) -> None:
        """See `Line.shut`."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class StrandLine:
    """A socket read and written by the strands of one hub.

    What is sent goes out when every strand that can go on has done so, in one piece: a handshake takes fewer
    packets. Nobody waits for room, since a lock may be held while something is sent; how much can be
    under way is limited by the windows of SSH.

    Args:
        connection: A socket, connected or not.
        hub: Of the strands.
    """

    def __init__(self, connection: socket.socket, hub: Hub) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._hub = hub
        self._patience_s: float | None = None
        self._sleeper: tuple[Strand, int] | None = None
        self._waiting: list[bytes] = []
        self._broken: OSError | None = None
        self._watched = False
        self._drained = False
        self._ends = False
        self._due = False
        self._shut = False

    def settimeout(self, seconds: float | None) -> None:
        """How long `recv` and `connect` may take."""
        self._patience_s = seconds

    def connect(self, where: tuple[object, ...]) -> None:
        """See `SocketLine.connect`."""
        code = self._socket.connect_ex(where)
        if code in _BEGUN:
            if not self._await_change():
                raise TimeoutError("timed out")
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code or self._shut:
            raise OSError(code or errno.ECONNABORTED, os.strerror(code or errno.ECONNABORTED))

    def recv(self, size: int) -> bytes:
        """See `Line.recv`."""
        while not self._shut:
            if not self._drained:
                try:
                    chunk = self._socket.recv(size)
                except BlockingIOError:
                    pass
                else:
                    # A short read took all there was, and the system tells when more comes; of an end once.
                    self._drained = self._watched and len(chunk) < size and not self._ends
                    return chunk
            if self._broken:
                raise self._broken
            if not self._await_change():
                raise TimeoutError("timed out")
        return b""

    def send(self, chunk: bytes) -> int:
        """Take all of `chunk`; see `Line.send`."""
        if self._broken:
            raise self._broken
        self._waiting.append(chunk)
        if not self._due:
            self._due = True
            self._hub.call_last(self._flush)
        return len(chunk)

    def shut(self) -> None:
        """See `Line.shut`; what was sent before goes out when it is closed."""
        self._shut = True
        self._wake()

    def close(self) -> None:
        """See `Line.close`."""
        self._flush()
        if self._watched:
            self._hub.forget(self._socket.fileno())
            self._watched = False
        self._socket.close()

    def _await_change(self) -> bool:
        """Wait until the system says that something is different; False when it did not in time."""
        if not self._watched:  # a socket that never tried to connect would always be ready
            self._watched = True
            self._hub.watch(self._socket.fileno(), self._change)
        strand = strand_here()
        self._sleeper = strand, strand.waits
        # What another thread shut since we looked sees our entry, or we see that.
        changed = self._shut or strand.pause(self._patience_s)
        self._sleeper = None
        return changed

    def _wake(self) -> None:
        """Let it go on who waits for a change; called from any thread."""
        if sleeper := self._sleeper:
            strand, wait = sleeper
            strand.wake(wait)

    def _change(self, events: int) -> None:
        self._drained = False
        self._ends = self._ends or bool(events & _ENDINGS)
        self._wake()
        if self._waiting:
            self._flush()

    def _flush(self) -> None:
        """Send what the system takes; the rest when it says that there is room."""
        self._due = False
        if not self._waiting or self._broken:
            return
        chunk = b"".join(self._waiting)
        self._waiting.clear()
        try:
            sent = self._socket.send(chunk)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken = error
            self._wake()
            return
        if sent < len(chunk):
            self._waiting.append(chunk[sent:])


class ChannelLine:
    """A channel of a connection to a jump host.

    Whoever sends waits for no room, as in `StrandLine`; what is left goes out as the other side makes room,
    which wakes who reads.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._patience_s: float | None = None
        self._changed = Signal()
        self._turn = Mutex()
        self._waiting = b""
        channel.settimeout(0.0)
        channel.out_buffer_cv = Room(channel.lock, self._changed)
        channel.in_buffer.set_event(self._changed)

    def settimeout(self, seconds: float | None) -> None:
        """How long `recv` may take."""
        self._patience_s = seconds

    def recv(self, size: int) -> bytes:
        """See `Line.recv`."""
        while True:
            self._changed.clear()  # before the look: what comes after it ends the wait
            self._flush(b"")
            if self._channel.recv_ready():
                return self._channel.recv(size)
            if self._channel.closed or self._channel.eof_received:
                return b""
            if not self._changed.wait(self._patience_s):
                raise TimeoutError("timed out")

    def send(self, chunk: bytes) -> int:
        """Take all of `chunk`; see `Line.send`."""
        self._flush(chunk)
        return len(chunk)

    def shut(self) -> None:
        """See `Line.shut`."""
        self.close()
        self._changed.set()

    def close(self) -> None:
        """See `Line.close`."""
        with suppress(OSError, SSHException, EOFError):  # the connection is gone, and the channel with it
            self._channel.close()

    def _flush(self, chunk: bytes) -> None:
        with self._turn:
            self._waiting += chunk
            with suppress(TimeoutError):  # no room at the moment
                while self._waiting:
                    self._waiting = self._waiting[self._channel.send(self._waiting) :]
