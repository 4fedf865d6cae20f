"""NativeChannel: one command on one host, over one channel of a connection that libssh speaks."""

import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ssh.error_codes import SSH_AGAIN

from chargehand.provider import NotStarted
from chargehand.ssh.failure import OutOfTime
from chargehand.ssh.native.link import NativeLink
from chargehand.ssh.native.peer import Broken, PeerChannel
from chargehand.ssh.vigil import Vigil
from chargehand.start.channel import ConnectionLost, Received

READ_BYTES: Final = 1 << 18
_PIECE: Final = 1 << 15
_SMALL: Final = 1 << 11
_REFUSAL: Final = re.compile(r"error \(\d+\) (.*)", re.DOTALL)


class NativeChannel:
    """One running command. Used by one thread, except for `wake`."""

    def __init__(self, channel: PeerChannel, link: NativeLink, keepalive_s: float) -> None:
        self._channel = channel
        self._link = link
        self._peer = link.peer
        self._vigil = Vigil(link.title, keepalive_s, lambda: link.peer.heard_at, self._ask)
        self._asked: deque[Callable[[], int]] = deque()
        self._woken = False
        self._refused = False

    def start(self, request: str, *, pty: bool) -> None:
        """Ask for a command, and a terminal first, without waiting: a refusal ends the channel."""
        if pty:
            self._asked.append(lambda: self._channel.live.request_pty_size("dumb", 80, 24))
        self._asked.append(lambda: self._channel.live.request_exec(request))
        self._hear_answers()

    def send(self, chunk: bytes) -> int:
        """See `chargehand.start.channel.Channel`.

        Never more than the window: ssh-python does not return before all is written.
        """
        try:
            fitting = chunk[: self._channel.live.window_size()]
            if not fitting:
                return 0
            with self._peer.watchdog.watching(self._peer.shut):
                _, taken = self._peer.once(lambda: self._channel.live.write(fitting))
            return int(taken)
        except Broken as error:
            if self._link.alive:
                return len(chunk)
            raise self._lost(error) from None

    def receive(self, timeout_s: float | None, *, room: bool = False) -> Received:
        """See `chargehand.start.channel.Channel`."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            # In this order: what comes after the reset and before the wait ends the wait at once.
            self._peer.reset()
            if self._woken:
                self._woken = False
                return Received()
            if received := self._take():
                return received
            if room and self._channel.live.window_size():
                return Received()
            now = time.monotonic()
            left_s = self._vigil.keep(now)
            if end is not None:
                if now >= end:
                    return Received()
                left_s = min(left_s, end - now)
            try:
                self._peer.wait(left_s)
            except Broken as error:
                raise self._lost(error) from None

    def wake(self) -> None:
        """See `chargehand.start.channel.Channel`."""
        self._woken = True
        self._peer.stir()

    def close(self) -> None:
        """See `chargehand.start.channel.Channel`."""
        self._channel.release()

    def _take(self) -> Received | None:
        """What lies ready, or the end of it."""
        try:
            self._hear_answers()
            stdout, stderr = self._look()
            if stdout or stderr:
                return Received(stdout, stderr)
            channel = self._channel.live
            ended = self._refused or channel.is_eof() or channel.is_closed()
        except Broken as error:
            raise self._lost(error) from None
        return Received(closed=True) if ended else None

    def _look(self) -> tuple[bytes, bytes]:
        """What lies ready; taking it is what opens the window again.

        What libssh has already it gives without a look at the connection, whose end would make it forget
        the rest.
        """
        stdout, stderr = bytearray(), bytearray()
        while len(stdout) + len(stderr) < READ_BYTES:
            out = self._peer.once(lambda: self._channel.live.read(_PIECE))[1]
            err = self._peer.once(lambda: self._channel.live.read(_PIECE, True))[1]
            stdout += out
            stderr += err
            if len(out) + len(err) < _SMALL:
                break
        return bytes(stdout), bytes(stderr)

    def _hear_answers(self) -> None:
        """Go on with what was asked for."""
        while self._asked and not self._refused:
            try:
                if self._peer.once(self._asked[0]) == SSH_AGAIN:
                    return
            except Broken:
                if not self._link.alive:
                    raise
                self._refused = True
            self._asked.popleft()

    def _ask(self) -> None:
        try:
            self._peer.ask_for_reply()
        except Broken as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> ConnectionLost:
        return ConnectionLost("connection-lost", f"{self._link.title}: {self._link.ending(error)}")


def open_channel(
    link: NativeLink, request: str, *, pty: bool, timeout_s: float, keepalive_s: float
) -> NativeChannel:
    """Start a command on an open connection; see `chargehand.ssh.channel.open_channel`."""
    try:
        opened = PeerChannel(link.peer)
        link.peer.finish(opened.open, time.monotonic() + timeout_s)
    except OutOfTime:
        words = f"{link.title} opened no session within {timeout_s:g} s"
        raise NotStarted("channel", words) from None
    except Broken as error:
        if link.alive:
            found = _REFUSAL.search(str(error))
            words = f"{link.title} opens no session ({found[1] if found else error}): see its MaxSessions"
            raise NotStarted("channel", words) from None
        raise NotStarted("connection-lost", f"{link.title}: {link.ending(error)}") from None
    channel = NativeChannel(opened, link, keepalive_s)
    try:
        channel.start(request, pty=pty)
    except Broken as error:
        channel.close()
        raise ConnectionLost("connection-lost", f"{link.title}: {link.ending(error)}") from None
    return channel
