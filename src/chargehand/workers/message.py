"""Messages: what a run and its workers tell each other, and how that is put into bytes.

A frame is a length and a pickle of some messages, written and read by this package only. Values stand in it
as tuples, which takes a fifth of the time that their classes would.
"""

import copyreg
import pickle
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from io import BytesIO
from operator import attrgetter
from typing import Any, Final, NamedTuple

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import Ending
from chargehand.script import RenderedScript
from chargehand.secret import Secret

INNER: Final = "ssh"
"""The provider by which workers reach hosts."""

WINDOW_BYTES: Final = 1 << 17
"""Output of one session that may be on its way or wait to be heard; the host waits then."""


class Setup(NamedTuple):
    """The first message to a worker.

    Attributes:
        environ: Variables of this process, for what a worker starts: proxy commands and ssh.
        level: Records below it are not wanted.
        keeps: As of `Keep`.
    """

    environ: Mapping[str, str]
    level: int
    keeps: int


class Keep(NamedTuple):
    """Keep so many connections whose script has ended."""

    most: int


class Ping(NamedTuple):
    """Say that you are there."""


class Leave(NamedTuple):
    """Let go of everything, save what was learned, and end."""


class Open(NamedTuple):
    """Reach a host.

    Attributes:
        number: Of the session, in all messages about it.
        settings: How.
        script: What it will be asked to run first, if that is known.
        place: Where the host is thought to belong; None when the worker has it wherever it belongs.
    """

    number: int
    settings: ConnectionSettings
    script: RenderedScript | None
    place: str | None


class Run(NamedTuple):
    """Run a script; None is the one that came with `Open`."""

    number: int
    script: RenderedScript | None


class Press(NamedTuple):
    """The stop button was pressed: the one given to `Session.run`, or to `Provider.open`."""

    number: int
    running: bool
    reason: str
    now: bool


class Credit(NamedTuple):
    """So many bytes of output were heard."""

    number: int
    size_bytes: int


class Settle(NamedTuple):
    """The result is safe."""

    number: int


class Close(NamedTuple):
    """End the session."""

    number: int


class Opened(NamedTuple):
    """The host is reached."""

    number: int


class Elsewhere(NamedTuple):
    """The host belongs to another place, and was not reached."""

    number: int
    place: str


class Refused(NamedTuple):
    """The host is `Unreachable`."""

    number: int
    code: str
    reason: str
    again: bool


class Started(NamedTuple):
    """The script runs."""

    number: int


class Output(NamedTuple):
    """The script printed something."""

    number: int
    stream: Stream
    chunk: bytes


class Ended(NamedTuple):
    """The script started, and this is its end."""

    number: int
    ending: Ending


class NotBegun(NamedTuple):
    """The script was `NotStarted`."""

    number: int
    code: str
    reason: str
    noise: str


class Settled(NamedTuple):
    """`Settle` is done."""

    number: int


class Failed(NamedTuple):
    """What was asked for ended with an exception that no provider should raise.

    Attributes:
        pickled: The exception, where it can be pickled.
        words: Its type and message.
        trace: Where it was raised.
    """

    number: int
    pickled: bytes | None
    words: str
    trace: str


class Logged(NamedTuple):
    """A record of a logger of ours; with the words of an exception, if one goes with it."""

    name: str
    level: int
    message: str
    file: str
    line: int
    trace: str | None


class Pong(NamedTuple):
    """The answer to `Ping`."""


class Left(NamedTuple):
    """The last message of a worker: what it learned is saved."""


_KINDS: Final[tuple[type[Any], ...]] = (
    Setup, Keep, Ping, Leave, Open, Run, Press, Credit, Settle, Close,
    Opened, Elsewhere, Refused, Started, Output, Ended, NotBegun, Settled, Failed, Logged, Pong, Left,
)  # fmt: skip
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}

Order = Run | Press | Credit | Settle | Close
"""What is told of a session that is there, or being opened."""
News = Opened | Elsewhere | Refused | Started | Output | Ended | NotBegun | Settled | Failed
"""What is heard of a session."""
Message = Setup | Keep | Ping | Leave | Open | Order | News | Logged | Pong | Left

_LENGTH: Final = struct.Struct("!Q")


def _of_secret(secret: Secret) -> tuple[Callable[[str], Secret], tuple[str]]:
    return Secret, (secret.reveal(),)


_NAMES: Final = {
    kind: tuple(each.name for each in fields(kind)) for kind in (ConnectionSettings, RenderedScript, Ending)
}


def _made(kind: type[Any], values: tuple[object, ...]) -> object:
    return kind(**dict(zip(_NAMES[kind], values, strict=True)))


def _by_values(kind: type[Any]) -> Callable[[object], tuple[Callable[..., object], tuple[object, ...]]]:
    """How a value is taken apart in a third of the time that any frozen one takes."""
    values = attrgetter(*_NAMES[kind])
    return lambda value: (_made, (kind, values(value)))


class _Pickler(pickle.Pickler):
    """Takes secrets along, which by themselves refuse to be pickled: the worker needs them."""

    dispatch_table = (
        copyreg.dispatch_table | {Secret: _of_secret} | {kind: _by_values(kind) for kind in _NAMES}
    )


def pack(messages: Iterable[Message]) -> memoryview:
    """One frame of messages."""
    buffer = BytesIO()
    buffer.write(bytes(_LENGTH.size))
    _Pickler(buffer, 5).dump([(_NUMBERS[message.__class__], *message) for message in messages])
    frame = buffer.getbuffer()
    _LENGTH.pack_into(frame, 0, len(frame) - _LENGTH.size)
    return frame


def unpack(received: bytearray) -> Iterator[Message]:
    """Take the messages of all whole frames out of what was received."""
    at = 0
    with memoryview(received) as view:
        while len(view) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(view, at)
            begin, end = at + _LENGTH.size, at + _LENGTH.size + size
            if end > len(view):
                break
            with view[begin:end] as frame:
                told = pickle.loads(frame)  # noqa: S301 - written by our own worker, over a socket of ours
            for number, *values in told:
                yield _KINDS[number](*values)
            at = end
    del received[:at]
