"""The worker: a process that reaches hosts for a run, each in a strand, and tells it what comes of that.

It is started by `chargehand.workers.process` with one socket as its standard input. When the other end is
closed, which may come by force, it ends at once: connections drop, and hosts stop what they run for us. A
thread sees to that where something keeps all strands waiting.
"""

import logging
import os
import select
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from types import FrameType
from typing import Final

from chargehand.provider import Provider, find_provider
from chargehand.strand import Hub
from chargehand.workers.line import Line
from chargehand.workers.message import (
    INNER,
    Keep,
    Leave,
    Left,
    Logged,
    Message,
    Open,
    Order,
    Ping,
    Pong,
    Setup,
)
from chargehand.workers.served import Served

_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LATER_S: Final = 1.0
"""For the strands to end the process themselves."""


class Worker:
    """What the process is: who it tells, and the hosts that it is at.

    Args:
        line: To the run.
        hub: Serves the hosts.
    """

    _provider: Provider  # from the first message on

    def __init__(self, line: Line, hub: Hub) -> None:
        self._line = line
        self._hub = hub
        self._hosts: dict[int, Served] = {}

    def serve(self) -> None:
        """Do what the run asks for until it says that this was all."""
        while messages := self._line.receive():
            for message in messages:
                self._obey(message)
                if isinstance(message, Leave):
                    return
        os._exit(os.EX_OK)

    def _obey(self, message: Message) -> None:
        if isinstance(message, Order):
            if host := self._hosts.get(message.number):
                host.hear(message)
            return
        match message:
            case Open():
                host = self._hosts[message.number] = Served(message, self._provider, self._line)
                self._begin(partial(self._serve_one, host, message.number))
            case Setup():
                self._begin_with(message)
            case Keep():
                self._keep(message.most)
            case Ping():
                self._line.send(Pong())
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

    def _serve_one(self, host: Served, number: int) -> None:
        try:
            host.serve()
        finally:
            del self._hosts[number]


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


def main() -> None:
    """Serve the run at the other end of standard input."""
    for number in _IGNORED:  # by a function, which programs that we start do not inherit
        signal.signal(number, _ignore)
    connection = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor, not a document
        os.dup2(nothing.fileno(), 0)
    with suppress(RuntimeError):  # the system starts no more threads
        threading.Thread(target=_end_with, args=(connection.fileno(),), daemon=True).start()
    with closing(Hub()) as hub:
        hub.spawn(Worker(Line(connection, hub), hub).serve)
        hub.run()
    os._exit(os.EX_OK)


def _end_with(descriptor: int) -> None:
    """End when the other end of a socket is closed."""
    closed = select.poll()
    closed.register(descriptor, 0)
    closed.poll()
    time.sleep(_LATER_S)
    os._exit(os.EX_OK)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Who started us decides what a signal to all of us means."""


if __name__ == "__main__":
    main()
