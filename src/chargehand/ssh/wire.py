"""Wire: the bytes under one SSH connection, buffered and watched.

paramiko is handed a Wire where it expects a socket. It asks for a few bytes at a time and looks up ten times
a second; a Wire reads ahead and lets an idle connection sleep.
"""

import errno
import time
from collections.abc import Callable

from chargehand.ssh.line import Line
from chargehand.strand import hub_here

READ_BYTES = 1 << 16
IDLE_S = 5.0
"""How long paramiko's thread waits at most before it looks whether it is to end."""
GREETING_BYTES = 1 << 14


class Wire:
    """The byte stream of one SSH connection.

    Attributes:
        greeting: What the other side said up to its SSH version line, that line included.
        greeted: Whether the version line came.
        ended: How the stream ended: ``eof``, ``reset``, ``broken``, ``flood`` (no version line in sight),
            ``shut`` (by us), or empty.
        trouble: What broke it, in words, where more is known than that.
        heard_at: Monotonic time of the last byte that came.
        ahead: What was read; all from `at` on is yet to be taken.
        at: Where that begins.
    """

    def __init__(
        self, line: Line, *, stall_s: float = 45.0, epitaph: Callable[[], str] | None = None
    ) -> None:
        self._line = line
        self._stall_s = stall_s
        self._epitaph = epitaph
        self._stuck_since: float | None = None
        self.ahead = b""
        self.at = 0
        self.greeting = b""
        self.greeted = False
        self.ended = ""
        self.trouble = ""
        self.heard_at = time.monotonic()
        self._closed = False  # paramiko asks a socket for it
        line.settimeout(IDLE_S if hub_here() is None else None)  # a strand is woken

    def settimeout(self, seconds: float | None) -> None:
        """Nothing: how long a wait may last is decided here."""

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            OSError: Nothing came for a while (TimeoutError), the connection broke, or no SSH server speaks.
        """
        if self.at == len(self.ahead):
            self.ahead, self.at = self._read(), 0
        start, self.at = self.at, min(self.at + size, len(self.ahead))
        return self.ahead[start : self.at]

    def give_back(self, chunk: bytes) -> None:
        """What was received but not used; it comes again first."""
        self.ahead, self.at = chunk + self.ahead[self.at :], 0

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes if so many were read already, else none."""
        end = self.at + size
        if end > len(self.ahead):
            return b""
        start, self.at = self.at, end
        return self.ahead[start:end]

    def fill(self) -> None:
        """Read some more.

        Raises:
            EOFError: The stream has ended.
            OSError: As `recv`.
        """
        fresh = self._read()
        if not fresh:
            raise EOFError
        self.ahead, self.at = self.ahead[self.at :] + fresh, 0

    def send(self, chunk: bytes) -> int:
        """Take the beginning of `chunk`.

        Raises:
            OSError: No room at the moment (TimeoutError), none for too long, or the connection broke.
        """
        try:
            sent = self._line.send(chunk)
        except OSError as error:
            now = time.monotonic()
            self._stuck_since = self._stuck_since or now
            if _is_pause(error) and now - self._stuck_since <= self._stall_s:
                raise
            raise self._broken(error) from None
        self._stuck_since = None
        return sent

    def close(self) -> None:
        """End the stream both ways and wake who waits for it, but keep the descriptor.

        Another connection could get its number while paramiko's thread still reads from it.
        """
        self._closed = True
        self._end("shut")
        self._line.shut()

    def release(self) -> None:
        """Give the descriptor back; called when nobody reads any more."""
        self._line.close()

    def _read(self) -> bytes:
        try:
            fresh = self._line.recv(READ_BYTES)
        except OSError as error:
            if _is_pause(error):
                raise
            raise self._broken(error) from None
        if not fresh:
            self._end(*(("broken", self._epitaph()) if self._epitaph else ("eof",)))
            return b""
        self.heard_at = time.monotonic()
        if not self.greeted:
            self._greet(fresh)
        return fresh

    def _broken(self, error: OSError) -> OSError:
        """Remember why, and tell paramiko, which takes any kind of TimeoutError for a pause."""
        if self._epitaph:
            self._end("broken", self._epitaph())
        elif isinstance(error, ConnectionError):
            self._end("reset")
        else:
            self._end("broken", error.strerror or str(error))
        return ConnectionAbortedError(errno.ECONNABORTED, self.trouble or str(error))

    def _end(self, how: str, trouble: str = "") -> None:
        """Only the first end counts: what follows comes of it."""
        if not self.ended:
            self.ended, self.trouble = how, trouble

    def _greet(self, fresh: bytes) -> None:
        self.greeting += fresh
        lines = self.greeting.split(b"\n")
        for number, line in enumerate(lines[:-1]):
            if line.startswith(b"SSH-"):
                self.greeted = True
                self.greeting = b"\n".join(lines[: number + 1])
                return
        if len(self.greeting) > GREETING_BYTES:
            self._end("flood")
            raise OSError(errno.EPROTO, "no SSH version line")


def _is_pause(error: OSError) -> bool:
    """Whether nothing came, or went, for a while; the system's own verdict on a dead peer has a number."""
    return isinstance(error, TimeoutError) and error.errno is None
