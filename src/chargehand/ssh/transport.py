"""SshTransport: paramiko's Transport, run by whatever runs us, without its noise, timer and idle looks.

paramiko reads a connection in a thread of its own, and looks every tenth of a second whether what it waits
for is there. Here it reads in a strand when a strand connects, and waits are `Signal`s.

With `packets`, `agreement`, `exchange`, `attempt`, `command` and `orderly`, all of which serve it, the one
place that leans on what paramiko calls private (names with an underscore): every use is an override or a call
from the subclass, and tests drive each against a real sshd, in threads and strands.
"""

import logging
import os
import struct
import threading
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import paramiko
from paramiko.agent import AgentKey
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_CHANNEL_FAILURE,
    MSG_NEWKEYS,
    MSG_UNIMPLEMENTED,
    cMSG_CHANNEL_OPEN,
    cMSG_GLOBAL_REQUEST,
    cMSG_KEXINIT,
    cMSG_NEWKEYS,
)
from paramiko.message import Message
from paramiko.ssh_exception import AuthenticationException, SSHException

from chargehand.ssh.agreement import (
    AGREEMENTS,
    CHOICES,
    COOKIE_BYTES,
    Agreement,
    Mismatch,
    compose_offer,
    find_mismatch,
)
from chargehand.ssh.attempt import Answer, Attempt
from chargehand.ssh.command import Command, StrandCommand, ThreadCommand, requests
from chargehand.ssh.exchange import EXCHANGES
from chargehand.ssh.message import NUMBER, mpint, text
from chargehand.ssh.orderly import Orderly, QuietChannel
from chargehand.ssh.packets import Packets, PlainPackets
from chargehand.ssh.wire import Wire
from chargehand.strand import Signal, begin, hub_here

log = logging.getLogger(__name__)
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its errors go to stderr

PATIENCE_S: Final = 10.0
"""How long a host may say nothing to what came ahead; then it is taken for one that does not bear that."""

_TAG_BYTES = 16  # of AES-GCM (RFC 5647 section 5)
_THREE = struct.Struct(">III")
_KEEPALIVE = cMSG_GLOBAL_REQUEST + text(b"keepalive@openssh.com") + b"\1"
_Handler = Callable[[str, str, list[tuple[str, bool]]], list[str]]
_AnyChannel = paramiko.Channel | StrandCommand
_C = TypeVar("_C", bound=_AnyChannel)
_OTHER_CIPHERS = ("aes128-ctr", "aes192-ctr", "aes256-ctr")


class Unheard(SSHException):
    """A host said nothing to what it got ahead of its own answers.

    Attributes:
        version: What it calls itself.
    """

    def __init__(self, version: str) -> None:
        super().__init__(f"{version} does not answer what comes ahead")
        self.version = version


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


class SshTransport(paramiko.Transport):
    """One SSH connection's protocol.

    Args:
        wire: The bytes below.
        title: The host, for people.
        host_key_algorithms: To offer, in this order.
        plain: Versions of hosts that are to get nothing ahead.

    Attributes:
        farewell: What the host said when it disconnected.
        host_key_blob: The key, or certificate, that the host proved to have.
    """

    # Plain values, where paramiko filters by what may be disabled at every use.
    preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", *_OTHER_CIPHERS)
    preferred_kex = paramiko.Transport._preferred_kex  # type: ignore[attr-defined]  # noqa: SLF001 - its defaults
    preferred_macs = paramiko.Transport._preferred_macs  # type: ignore[attr-defined]  # noqa: SLF001 - its defaults
    preferred_compression = ("none",)
    active: bool
    agreed_on_strict_kex: bool
    packetizer: Packets | PlainPackets
    _expected_packet: tuple[int, ...]
    _handler_table: dict[int, Callable[[Message], object]]
    _kex_info = paramiko.Transport._kex_info | EXCHANGES  # type: ignore[attr-defined]  # noqa: SLF001 - its table

    def __init__(
        self, wire: Wire, *, title: str, host_key_algorithms: Sequence[str], plain: Container[str] = ()
    ) -> None:
        self._in_strands = hub_here() is not None
        self._tells = log.isEnabledFor(logging.DEBUG)
        self._postponed: list[bytes] = []
        layer = partial(Packets, take=self._take) if self._in_strands else PlainPackets
        super().__init__(wire, packetizer_class=layer)  # type: ignore[arg-type]  # what it uses of a socket
        if self._in_strands:
            self._channels = _Channels()
        self.name = f"chargehand-ssh {title}"
        self.farewell = ""
        self.host_key_blob = b""
        self._host_key_algorithms = tuple(host_key_algorithms)
        self._offered: dict[str, list[str]] = {}
        self._offered_early = False
        self._begun = False
        self._secret = b""
        self._over = Signal()
        self._plain = plain
        self._expected: tuple[str, bool] | None = None
        self._early: _Asked | None = None
        self._bearable = 0
        self._handler_table[MSG_UNIMPLEMENTED] = self._parse_unimplemented
        self.clear_to_send = Signal()

    @property
    def preferred_keys(self) -> Sequence[str]:
        """The host key algorithms to offer, in the order of what is known of the host."""
        return self._host_key_algorithms

    def mismatch(self) -> Mismatch | None:
        """Why no algorithms could be agreed on; None when that is not what failed."""
        ours = (self.preferred_kex, self.preferred_keys, self.preferred_ciphers, self.preferred_macs)
        return find_mismatch(self._offered, *ours)

    def ask_for_reply(self) -> None:
        """Send a request that every server answers, if only with a refusal; do not wait for it."""
        self._send_soon(_KEEPALIVE)

    def send_payload(self, payload: bytes) -> None:
        """Send a message of a channel; while keys are exchanged, after that. Called in strands."""
        if not self.active:
            return
        if self.clear_to_send.is_set():
            self.packetizer.send(payload)
        else:
            self._postponed.append(payload)

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

    def _send_soon(self, payload: bytes) -> None:
        """Send a message when no keys are exchanged; paramiko looks ten times a second whether they are."""
        if self._in_strands and self.active and self.clear_to_send.is_set():
            self.packetizer.send(payload)
        else:
            self._send_user_message(Message(payload))  # type: ignore[attr-defined]  # not in its stubs

    def start_client(self, event: object = None, timeout: float | None = None) -> None:  # noqa: ARG002 - nobody gives one
        """Exchange keys; return also when there was no time for it, as paramiko does."""
        agreed = Signal()
        super().start_client(event=agreed)
        agreed.wait(timeout)
        if not self.is_active():
            raise self.get_exception() or SSHException("Negotiation failed.")

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
        """Say which command will be asked for first, so that it may go out with the login."""
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
        """Open a channel and ask for a command on it.

        OpenSSH is asked at once, without waiting for the channel, which on a new connection is its number 0.

        Raises:
            SSHException: The connection broke, or there was no answer in time.
            ChannelException: The host opens no channel.
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
        """Open a channel that may be closed by one thread while another sends; raises as `open_command`."""
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
        version = self.remote_version
        return version.startswith("SSH-2.0-OpenSSH_") and version not in self._plain

    def start(self) -> None:
        """Begin to read, beside the caller."""
        self._begun = True
        begin(self._read, self.name)

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing is read any more."""
        if self._begun:
            self._over.wait(timeout)

    def is_alive(self) -> bool:
        """Whether the connection is read."""
        return self._begun and not self._over.is_set()

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
                raise Unheard(self.remote_version) from error
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
            del self.channel_events[number], self.channels_seen[number]

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

    def _read(self) -> None:
        try:
            self.run()
        finally:
            self._over.set()

    def _log(self, level: int, msg: object, *args: object) -> None:  # noqa: ARG002 - its levels are not ours
        if self._tells:
            for line in msg if isinstance(msg, list) else [msg]:
                log.debug(line, *args)

    def _check_banner(self) -> None:
        """Do not wait for the host's version before the first message, as RFC 4253 section 7.1 allows.

        Only where that goes out with our own version: a thread that sends to a host which has hung up would
        not come to read why.
        """
        if isinstance(self.packetizer, Packets):
            self._send_kex_init()
            self._offered_early = True
        super()._check_banner()  # type: ignore[misc]  # not in its stubs

    def _send_kex_init(self) -> None:
        if self._offered_early:
            self._offered_early = False  # paramiko's turn to send what was sent already
            return
        with self.clear_to_send_lock:
            self.clear_to_send.clear()
        self.in_kex = True
        offer = compose_offer(
            self.preferred_kex,
            self._host_key_algorithms,
            self.preferred_ciphers,
            self.preferred_macs,
            self.preferred_compression,
        )
        offer = cMSG_KEXINIT + os.urandom(COOKIE_BYTES) + offer
        self.local_kex_init = self._latest_kex_init = offer
        self.packetizer.send(offer)

    def _parse_kex_init(self, m: Message) -> None:
        """Agree on algorithms; what a host offers is offered by many, so that one answer serves them all."""
        first = not (self.initial_kex_done or m.seqno)
        key = (m.asbytes()[COOKIE_BYTES:], self._host_key_algorithms)
        if first and (agreement := AGREEMENTS.recall(key)):
            vars(self).update(agreement.choices)
            self.kex_engine = agreement.engine(self)
            self.remote_kex_init = cMSG_KEXINIT + m.asbytes()[: agreement.size_bytes]
            return
        super()._parse_kex_init(m)  # type: ignore[misc]  # not in its stubs
        if first:
            choices = {name: value for name, value in vars(self).items() if name in CHOICES}
            size_bytes = len(self.remote_kex_init) - len(cMSG_KEXINIT)
            AGREEMENTS.remember(key, Agreement(type(self.kex_engine), choices, size_bytes))

    def _set_K_H(self, k: int | bytes, h: bytes) -> None:  # noqa: N802 - paramiko's name
        super()._set_K_H(k, h)  # type: ignore[misc]  # not in its stubs
        self._secret = (mpint(k) if isinstance(k, int) else text(k)) + h

    def _compute_key(self, id: str, nbytes: int) -> bytes:
        """One of six keys (RFC 4253 section 7.2), of a secret that is put into bytes once."""
        digest = self.kex_engine.hash_algo  # type: ignore[union-attr]  # there is one by now, and it has one
        key: bytes = digest(self._secret + id.encode() + (self.session_id or b"")).digest()
        while len(key) < nbytes:
            key += digest(self._secret + key).digest()
        return key[:nbytes]

    def _activate_inbound(self) -> None:
        """Read with the new keys; with AES-GCM there are two, where paramiko makes a third for a MAC."""
        info = self._cipher_info[self.remote_cipher]  # type: ignore[attr-defined]  # not in its stubs
        if not info.get("is_aead"):
            super()._activate_inbound()  # type: ignore[misc]  # not in its stubs
            return
        nonce, key = self._compute_key("B", info["iv-size"]), self._compute_key("D", info["key-size"])
        sealed: dict[str, Any] = {"aead": True, "iv_in": nonce, "mac_engine": None, "mac_key": None}
        self.packetizer.set_inbound_cipher(
            info["class"](key), block_size=info["block-size"], mac_size=_TAG_BYTES, **sealed
        )
        if self.agreed_on_strict_kex:
            self.packetizer.reset_seqno_in()

    def _activate_outbound(self) -> None:
        """Send with the new keys; see `_activate_inbound`."""
        info = self._cipher_info[self.local_cipher]  # type: ignore[attr-defined]  # not in its stubs
        if not info.get("is_aead"):
            super()._activate_outbound()  # type: ignore[misc]  # not in its stubs
            return
        self.packetizer.send(cMSG_NEWKEYS)
        if self.agreed_on_strict_kex:
            self.packetizer.reset_seqno_out()
        nonce, key = self._compute_key("A", info["iv-size"]), self._compute_key("C", info["key-size"])
        sealed: dict[str, Any] = {"aead": True, "iv_out": nonce, "mac_engine": None, "mac_key": None}
        self.packetizer.set_outbound_cipher(
            info["class"](key), block_size=info["block-size"], mac_size=_TAG_BYTES, **sealed
        )
        if not self.packetizer.need_rekey():
            self.in_kex = False
        self._expected_packet = (MSG_NEWKEYS,)

    def _parse_newkeys(self, m: Message) -> None:
        super()._parse_newkeys(m)  # type: ignore[misc]  # not in its stubs
        self._secret = b""
        postponed, self._postponed = self._postponed, []
        for payload in postponed:
            self.send_payload(payload)

    def _really_parse_kex_init(self, m: Message, ignore_first_byte: bool = False) -> dict[str, Any]:
        parsed: dict[str, Any] = super()._really_parse_kex_init(m, ignore_first_byte)  # type: ignore[misc]  # not in its stubs
        self._offered = {name: list(value) for name, value in parsed.items() if isinstance(value, list)}
        return parsed

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        super()._verify_key(host_key, sig)  # type: ignore[misc]  # not in its stubs
        self.host_key_blob = bytes(host_key)

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        self.farewell = m.get_text()
