"""Packets: paramiko's own packet layer, with a short way for the ciphers that we ask for first.

Much of what a connection costs is spent here, a few microseconds for every packet. AES-GCM seals a packet in
one call; for it, and before there is any cipher, packets are made and read here. paramiko's class keeps the
counts and takes every other cipher. The names that begin with ``_Packetizer__`` are its own.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from paramiko.common import MSG_CHANNEL_WINDOW_ADJUST
from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer
from paramiko.ssh_exception import SSHException

from chargehand.ssh.message import NUMBER, Received
from chargehand.ssh.wire import Wire

MAX_PACKET_BYTES: Final = 1 << 20
_BLOCK: Final = 16
_PLAIN_BLOCK: Final = 8
_TAG: Final = 16
_NUMBERS: Final = 0xFFFFFFFF
_NONCE: Final = struct.Struct(">4sQ")


class _Engine(Protocol):
    """AES-GCM of one direction."""

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes, /) -> bytes:
        """Sealed `data`."""

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes, /) -> bytes:
        """What was sealed."""


class _Seal:
    """An engine and its nonce, which counts the packets (RFC 5647 section 7.1)."""

    block_bytes = _BLOCK
    unsealed_bytes = 4
    tag_bytes = _TAG

    def __init__(self, engine: _Engine, nonce: bytes) -> None:
        self._engine = engine
        self._fixed = nonce[:4]
        self._count = int.from_bytes(nonce[4:])

    def close(self, packet: bytes, length: bytes) -> bytes:
        nonce = _NONCE.pack(self._fixed, self._count)
        self._count = (self._count + 1) & 0xFFFFFFFFFFFFFFFF
        return self._engine.encrypt(nonce, packet, length)

    def open(self, sealed: bytes, length: bytes) -> bytes:
        nonce = _NONCE.pack(self._fixed, self._count)
        self._count = (self._count + 1) & 0xFFFFFFFFFFFFFFFF
        try:
            return self._engine.decrypt(nonce, sealed, length)
        except InvalidTag:
            raise SSHException("Mismatched MAC") from None


class _Plain:
    """What packets go in before there are keys."""

    block_bytes = _PLAIN_BLOCK
    unsealed_bytes = 0
    tag_bytes = 0

    def close(self, packet: bytes, _length: bytes) -> bytes:
        return packet

    def open(self, packet: bytes, _length: bytes) -> bytes:
        return packet


class PlainPackets(Packetizer):
    """paramiko's, without the thread that times the handshake: its deadline is kept by who waits for it."""

    def start_handshake(self, timeout: float) -> None:
        """Nothing."""

    def send(self, payload: bytes) -> None:
        """Send one message; raises EOFError when the connection has ended."""
        self.send_message(Message(payload))


class Packets(PlainPackets):
    """The packets of one connection, both ways; all in the thread of one hub, so that nothing is locked.

    What fills a packet up is zeros, as paramiko has it for CTR, on which AES-GCM stands.

    Args:
        wire: The bytes below.
        take: Takes a message of a channel, its type and the bytes after that; False when it is not for us.
    """

    _Packetizer__closed: bool
    _Packetizer__need_rekey: bool
    _Packetizer__remainder: bytes
    _Packetizer__sequence_number_in: int
    _Packetizer__sequence_number_out: int
    _Packetizer__sent_bytes: int
    _Packetizer__sent_packets: int
    _Packetizer__received_bytes: int
    _Packetizer__received_packets: int

    def __init__(self, wire: Wire, take: Callable[[int, bytes], bool]) -> None:
        super().__init__(wire)  # type: ignore[arg-type]  # what it uses of a socket
        self._wire = wire
        self._take = take
        self._seal_out: _Seal | _Plain | None = _Plain()
        self._seal_in: _Seal | _Plain | None = _Plain()
        self._overdue_bytes = 0

    def set_outbound_cipher(self, block_engine: Any, *words: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        """What follows is sealed anew."""
        super().set_outbound_cipher(block_engine, *words, **named)
        self._seal_out = _Seal(block_engine, named["iv_out"]) if named.get("aead") else None

    def set_inbound_cipher(self, block_engine: Any, *words: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        """What follows was sealed anew."""
        super().set_inbound_cipher(block_engine, *words, **named)
        self._seal_in = _Seal(block_engine, named["iv_in"]) if named.get("aead") else None

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Exactly so many bytes, without asking for them where they are there already."""
        if not self._Packetizer__remainder and (found := self._wire.take(n)):
            return found
        return super().read_all(n, check_rekey)

    def send_message(self, data: Message) -> None:
        """Send one message."""
        self.send(data.asbytes())

    def send(self, payload: bytes) -> None:
        """See `PlainPackets.send`."""
        seal = self._seal_out
        if seal is None:
            super().send_message(Message(payload))
            return
        size = len(payload)
        padding = 3 + seal.block_bytes - (size + 8 - seal.unsealed_bytes) % seal.block_bytes
        length = NUMBER.pack(1 + size + padding)
        sealed = length + seal.close(b"%c%b%b" % (padding, payload, bytes(padding)), length)
        number = self._Packetizer__sequence_number_out = self._Packetizer__sequence_number_out + 1 & _NUMBERS
        if not number:
            self._check_overflow()
        try:
            sent = self._wire.send(sealed)
        except TimeoutError:
            sent = 0
        except OSError:
            raise EOFError from None
        size = len(sealed)
        if sent < size:
            self.write_all(sealed[sent:])
        self._Packetizer__sent_bytes += size
        self._Packetizer__sent_packets += 1
        if (
            self._Packetizer__sent_bytes >= self.REKEY_BYTES
            or self._Packetizer__sent_packets >= self.REKEY_PACKETS
        ):
            self._wear_out()

    def read_message(self) -> tuple[int, Message]:
        """Read the next message that nobody else takes; its type, and the rest of it.

        Raises:
            SSHException: It is no packet of this connection.
            EOFError: The connection has ended.
            NeedRekeyException: New keys are to be asked for.
        """
        while not self._Packetizer__closed:
            seal = self._seal_in
            if seal is None:
                read: tuple[int, Message] = super().read_message()
                return read
            kind, body, number = self._read(seal)
            if kind < MSG_CHANNEL_WINDOW_ADJUST or not self._take(kind, body):
                message = Received(body)
                message.seqno = number
                return kind, message
            if self._Packetizer__need_rekey:
                raise NeedRekeyException
        raise EOFError

    def _read(self, seal: _Seal | _Plain) -> tuple[int, bytes, int]:
        """The type of the next message, its bytes after that, and its number."""
        wire = self._wire
        if self._Packetizer__remainder:  # of what paramiko read with the host's version
            wire.give_back(self._Packetizer__remainder)
            self._Packetizer__remainder = b""
        while True:
            ahead, start = wire.ahead, wire.at
            body = start + NUMBER.size
            if body <= len(ahead):
                (size,) = NUMBER.unpack_from(ahead, start)
                if not 0 < size <= MAX_PACKET_BYTES or (size + 4 - seal.unsealed_bytes) % seal.block_bytes:
                    raise SSHException("Invalid packet blocking")
                end = body + size + seal.tag_bytes
                if end <= len(ahead):
                    break
            self._fill()
        wire.at = end
        packet = seal.open(ahead[body:end], ahead[start:body])
        number = self._Packetizer__sequence_number_in
        following = self._Packetizer__sequence_number_in = number + 1 & _NUMBERS
        if not following:
            self._check_overflow()
        self._Packetizer__received_bytes += size + seal.tag_bytes + 4
        self._Packetizer__received_packets += 1
        if (
            self._Packetizer__received_bytes >= self.REKEY_BYTES
            or self._Packetizer__received_packets >= self.REKEY_PACKETS
        ):
            self._wear_out()
            self._overdue_bytes += size + seal.tag_bytes + 4
            if self._overdue_bytes >= self.REKEY_BYTES_OVERFLOW_MAX:
                raise SSHException("Remote transport is ignoring rekey requests")
        return packet[1], packet[2 : size - packet[0]], number

    def _fill(self) -> None:
        """Wait until more is there; raises as `read_message`."""
        try:
            self._wire.fill()
        except TimeoutError:
            if self._Packetizer__closed:
                raise EOFError from None
            if self._Packetizer__need_rekey and len(self._wire.ahead) - self._wire.at < NUMBER.size:
                raise NeedRekeyException from None
        except OSError:
            if self._Packetizer__closed:
                raise EOFError from None
            raise

    def _check_overflow(self) -> None:
        """A sequence number that comes again before the first keys is no accident."""
        if not self._initial_kex_done:  # type: ignore[attr-defined]  # not in its stubs
            raise SSHException("Sequence number rolled over during initial kex!")

    def _wear_out(self) -> None:
        """Ask for new keys, once, when these have served long enough."""
        if not self.need_rekey():
            self._overdue_bytes = 0
            self._trigger_rekey()  # type: ignore[attr-defined]  # not in its stubs
