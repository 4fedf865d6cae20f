"""Messages of SSH as bytes (RFC 4251 section 5): put together at once, and read without a file in between."""

import struct
from typing import Final

from paramiko.common import cMSG_GLOBAL_REQUEST
from paramiko.message import Message

NUMBER: Final = struct.Struct(">I")
"""A `uint32`: most lengths, and the numbers of channels."""
_PADDED: Final = 1 << 20


def text(value: bytes) -> bytes:
    """A `string`: its length, then its bytes."""
    return NUMBER.pack(len(value)) + value


def mpint(number: int) -> bytes:
    """A whole number that is not negative, of any size."""
    return text(number.to_bytes(number.bit_length() // 8 + 1 if number else 0))


KEEPALIVE: Final = cMSG_GLOBAL_REQUEST + text(b"keepalive@openssh.com") + b"\1"
"""Asks for a reply, if only that this is not known."""


class Received(Message):
    """A message that came: paramiko's, read from the bytes themselves.

    What is missing at its end is read as zeros, as paramiko does.
    """

    seqno: int

    def __init__(self, content: bytes) -> None:  # what it would make is made of `content` here
        self._content = content
        self._at = 0

    def __repr__(self) -> str:
        return f"Received({self._content!r})"

    def asbytes(self) -> bytes:
        """All of it."""
        return self._content

    def rewind(self) -> None:
        """Read from its beginning again."""
        self._at = 0

    def get_remainder(self) -> bytes:
        """What is not read yet."""
        return self._content[self._at :]

    def get_so_far(self) -> bytes:
        """What was read."""
        return self._content[: self._at]

    def get_bytes(self, n: int) -> bytes:
        """The next `n` bytes."""
        chunk = self._content[self._at : self._at + n]
        self._at += len(chunk)
        return chunk + bytes(n - len(chunk)) if len(chunk) < n < _PADDED else chunk

    def get_int(self) -> int:
        """The next number of four bytes."""
        number: int
        try:
            (number,) = NUMBER.unpack_from(self._content, self._at)
        except struct.error:
            return int.from_bytes(self.get_bytes(4))
        self._at += NUMBER.size
        return number

    def get_binary(self) -> bytes:
        """The next string."""
        return self.get_bytes(self.get_int())

    get_string = get_binary
