"""SshChannel: one command on one host, over one channel of an SSH connection."""

import time

from paramiko.ssh_exception import ChannelException, SSHException

from chargehand.provider import NotStarted
from chargehand.ssh.command import Command
from chargehand.ssh.link import Link
from chargehand.start.channel import ConnectionLost, Received

UNANSWERED = 3


class SshChannel:
    """One running command. Used by one thread, except for `wake`."""

    def __init__(self, command: Command, link: Link, keepalive_s: float) -> None:
        self._command = command
        self._link = link
        self._keepalive_s = keepalive_s
        self._asked_at = 0.0
        self._unanswered = 0
        self._woken = False
        self._stir = command.stir

    def send(self, chunk: bytes) -> int:
        """See `chargehand.start.channel.Channel`."""
        try:
            return self._command.send(chunk)
        except (OSError, SSHException, EOFError) as error:
            if self._link.alive:
                return len(chunk)
            raise self._lost(error) from None

    def receive(self, timeout_s: float | None, *, room: bool = False) -> Received:
        """See `chargehand.start.channel.Channel`."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            # In this order: what comes after the reset and before the wait ends the wait at once.
            self._stir.reset()
            if self._woken:
                self._woken = False
                return Received()
            # Asked first: once it ended nothing more comes, so an empty look after it is the last.
            ended = self._command.ended
            stdout, stderr = self._look()
            if stdout or stderr:
                return Received(stdout, stderr)
            if ended:
                return self._end()
            if room and self._command.has_room:
                return Received()
            now = time.monotonic()
            left_s = self._keep_alive(now)
            if end is not None:
                if now >= end:
                    return Received()
                left_s = min(left_s, end - now)
            self._stir.wait(left_s)

    def wake(self) -> None:
        """See `chargehand.start.channel.Channel`."""
        self._woken = True
        self._stir.set()

    def close(self) -> None:
        """See `chargehand.start.channel.Channel`."""
        try:
            self._command.close()
        except (OSError, SSHException, EOFError):
            return  # the connection is gone, and the channel with it

    def _look(self) -> tuple[bytes, bytes]:
        """What lies ready; taking it is what opens the window again."""
        try:
            return self._command.take()
        except (OSError, SSHException, EOFError) as error:
            raise self._lost(error) from None

    def _end(self) -> Received:
        if self._command.eof_received or self._link.alive:
            return Received(closed=True)
        raise self._lost(None)

    def _keep_alive(self, now: float) -> float:
        """Ask for a reply when nothing was heard for a while; give up when nothing ever is.

        Returns:
            Seconds until it is to be called again.
        """
        heard_at = self._link.wire.heard_at
        if heard_at > self._asked_at:
            self._unanswered = 0
        due_at = max(heard_at, self._asked_at) + self._keepalive_s
        if now < due_at:
            return due_at - now
        if self._unanswered == UNANSWERED:
            silent_s = now - heard_at
            words = (
                f"{self._link.title}: not heard of for {silent_s:.0f} s, {UNANSWERED} questions unanswered"
            )
            raise ConnectionLost("no-reply", words)
        try:
            self._link.transport.ask_for_reply()
        except (OSError, SSHException, EOFError) as error:
            raise self._lost(error) from None
        self._unanswered += 1
        self._asked_at = now
        return self._keepalive_s

    def _lost(self, error: Exception | None) -> ConnectionLost:
        return ConnectionLost("connection-lost", f"{self._link.title}: {self._link.ending(error)}")


def open_channel(link: Link, request: str, *, pty: bool, timeout_s: float, keepalive_s: float) -> SshChannel:
    """Start a command on an open connection.

    Raises:
        NotStarted: The host opens no channel, or does not answer (code ``channel``), or the connection broke:
            the command may have started then, but it has no script to run.
    """
    try:
        opened = link.transport.open_command(request, pty=pty, timeout_s=timeout_s)
    except ChannelException as error:
        words = f"{link.title} opens no session ({error.text}): see its MaxSessions"
        raise NotStarted("channel", words) from None
    except (OSError, SSHException, EOFError) as error:
        if link.alive:
            words = f"{link.title} opened no session within {timeout_s:g} s"
            raise NotStarted("channel", words) from None
        raise NotStarted("connection-lost", f"{link.title}: {link.ending(error)}") from None
    return SshChannel(opened, link, keepalive_s)
