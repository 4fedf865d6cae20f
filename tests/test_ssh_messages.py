"""Messages, packets and channels of ours, held against paramiko's, which has done the same for years."""

import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as some
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
)
from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.ssh_exception import SSHException

from chargehand.ssh.command import StrandCommand
from chargehand.ssh.message import Received, mpint, text
from chargehand.ssh.packets import MAX_PACKET_BYTES, Packets
from chargehand.ssh.wire import Wire
from laws import tried

WINDOW_BYTES = 1000
READERS = (
    "get_int",
    "get_int64",
    "get_string",
    "get_binary",
    "get_boolean",
    "get_byte",
    "get_mpint",
    "get_so_far",
    "get_remainder",
    "asbytes",
)


class Pipe:
    """What is sent comes back; a socket to paramiko, a line to a `Wire`."""

    def __init__(self, most: int = 1 << 20) -> None:
        self.most = most
        self.held = b""

    def settimeout(self, seconds: float | None) -> None:
        """Nothing is waited for."""

    def send(self, chunk: bytes) -> int:
        self.held += chunk
        return len(chunk)

    def recv(self, size: int) -> bytes:
        chunk = self.held[: min(size, self.most)]
        self.held = self.held[len(chunk) :]
        return chunk

    def shut(self) -> None:
        """Nobody is to be woken."""

    close = shut


class Sent:
    """The messages of a channel."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.unlinked: list[int] = []

    def send_payload(self, payload: bytes) -> None:
        self.payloads.append(payload)

    def _unlink_channel(self, number: int) -> None:
        self.unlinked.append(number)


def packets(pipe: Pipe) -> Packets:
    return Packets(Wire(pipe), take=lambda kind, body: False)


def opened(*, room: int = 1 << 20, packet: int = 1 << 15) -> tuple[StrandCommand, Sent]:
    sent = Sent()
    command = StrandCommand(sent, 3, WINDOW_BYTES)
    command._set_remote_channel(7, room, packet)
    return command, sent


@tried(200)
@given(some.binary(max_size=60), some.lists(some.sampled_from((*READERS, "rewind")), max_size=8))
def test_a_message_is_read_as_paramiko_reads_it(content: bytes, wanted: list[str]) -> None:
    ours, theirs = Received(content), Message(content)
    for name in wanted:
        assert getattr(ours, name)() == getattr(theirs, name)()


@tried(200)
@given(some.binary(max_size=50), some.integers(1, 1 << 300))
def test_strings_and_numbers_are_put_together_as_paramiko_does(value: bytes, number: int) -> None:
    assert text(value) + mpint(number) == Message().add_string(value).add_mpint(number).asbytes()


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "00000000"), (0x9A378F9B2E332A7, "0000000809a378f9b2e332a7"), (0x80, "000000020080")],
)
def test_numbers_are_written_as_in_the_examples_of_rfc_4251(number: int, encoded: str) -> None:
    assert mpint(number).hex() == encoded


@pytest.mark.parametrize("sealed", [False, True], ids=["before there are keys", "with AES-GCM"])
@tried(60)
@given(
    payloads=some.lists(some.binary(min_size=1, max_size=200), min_size=1, max_size=5),
    most=some.integers(1, 300),
)
def test_packets_are_those_of_paramiko_both_ways(sealed: bool, payloads: list[bytes], most: int) -> None:
    pipe = Pipe(most)
    ours, theirs = packets(pipe), Packetizer(pipe)
    for both in (ours, theirs):
        both._initial_kex_done = True
        if sealed:
            seal = {"mac_engine": None, "mac_size": 16, "mac_key": None, "aead": True}
            both.set_outbound_cipher(AESGCM(bytes(16)), block_size=16, iv_out=bytes(12), **seal)
            both.set_inbound_cipher(AESGCM(bytes(16)), block_size=16, iv_in=bytes(12), **seal)
    for writer, reader in ((ours, theirs), (theirs, ours)):
        for payload in payloads:
            writer.send_message(Message(payload))
        for number, payload in enumerate(payloads):
            kind, message = reader.read_message()
            assert (kind, message.asbytes(), message.seqno) == (payload[0], payload[1:], number)


@pytest.mark.parametrize("size", [0, 9, MAX_PACKET_BYTES + 8, 0xFFFFFFFF])
def test_a_packet_of_a_size_that_none_has_is_refused_before_it_is_waited_for(size: int) -> None:
    pipe = Pipe()
    pipe.send(struct.pack(">I", size))
    with pytest.raises(SSHException, match="Invalid packet blocking"):
        packets(pipe).read_message()


def test_the_end_of_the_stream_within_a_packet_ends_the_connection() -> None:
    pipe = Pipe()
    pipe.send(struct.pack(">I", 12) + b"half")
    with pytest.raises(EOFError):
        packets(pipe).read_message()


@tried(100)
@given(
    some.binary(min_size=1, max_size=400), some.integers(0, 500), some.integers(0, 300), some.integers(0, 500)
)
def test_never_more_is_sent_than_the_host_has_room_for(
    content: bytes, room: int, packet: int, more: int
) -> None:
    command, sent = opened(room=room, packet=packet)
    left = content
    for extra in (0, more):
        if extra:
            command.hear(MSG_CHANNEL_WINDOW_ADJUST, struct.pack(">I", extra))
        while left and command.has_room:
            taken = command.send(left)
            assert taken > 0
            left = left[taken:]
    pieces = [payload[9:] for payload in sent.payloads]
    assert b"".join(pieces) + left == content
    assert all(len(piece) <= packet for piece in pieces)
    assert sum(map(len, pieces)) <= room + more
    assert not left or not command.has_room


def test_taking_output_gives_the_host_room_again_when_it_is_worth_a_message() -> None:
    command, sent = opened()
    for kind, head in ((MSG_CHANNEL_DATA, b""), (MSG_CHANNEL_EXTENDED_DATA, struct.pack(">I", 1))):
        command.hear(kind, head + text(b"x" * 60))
    assert command.waiting_bytes == 120
    assert command.take() == (b"x" * 60, b"x" * 60)
    assert sent.payloads == [struct.pack(">BII", MSG_CHANNEL_WINDOW_ADJUST, 7, 120)]
    command.hear(MSG_CHANNEL_DATA, text(b"y"))
    assert command.take() == (b"y", b"")
    assert len(sent.payloads) == 1


def test_a_question_about_the_channel_is_answered_at_once_and_its_close_once_we_close_it_too() -> None:
    command, sent = opened()
    command.hear(MSG_CHANNEL_REQUEST, text(b"exit-status") + b"\0" + struct.pack(">I", 0))
    assert sent.payloads == []
    command.hear(MSG_CHANNEL_REQUEST, text(b"keepalive@openssh.com") + b"\1")
    command.hear(MSG_CHANNEL_CLOSE, b"")
    assert [payload[0] for payload in sent.payloads] == [100]
    command.close()
    command.close()
    assert [payload[0] for payload in sent.payloads] == [100, 97]
    assert (command.ended, sent.unlinked) == (True, [3])
    with pytest.raises(OSError, match="closed"):
        command.send(b"more")


def test_a_message_that_is_cut_short_ends_the_connection_in_words() -> None:
    command, _ = opened()
    with pytest.raises(SSHException, match="type 94 is too short"):
        command.hear(MSG_CHANNEL_DATA, b"\0")
