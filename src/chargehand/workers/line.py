"""Line: one end of the socket between a run and a worker, read by a strand, written to from any thread."""

import select
import socket
from collections import deque
from threading import get_ident
from typing import Final

from chargehand.strand import HUBS, Condition, Hub, Signal
from chargehand.workers.message import Message, pack, unpack

_PIECE: Final = 1 << 18
_LARGE: Final = 1 << 16
_ROOM: Final = 1 << 22
_ENDINGS: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR if HUBS else 0


class Line:
    """One end of the socket.

    What is sent goes out when every strand that can go on has done so, in one frame. Nobody waits for that
    but who sends a long script: all else is short, or there is a window for it.

    Args:
        connection: The socket.
        hub: Of the strand that reads.
    """

    def __init__(self, connection: socket.socket, hub: Hub) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._hub = hub
        self._stir = Signal()
        self._waiting: deque[Message] = deque()
        self._rest = memoryview(b"")
        self._unread = bytearray()
        self._due = False
        self._asked = False
        self._drained = False
        self._ends = False
        self._broken = False
        self._change = Condition()
        self._large_bytes = 0
        hub.watch(connection.fileno(), self._changed, room=False)

    def send(self, message: Message) -> None:
        """Have a message go out, if the other end is still there."""
        if self._broken:
            return
        self._waiting.append(message)
        if self._due:
            return
        self._due = True
        if get_ident() == self._hub.thread:
            self._hub.call_last(self._flush)
        else:
            self._asked = True
            self._stir.set()

    def send_large(self, message: Message, size_bytes: int) -> None:
        """The same with a message of some length; it waits while others of such are under way."""
        if size_bytes > _LARGE:
            with self._change:
                while not self._broken and self._large_bytes and self._large_bytes + size_bytes > _ROOM:
                    self._change.wait()
                self._large_bytes += size_bytes
        self.send(message)

    def receive(self, patience_s: float | None = None) -> list[Message]:
        """Wait for what the other end says; nothing when it is gone. Called by one strand of the hub.

        Raises:
            TimeoutError: It said nothing for so long.
        """
        while True:
            self._stir.clear()  # before the look: what comes after it ends the wait
            if self._asked:
                self._asked = False
                self._flush()
            if self._drained:
                if not self._stir.wait(patience_s):
                    raise TimeoutError
                continue
            try:
                chunk = self._socket.recv(_PIECE)
            except BlockingIOError:
                self._drained = True
                continue
            except OSError:
                return []
            if not chunk:
                return []
            # A short read took all there was, and the system tells when more comes; of an end once.
            self._drained = len(chunk) < _PIECE and not self._ends
            self._unread += chunk
            if messages := list(unpack(self._unread)):
                return messages

    def close(self) -> None:
        """Let go of the socket; called in the hub's thread."""
        self._flush()
        self._give_up()
        self._hub.forget(self._socket.fileno())
        self._socket.close()

    def _changed(self, events: int) -> None:
        self._drained = False
        self._ends = self._ends or bool(events & _ENDINGS)
        if self._rest:
            self._flush()
        self._stir.set()

    def _flush(self) -> None:
        """Write what the system takes; the rest when it says that there is room."""
        self._due = False
        blocked = bool(self._rest)
        while not self._broken and (self._rest or self._waiting):
            if not self._rest:
                self._rest = pack([self._waiting.popleft() for _ in range(len(self._waiting))])
            try:
                self._rest = self._rest[self._socket.send(self._rest) :]
            except BlockingIOError:
                if not blocked:
                    self._watch(room=True)
                return
            except OSError:
                self._give_up()
                return
        if blocked and not self._broken:
            self._watch(room=False)
        if self._large_bytes:
            self._make_room()

    def _watch(self, *, room: bool) -> None:
        """Be told of room only while it is waited for: else each piece that is read there would wake us."""
        self._hub.forget(self._socket.fileno())
        self._hub.watch(self._socket.fileno(), self._changed, room=room)

    def _give_up(self) -> None:
        """Nobody reads any more."""
        self._broken = True
        self._waiting.clear()
        self._rest = memoryview(b"")
        self._make_room()

    def _make_room(self) -> None:
        with self._change:
            self._large_bytes = 0
            self._change.notify_all()
