"""Channel: one command on one host, bytes in, two streams out; the seam under every session.

The start protocol (`start`) decides what the bytes mean, `conduct` moves them, and a channel carries
them: over SSH (`ssh`) or to a process of this machine (`local`).

Flow control is part of the contract. A channel never stores what the host sends beyond a fixed window, so
a slow reader makes the host wait; and `send` takes only what fits now, so that a long script
and a host that floods us cannot wait for each other for ever.
"""

from typing import Protocol

from chargehand.frozen import frozen


class ConnectionLost(Exception):  # noqa: N818 - a host's trouble, not a defect
    """The way to the host is gone; what happens there is no longer known.

    Attributes:
        code: Short name, such as ``connection-lost``, ``no-reply``.
        reason: One line for people.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@frozen(kw_only=False)
class Received:
    """What arrived since the last look.

    Attributes:
        stdout: May be empty.
        stderr: May be empty; always empty with a terminal.
        closed: The command ended and both streams were received to their ends. Reported after the last byte,
            and again by every later call.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    closed: bool = False


class Channel(Protocol):
    """One running command. Used by one thread, except for `wake`."""

    def send(self, chunk: bytes) -> int:
        """Hand over the beginning of `chunk` to the command's stdin, as much as fits, without waiting.

        Returns:
            How many bytes were taken; 0 when the host reads nothing at present. When the command no
            longer reads its stdin all bytes count as taken: `receive` tells how it ended.

        Raises:
            ConnectionLost: Nothing can be sent any more.
        """

    def receive(self, timeout_s: float | None, *, room: bool = False) -> Received:
        """Wait until there is something to tell, then tell it.

        Args:
            timeout_s: At most this long; None for ever, 0 not at all.
            room: Return also as soon as `send` can take at least one byte.

        Returns:
            Output of at most some hundred KiB, or nothing after the timeout, after `wake`, or for `room`.

        Raises:
            ConnectionLost: The host was not heard of for too long, or the connection broke. Everything
                that did arrive was returned before.
        """

    def wake(self) -> None:
        """Make the `receive` that waits, or the next one, return at once. Called from any thread."""

    def close(self) -> None:
        """Let go: the command's stdin ends and its output is no longer read. Never raises."""


class ChannelOpener(Protocol):
    """A way to start one command on an open connection."""

    def __call__(self, request: str, *, pty: bool) -> Channel:
        """Start `request`, one line that any login shell reads, with or without a terminal.

        Raises:
            NotStarted: The host refuses to start a command, code ``channel``.
            ConnectionLost: The connection broke first; the command may have started.
        """
