"""Served: one host in a worker - its session, and the watcher of what runs there."""

import pickle
import traceback
from collections import deque
from contextlib import closing, suppress
from typing import Final, Protocol, runtime_checkable

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import NotStarted, Provider, Session, Stop, Unreachable
from chargehand.strand import Signal
from chargehand.workers.line import Line
from chargehand.workers.message import (
    WINDOW_BYTES,
    Close,
    Credit,
    Elsewhere,
    Ended,
    Failed,
    News,
    NotBegun,
    Open,
    Opened,
    Order,
    Output,
    Press,
    Refused,
    Run,
    Settled,
    Started,
)

_PIECE: Final = WINDOW_BYTES // 2
"""So that one more piece always goes out before the other side has to say that it heard some."""


@runtime_checkable
class Placing(Protocol):
    """A provider that can tell which hosts share something on the way to them."""

    def place(self, settings: ConnectionSettings) -> str:
        """Equal for hosts that one process must reach.

        Raises:
            Unreachable: As `Provider.open`.
        """


class Served:
    """One session, and the watcher of what it runs.

    Args:
        order: What came first.
        provider: Reaches the host.
        line: To the run.
    """

    def __init__(self, order: Open, provider: Provider, line: Line) -> None:
        self._order = order
        self._number = order.number
        self._provider = provider
        self._tell = line.send
        self._opening = Stop()
        self._running = Stop()
        self._orders: deque[Order] = deque()
        self._stir = Signal()
        self._closing = False
        self._told_bytes = 0
        self._heard_bytes = 0

    def hear(self, order: Order) -> None:
        """Take what the run says of this session; called from the strand that reads."""
        match order:
            case Press(running=running):
                (self._running if running else self._opening).press(order.reason, now=order.now)
                return
            case Credit():
                self._heard_bytes += order.size_bytes
            case Run():
                self._running = Stop()
                self._orders.append(order)
            case Close():
                self._closing = True
                self._orders.append(order)
                for stop in (self._opening, self._running):
                    stop.press("cancelled", now=True)
            case _:
                self._orders.append(order)
        self._stir.set()

    def serve(self) -> None:
        """Do what is asked for, one thing after the other, until the session is closed."""
        session = self._open()
        if session is None:
            return
        with closing(session):
            while not isinstance(order := self._next(), Close):
                try:
                    self._tell(self._obey(order, session))
                except BaseException as error:  # noqa: BLE001 - raised where the host is waited for
                    self._tell(_failed(self._number, error))

    def started(self) -> None:
        """See `chargehand.provider.Watcher`."""
        self._tell(Started(self._number))

    def output(self, stream: Stream, chunk: bytes) -> None:
        """Pass it on, when the run has heard enough of what came before."""
        pieces = (chunk[at : at + _PIECE] for at in range(0, len(chunk), _PIECE))
        for piece in (chunk,) if len(chunk) <= _PIECE else pieces:
            self._told_bytes += len(piece)
            while self._told_bytes - self._heard_bytes > WINDOW_BYTES and not self._closing:
                self._wait()
            if self._closing:
                return
            self._tell(Output(self._number, stream, piece))

    def _open(self) -> Session | None:
        order = self._order
        try:
            if order.place is not None and isinstance(self._provider, Placing):
                place = self._provider.place(order.settings)
                if place != order.place:
                    self._tell(Elsewhere(self._number, place))
                    return None
            session = self._provider.open(order.settings, self._opening, order.script)
        except Unreachable as trouble:
            self._tell(Refused(self._number, trouble.code, trouble.reason, trouble.again))
        except BaseException as error:  # noqa: BLE001 - as above
            self._tell(_failed(self._number, error))
        else:
            self._tell(Opened(self._number))
            return session
        return None

    def _obey(self, order: Order, session: Session) -> News:
        if not isinstance(order, Run):
            session.settle()
            return Settled(self._number)
        script = order.script or self._order.script
        assert script is not None  # noqa: S101 - whoever sends none has sent it before
        try:
            return Ended(self._number, session.run(script, self, self._running))
        except NotStarted as trouble:
            return NotBegun(self._number, trouble.code, trouble.reason, trouble.noise)

    def _next(self) -> Order:
        while not self._orders:
            self._wait()
        return self._orders.popleft()

    def _wait(self) -> None:
        """Wait until something is heard; at once when that was since the last wait."""
        self._stir.wait()
        self._stir.clear()


def _failed(number: int, error: BaseException) -> Failed:
    words = f"{type(error).__name__}: {error}"
    return Failed(number, _pickled(error), words, "".join(traceback.format_exception(error)))


def _pickled(error: BaseException) -> bytes | None:
    """The exception, if it comes back from that as it was."""
    with suppress(Exception):
        pickled = pickle.dumps(error)
        if type(pickle.loads(pickled)) is type(error):  # noqa: S301 - our own
            return pickled
    return None
