"""Greeting: what a host says before its SSH version line, read before libssh sees any of it."""

import socket
import time

from chargehand.ssh.failure import OutOfTime
from chargehand.ssh.native.line import ReadyLine
from chargehand.ssh.wire import GREETING_BYTES
from chargehand.strand import Signal

LINES = 100  # as many as paramiko reads
_VERSION = b"SSH-"
_PAUSE_S = 0.05


class Greeting:
    """What was said up to the version line, which stays in the socket for libssh.

    Attributes:
        said: Everything up to the version line, and that line as far as it came.
        done: Whether the version line came, or its beginning.
        ended: As of `chargehand.ssh.wire.Wire`; empty while the stream goes on.
    """

    def __init__(self, line: ReadyLine) -> None:
        self._line = line
        self._fresh = True
        self._taken = b""
        self.said = b""
        self.done = False
        self.ended = ""

    def hear(self, end: float) -> None:
        """Wait for the version line until that monotonic time.

        Raises:
            OSError: The stream ended, or no SSH server speaks.
            OutOfTime: It did not come.
        """
        while not self.done:
            self._line.reset()
            if self._line.is_shut:
                raise ConnectionAbortedError("shut")
            begun = self._look()
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise OutOfTime("no version line")
            if begun and not self.done:  # what is left there would end every wait for the socket at once
                Signal().wait(min(left_s, _PAUSE_S))
            elif not self.done:
                self._line.wait(left_s)

    def _look(self) -> bool:
        """Take what came; whether something is left that is, or may become, the version line."""
        connection = self._line.socket
        try:
            seen = connection.recv(GREETING_BYTES, socket.MSG_PEEK)
            if not seen:
                self.ended = "eof"
                raise ConnectionAbortedError("the stream ended")
            count = self._count(seen)
            if count:
                self._taken += connection.recv(count)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            self.ended = "reset"
            raise
        rest = seen[count:]
        self.said = self._taken + rest.partition(b"\n")[0]
        self.done = rest.startswith(_VERSION)
        if len(self._taken) > GREETING_BYTES or self._taken.count(b"\n") > LINES:
            self.ended = "flood"
            raise OSError("no SSH version line")
        return bool(rest)

    def _count(self, seen: bytes) -> int:
        """How many bytes come before the version line, or what may become one."""
        at = 0
        while at < len(seen):
            if self._fresh and _VERSION.startswith(seen[at : at + len(_VERSION)]):
                break
            after = seen.find(b"\n", at) + 1
            self._fresh = bool(after)
            at = after or len(seen)
        return at
