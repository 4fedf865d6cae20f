"""SshTransport: the protocol of one connection, from the login to the commands on it.

With `secured`, `packets`, `agreement`, `exchange`, `attempt`, `command` and `orderly`, all of which serve it,
the place that leans on what paramiko calls private (names with an underscore; `stock` calls one of them):
every use is an override or a call from the subclass, and tests drive each against a real sshd, in threads and
strands.
"""

import struct
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import paramiko
from paramiko.agent import AgentKey
from paramiko.auth_handler import AuthHandler
from paramiko.common import MSG_CHANNEL_FAILURE, MSG_UNIMPLEMENTED, cMSG_CHANNEL_OPEN
from paramiko.message import Message
from paramiko.ssh_exception import AuthenticationException, SSHException

from chargehand.ssh.attempt import Answer, Attempt
from chargehand.ssh.command import Command, StrandCommand, ThreadCommand, requests
from chargehand.ssh.foresight import PATIENCE_S, Foresight, Unheard
from chargehand.ssh.message import NUMBER, text
from chargehand.ssh.orderly import Orderly, QuietChannel
from chargehand.ssh.secured import SecuredTransport
from chargehand.ssh.wire import Wire
from chargehand.strand import Signal

_THREE = struct.Struct(">III")
_Handler = Callable[[str, str, list[tuple[str, bool]]], list[str]]
_AnyChannel = paramiko.Channel | StrandCommand
_C = TypeVar("_C", bound=_AnyChannel)


class _Asked(NamedTuple):
    """A command that was asked for.

    Attributes:
        line: The command.
        pty: Whether with a terminal.
        channel: Runs it, once the host has opened it.
        answer: Set when the host has opened the channel, or does not.
        whole: Whether the command went out with the request for the channel.
    """

    line: str
    pty: bool
    channel: paramiko.Channel | StrandCommand
    answer: Signal
    whole: bool


class _Channels(dict[int, _AnyChannel]):
    """Channels by our number; paramiko's own locks, and looks whether anybody still knows of them."""

    put = dict.__setitem__

    def delete(self, number: int) -> None:
        """Forget one, if it is there."""
        self.pop(number, None)

    def values(self) -> list[_AnyChannel]:  # type: ignore[override]  # as paramiko's
        """All, while some of them go."""
        return list(super().values())


class SshTransport(SecuredTransport):
    """One SSH connection's protocol: who we are, and the commands that run on it.

    Args:
        wire: The bytes below.
        title: The host, for people and for `foresight`.
        host_key_algorithms: To offer, in this order.
        foresight: What may go ahead of the host's answers.
    """

    _handler_table: dict[int, Callable[[Message], object]]

    def __init__(
        self, wire: Wire, *, title: str, host_key_algorithms: Sequence[str], foresight: Foresight
    ) -> None:
        super().__init__(wire, title=title, host_key_algorithms=host_key_algorithms, foresight=foresight)
        if self._in_strands:
            self._channels = _Channels()
        self._expected: tuple[str, bool] | None = None
        self._early: _Asked | None = None
        self._bearable = 0
        self._handler_table[MSG_UNIMPLEMENTED] = self._parse_unimplemented

    def _take(self, kind: int, body: bytes) -> bool:
        """Take a message of a command's channel; False when it is for paramiko."""
        if kind > MSG_CHANNEL_FAILURE or len(body) < NUMBER.size or self._expected_packet:
            return False
        command = self._channels.get(NUMBER.unpack_from(body)[0])
        if type(command) is not StrandCommand:
            return False
        command.hear(kind, body[NUMBER.size :])
        return True

    def _unlink_channel(self, number: int) -> None:
        """Forget a channel."""
        self._channels.delete(number)

    def auth_publickey(self, username: str, key: paramiko.PKey, event: object = None) -> list[str]:  # noqa: ARG002 - nobody gives one
        """Show a key; the methods that must follow, none when that was all."""
        # An agent may wait for a person to sign, and paramiko holds a lock then.
        ahead = self.takes_messages_ahead and not isinstance(key, AgentKey)
        return self._log_in(
            lambda handler, answer: handler.auth_publickey(username, key, answer), ahead=ahead
        )

    def auth_password(
        self,
        username: str,
        password: str,
        event: object = None,  # noqa: ARG002 - nobody gives one
        fallback: bool = False,  # noqa: ARG002 - whoever logs in decides what to try next
    ) -> list[str]:
        """Show a password; the methods that must follow, none when that was all."""
        return self._log_in(lambda handler, answer: handler.auth_password(username, password, answer))

    def auth_interactive(self, username: str, handler: _Handler, submethods: str = "") -> list[str]:
        """Let `handler` answer what the host asks; the methods that must follow, none when that was all."""
        return self._log_in(lambda auth, answer: auth.auth_interactive(username, handler, answer, submethods))

    def expect(self, line: str, *, pty: bool) -> None:
        """See `Transport.expect`."""
        self._expected = line, pty

    def _start_expected(self) -> None:
        """Ask for the command that is expected, ahead of all answers.

        OpenSSH looks at it when the login succeeded. If not it says of each message that it knows no such
        thing, and listens to the next login.
        """
        if self._expected is not None:
            (line, pty), self._expected = self._expected, None
            self._bearable = 2 + pty
            self._early = self._ask_command(line, pty=pty)

    def open_command(self, line: str, *, pty: bool, timeout_s: float) -> Command:
        """See `Transport.open_command`.

        OpenSSH is asked at once, without waiting for the channel, which on a new connection is its number 0.
        """
        asked, self._early = self._early, None
        if (
            asked is None
            or (asked.line, asked.pty) != (line, pty)
            or not asked.answer.wait(min(PATIENCE_S, timeout_s))
        ):
            asked = self._ask_command(line, pty=pty)
        channel = asked.channel
        self._await_channel(channel, asked.answer, timeout_s)
        if not asked.whole:
            self._start_command(channel, line, pty=pty)
        return channel if isinstance(channel, StrandCommand) else ThreadCommand(channel)

    def open_orderly(
        self, kind: str, *, target: tuple[str, int] | None = None, timeout_s: float
    ) -> paramiko.Channel:
        """See `Transport.open_orderly`."""
        rest = b""
        if target:
            for address, port in (target, ("127.0.0.1", 0)):
                rest += text(address.encode()) + NUMBER.pack(port)
        channel, answer = self._ask(kind, rest, self._orderly)
        self._await_channel(channel, answer, timeout_s)
        return channel

    @property
    def takes_messages_ahead(self) -> bool:
        """Whether the host is known to bear what it could only expect after an answer of its own."""
        return self.foresight.bears(self.remote_version)

    def _log_in(
        self, ask: Callable[[AuthHandler, threading.Event], object], *, ahead: bool = False
    ) -> list[str]:
        if not (self.is_active() and self.initial_kex_done):
            raise SSHException("No existing session")
        if ahead:
            self.auth_timeout = min(PATIENCE_S, self.auth_timeout / 3)
        handler, answer = Attempt(self, ahead=ahead), Answer(self.auth_timeout)
        self.auth_handler = handler
        ask(handler, answer)
        if ahead:
            self._start_expected()
        try:
            missing = handler.wait_for_response(answer)
        except (SSHException, EOFError) as error:
            if handler.is_authenticated():  # it hung up since, for what came after: whoever uses that is told
                self.saved_exception = None if isinstance(error, AuthenticationException) else error
                return []
            self._withdraw()
            if ahead and self.is_active() and not answer.is_set():
                raise Unheard("a command", self.remote_version) from error
            raise
        if missing:
            self._withdraw()
        return missing

    def _withdraw(self) -> None:
        """Forget the command that went ahead of a login that failed, or that is not all."""
        early, self._early = self._early, None
        if early is not None:
            number = early.channel.chanid
            self._unlink_channel(number)
            self.channel_events.pop(number, None)  # it may have been refused already
            del self.channels_seen[number]

    def _parse_unimplemented(self, _message: Message) -> None:
        """Bear it of what went ahead, once for each message."""
        self._bearable -= 1
        if self._bearable < 0:
            raise SSHException("the host does not know a message that every host must know")

    def _ask_command(self, line: str, *, pty: bool) -> _Asked:
        """Ask for a channel, and where that can be done at once for a command on it."""
        whole = self.takes_messages_ahead and not self.channels_seen
        make = self._command if self._in_strands else self._orderly
        channel, answer = self._ask("session", b"", make)
        if whole:
            self._start_command(channel, line, pty=pty)
        return _Asked(line, pty, channel, answer, whole)

    def _start_command(self, channel: _AnyChannel, line: str, *, pty: bool) -> None:
        """Ask for a command, and a terminal first, without waiting: a refusal closes the channel."""
        for payload in requests(channel.remote_chanid, line, pty=pty):
            self._send_soon(payload)

    def _command(self, number: int) -> StrandCommand:
        return StrandCommand(self, number, self.default_window_size)

    def _orderly(self, number: int) -> paramiko.Channel:
        channel = QuietChannel(number)
        channel._set_transport(Orderly(self))  # type: ignore[attr-defined]  # noqa: SLF001 - as `open_channel` does
        channel._set_window(self.default_window_size, self.default_max_packet_size)  # type: ignore[attr-defined]  # noqa: SLF001
        return channel

    def _ask(self, kind: str, rest: bytes, make: Callable[[int], _C]) -> tuple[_C, Signal]:
        """Ask for a channel."""
        if not self.is_active():
            raise SSHException("SSH session not active")
        answer = Signal()
        with self.lock:
            number = self._next_channel()  # type: ignore[attr-defined]  # not in its stubs
            channel = make(number)
            self._channels.put(number, channel)
            self.channel_events[number] = answer
            self.channels_seen[number] = True
        sizes = _THREE.pack(number, self.default_window_size, self.default_max_packet_size)
        self._send_soon(cMSG_CHANNEL_OPEN + text(kind.encode()) + sizes + rest)
        return channel, answer

    def _await_channel(self, channel: _AnyChannel, answer: Signal, timeout_s: float) -> None:
        answered = answer.wait(timeout_s)
        if channel.active:  # and perhaps over by now, with all that was printed still to be read
            return
        words = "Unable to open channel." if answered else "Timeout opening channel."
        raise self.get_exception() or SSHException(words)
