"""The worker: a process that reaches hosts for a run, each in a strand, and tells it what comes of that.

It is started by `chargehand.workers.process` with one socket as its standard input. When the other end is
closed, which may come by force, it ends at once: connections drop, and hosts stop what they run for us.
"""

import logging
import os
import pickle
import signal
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from types import FrameType
from typing import Final, Protocol, runtime_checkable

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import NotStarted, Provider, Session, Stop, Unreachable, find_provider
from chargehand.script import RenderedScript
from chargehand.strand import Hub, Signal
from chargehand.workers.line import Line
from chargehand.workers.message import (
    INNER,
    WINDOW_BYTES,
    Close,
    Credit,
    Elsewhere,
    Ended,
    Failed,
    Keep,
    Leave,
    Left,
    Logged,
    Message,
    News,
    NotBegun,
    Open,
    Opened,
    Order,
    Output,
    Press,
    Refused,
    Run,
    Settle,
    Settled,
    Setup,
    Started,
)

_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PIECE: Final = WINDOW_BYTES // 2


@runtime_checkable
class Placing(Protocol):
    """A provider that can tell which hosts share something on the way to them."""

    def place(self, settings: ConnectionSettings) -> str:
        """Equal for hosts that one process must reach.

        Raises:
            Unreachable: As `Provider.open`.
        """


class Worker:
    """What the process is: who it tells, and the hosts that it is at.

    Args:
        line: To the run.
        hub: Serves the hosts.
    """

    def __init__(self, line: Line, hub: Hub) -> None:
        self._line = line
        self._hub = hub
        self._hosts: dict[int, _Host] = {}
        self._provider: Provider = _Nobody()

    def serve(self) -> None:
        """Do what the run asks for until it says that this was all."""
        while messages := self._line.receive():
            for message in messages:
                self._obey(message)
                if isinstance(message, Leave):
                    return
        os._exit(os.EX_OK)

    def _obey(self, message: Message) -> None:
        match message:
            case Run() | Press() | Credit() | Settle() | Close():
                if host := self._hosts.get(message.number):
                    host.hear(message)
            case Open():
                host = self._hosts[message.number] = _Host(message, self._provider, self._line)
                self._begin(partial(self._serve_one, host, message.number))
            case Setup():
                self._begin_with(message)
            case Keep():
                self._keep(message.most)
            case Leave():
                self._provider.close()
                self._line.send(Left())

    def _begin_with(self, setup: Setup) -> None:
        os.environ.update(setup.environ)
        logger = logging.getLogger("chargehand")
        logger.setLevel(setup.level)
        logger.addHandler(_Reporter(self._line))
        self._provider = find_provider(INNER)()
        self._keep(setup.keeps)

    def _keep(self, most: int) -> None:
        if hasattr(self._provider, "keeps"):
            self._provider.keeps = most

    def _begin(self, work: Callable[[], object]) -> None:
        if self._provider.strands:
            self._hub.spawn(work, serves=True)
        else:
            threading.Thread(target=work, daemon=True).start()

    def _serve_one(self, host: "_Host", number: int) -> None:
        try:
            host.serve()
        finally:
            del self._hosts[number]


class _Nobody:
    """Stands for the provider before it is known which."""

    strands = False

    def open(self, settings: ConnectionSettings, stop: Stop, script: RenderedScript | None = None) -> Session:
        raise NotImplementedError

    def close(self) -> None:
        pass


class _Host:
    """One session, and the watcher of what it runs."""

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


class _Reporter(logging.Handler):
    """Hands records to the run; of an exception also what a record without it lacks, its type and place."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        message, trace = record.getMessage(), None
        if record.exc_info and record.exc_info[0] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info))
            frames = traceback.extract_tb(record.exc_info[2])
            where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            message += f": {record.exc_info[0].__name__}{where}"
        self._line.send(Logged(record.name, record.levelno, message, record.pathname, record.lineno, trace))


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


def main() -> None:
    """Serve the run at the other end of standard input."""
    for number in _IGNORED:  # by a function, which programs that we start do not inherit
        signal.signal(number, _ignore)
    connection = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor, not a document
        os.dup2(nothing.fileno(), 0)
    with closing(Hub()) as hub:
        hub.spawn(Worker(Line(connection, hub), hub).serve)
        hub.run()
    os._exit(os.EX_OK)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Who started us decides what a signal to all of us means."""


if __name__ == "__main__":
    main()
