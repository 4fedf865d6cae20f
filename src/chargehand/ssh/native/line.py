"""ReadyLine: a socket that libssh reads and writes, and the wait until it can."""

import select
import socket
import time
from contextlib import suppress
from typing import Protocol

from chargehand.ssh.line import SocketLine, StrandLine, ThreadLine
from chargehand.strand import Hub, hub_here


class ReadyLine(SocketLine, Protocol):
    """A connected socket of which nobody but libssh reads, and the wait for it.

    Whoever waits calls `reset`, looks whether there is something for him, and only then waits: what comes in
    between ends the wait.

    Attributes:
        socket: It.
        heard_at: Monotonic time of the last byte that came.
    """

    socket: socket.socket
    heard_at: float

    @property
    def is_shut(self) -> bool:
        """Whether `shut` was called."""

    def reset(self) -> None:
        """Forget that somebody stirred."""

    def wait(self, timeout_s: float | None, *, writing: bool = False) -> None:
        """Wait until bytes or their end are there, or room for some if `writing`; or somebody stirs."""

    def stir(self) -> None:
        """End the wait, or the next one; called from any thread."""


def ready_line(connection: socket.socket) -> ReadyLine:
    """A line over a socket, for whoever calls this: a thread or a strand."""
    hub = hub_here()
    return ReadyThreadLine(connection) if hub is None else ReadyStrandLine(connection, hub)


class ReadyStrandLine(StrandLine):
    """A socket that the strands of one hub wait for."""

    def __init__(self, connection: socket.socket, hub: Hub) -> None:
        super().__init__(connection, hub)
        self.socket = connection
        self.heard_at = time.monotonic()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    @property
    def is_shut(self) -> bool:
        """See `ReadyLine`."""
        return self._shut

    def reset(self) -> None:
        """See `ReadyLine.reset`."""
        self._changed.clear()

    def wait(self, timeout_s: float | None, *, writing: bool = False) -> None:
        """See `ReadyLine.wait`; a change that was told before is looked for, since it is told but once."""
        self._poll.modify(self.socket, select.POLLIN | select.POLLOUT if writing else select.POLLIN)
        if self._shut:
            return
        if ready := self._poll.poll(0):
            if ready[0][1] & select.POLLIN:
                self.heard_at = time.monotonic()
            return
        self.settimeout(timeout_s)
        self._await_change()

    def stir(self) -> None:
        """See `ReadyLine.stir`."""
        self._changed.set()

    def _change(self, events: int) -> None:
        if events & select.EPOLLIN:
            self.heard_at = time.monotonic()
        self._changed.set()


class ReadyThreadLine(ThreadLine):
    """A socket that one thread waits for."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.socket = connection
        self.heard_at = time.monotonic()
        self._shut = False
        self._bell, self._rope = socket.socketpair()
        for end in (self._bell, self._rope):
            end.setblocking(False)
        self.close = self._close
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)

    @property
    def is_shut(self) -> bool:
        """See `ReadyLine`."""
        return self._shut

    def reset(self) -> None:
        """See `ReadyLine.reset`."""
        with suppress(BlockingIOError):
            self._bell.recv(4096)

    def wait(self, timeout_s: float | None, *, writing: bool = False) -> None:
        """See `ReadyLine.wait`."""
        self._poll.register(self.socket, select.POLLIN | select.POLLOUT if writing else select.POLLIN)
        if self._shut:
            return
        ready = dict(self._poll.poll(None if timeout_s is None else timeout_s * 1000))
        if ready.get(self.socket.fileno(), 0) & select.POLLIN:
            self.heard_at = time.monotonic()

    def stir(self) -> None:
        """See `ReadyLine.stir`."""
        with suppress(OSError):  # rung already, or closed
            self._rope.send(b"\0")

    def shut(self) -> None:
        """See `Line.shut`."""
        self._shut = True
        super().shut()
        self.stir()

    def _close(self) -> None:
        for one in (self.socket, self._bell, self._rope):
            one.close()
