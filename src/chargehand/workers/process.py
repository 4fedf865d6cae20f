"""WorkerProcess: one worker as the run sees it - a process, the socket to it, the sessions that it has."""

import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from chargehand.beside import NoThreadError, elsewhere
from chargehand.interpreter import start
from chargehand.strand import Hub, Signal
from chargehand.workers.line import Line
from chargehand.workers.message import Keep, Leave, Left, Logged, Message, News, Ping, Setup

_FETCH_S: Final = 5.0
SILENT_S: Final = 30.0
"""A worker that says nothing for so long is asked whether it is there."""
ANSWER_S: Final = 60.0
"""For the answer: it has others to serve, and the machine others to run."""


class Lost(NamedTuple):
    """The worker is gone, and why."""

    why: str


Hear = Callable[["News | Lost"], None]
"""Takes what is heard of one session; must not wait."""


class WorkerProcess:
    """One worker.

    Args:
        hub: Of the strands that it serves, and of one that hears it.
        keeps: How many connections it keeps when their script has ended.

    Attributes:
        line: To the worker.
        gone: Whether it is known to be dead, or to be about to end.

    Raises:
        OSError: The system starts no more processes.
    """

    def __init__(self, hub: Hub, keeps: int) -> None:
        self.gone = False
        self._deaf = False
        self._lock = threading.Lock()
        self._sessions: dict[int, Hear] = {}
        self._left = Signal()
        self._fetched = Signal()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = start("chargehand.workers.worker", channel=theirs)
            except OSError:
                ours.close()
                raise
        self.line = Line(ours, hub)
        level = logging.getLogger("chargehand").getEffectiveLevel()
        self.line.send(Setup(dict(os.environ), level, keeps))
        hub.spawn(self._listen, serves=True)

    @property
    def busy(self) -> int:
        """How many sessions it has."""
        return len(self._sessions)

    def admit(self, number: int, hear: Hear) -> bool:
        """Take a session; False when the worker is gone."""
        with self._lock:
            if not self.gone:
                self._sessions[number] = hear
            return not self.gone

    def dismiss(self, number: int) -> None:
        """Hear no more of a session."""
        self._sessions.pop(number, None)

    def keep(self, most: int) -> None:
        """Have it keep so many connections."""
        self.line.send(Keep(most))

    def leave(self, patience_s: float) -> None:
        """Have it save what it learned; then, or after so many seconds, it ends."""
        self.line.send(Leave())
        if not self._left.wait(patience_s):
            self._process.kill()

    def fetch(self) -> None:
        """Wait until the process, which was told to leave, is no more."""
        if not self._fetched.wait(_FETCH_S):
            self._process.kill()
            self._fetched.wait(_FETCH_S)

    def _listen(self) -> None:
        """Pass on what the worker says, until it is gone."""
        try:
            while messages := self._receive():
                for message in messages:
                    self._hear(message)
        finally:  # whatever we do wrong, nobody waits for ever
            self._bury()

    def _receive(self) -> list[Message]:
        """What the worker says next; nothing when it is gone, or is ended because it does not answer."""
        with suppress(TimeoutError):
            return self.line.receive(SILENT_S)
        self.line.send(Ping())
        try:
            return self.line.receive(ANSWER_S)
        except TimeoutError:
            self._deaf = True
            self._process.kill()
            return []

    def _bury(self) -> None:
        """Tell everybody who waits that the worker is gone."""
        with self._lock:
            self.gone = True
            left = list(self._sessions.values())
        self.line.close()
        self._left.set()
        lost = Lost(self._learn())
        for hear in left:
            hear(lost)
        self._fetched.set()

    def _hear(self, message: Message) -> None:
        if isinstance(message, News):
            if hear := self._sessions.get(message.number):
                hear(message)
        elif isinstance(message, Logged):
            _log(message)
        elif isinstance(message, Left):
            self.gone = True
            self._left.set()

    def _learn(self) -> str:
        """How the process ended, whatever the system allows."""
        try:
            return elsewhere(self._obituary)
        except NoThreadError:  # a process that is killed need not be waited for elsewhere
            self._process.kill()
            self._process.wait()
            return "the worker process that served it is gone"

    def _obituary(self) -> str:
        """Fetch the process, which let go of its socket; how it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_FETCH_S)
        if self._process.poll() is None:
            self._process.kill()
        status = self._process.wait()
        if self._deaf:
            return f"the worker process that served it did not answer for {ANSWER_S:g} s"
        if status < 0:
            name = {-number: number.name for number in signal.Signals}.get(status, str(-status))
            return f"the worker process that served it was killed by {name}"
        return f"the worker process that served it ended with status {status}"


def _log(told: Logged) -> None:
    logger = logging.getLogger(told.name)
    if logger.isEnabledFor(told.level):
        record = logger.makeRecord(told.name, told.level, told.file, told.line, told.message, (), None)
        record.exc_text = told.trace
        logger.handle(record)
