"""Frames: JSON values over a socket, each after its length; how renderer and worker talk.

Only plain data can be said: text, numbers, booleans, None, lists and mappings. What JSON has no word for -
a mapping with other keys than text, a withheld secret - is marked with a key that starts with NUL, which
no document can hold.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chargehand.secret import Secret, Vaulted

PAIRS = "\0pairs"
WITHHELD = "\0withheld"

_LENGTH = struct.Struct("!Q")
_SCALARS = (str, int, float, bool, type(None))
_AS_IT_IS = frozenset((str, int, float, bool, type(None)))


class NotPlainError(TypeError):
    """A value that is no plain data; names its path."""


class Source(Protocol):
    """What frames are read from: a socket's ``recv``."""

    def __call__(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def encode(value: object) -> bytes:
    """One frame.

    Raises:
        NotPlainError: A value in it is no plain data.
    """
    return framed(text(value))


def text(value: object, path: str = "") -> bytes:
    """The JSON text of a value that is, or becomes, a part of a frame.

    Args:
        value: Plain data.
        path: Where in the frame it stands, by which an error or a withheld secret in it is called.

    Raises:
        NotPlainError: A value in it is no plain data.
    """
    try:
        return json.dumps(_plain(value, path), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise NotPlainError("a text holds half of a surrogate pair") from error


def framed(payload: bytes) -> bytes:
    """A JSON text as a frame."""
    return _LENGTH.pack(len(payload)) + payload


def decode(payload: bytes, withheld: Callable[[str], object] = str) -> dict[str, Any]:
    """The value of a frame without its length; `withheld` makes the stand-in for a withheld variable."""
    said = payload.decode()
    if "\\u0000" not in said:
        return dict(json.loads(said))

    def revive(mapping: dict[str, Any]) -> object:
        if PAIRS in mapping:
            return dict(mapping[PAIRS])
        return withheld(mapping[WITHHELD]) if WITHHELD in mapping else mapping

    return dict(json.loads(said, object_hook=revive))


def read(receive: Source) -> bytes:
    """The next frame without its length.

    Raises:
        EOFError: The other side is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(receive, _LENGTH.size))
    return _exactly(receive, length)


def _exactly(receive: Source, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = receive(min(size - len(received), 1 << 20))
        if not chunk:
            raise EOFError("the other side is gone")
        received += chunk
    return bytes(received)


def _plain(value: object, path: str) -> object:
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {
                key: item if type(item) in _AS_IT_IS else _plain(item, f"{path}.{key}")
                for key, item in value.items()
            }
        return {PAIRS: [[_key(key, path), _plain(item, f"{path}.{key}")] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [
            item if type(item) in _AS_IT_IS else _plain(item, f"{path}[{number}]")
            for number, item in enumerate(value)
        ]
    if isinstance(value, Secret | Vaulted):
        return {WITHHELD: path.lstrip(".")}
    if isinstance(value, _SCALARS):
        return value
    raise NotPlainError(f"`{path.lstrip('.')}` is a {type(value).__name__}, not plain data")


def _key(key: object, path: str) -> object:
    if not isinstance(key, _SCALARS) or (isinstance(key, float) and math.isnan(key)):
        raise NotPlainError(f"`{path.lstrip('.')}` has a key that is a {type(key).__name__}, not plain data")
    return key
