"""WorkerSession: a session that a worker has, as the run sees it."""

import pickle
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from chargehand.connection import ConnectionSettings
from chargehand.provider import Ending, NotStarted, Stop, Unreachable, Watcher
from chargehand.script import RenderedScript
from chargehand.strand import Signal
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
    Output,
    Press,
    Refused,
    Run,
    Settle,
    Settled,
    Started,
)
from chargehand.workers.process import Lost, WorkerProcess

LOST: Final = "worker-lost"
"""The code of what became of a host whose worker ended."""


class WorkerSession:
    """One open way to one host, in a worker; see `chargehand.provider.Session`.

    Args:
        number: No other session of the provider has it.
        settings: How the host is reached.
        find: Gives a worker that has admitted the session.
    """

    def __init__(
        self,
        number: int,
        settings: ConnectionSettings,
        find: Callable[["WorkerSession"], WorkerProcess],
    ) -> None:
        self.number = number
        self._settings = settings
        self._heard: deque[News | Lost] = deque()
        self._stir = Signal()
        self._script: RenderedScript | None = None
        self._over = False
        self._running = False
        self._unsaid_bytes = 0
        self._worker = find(self)
        self._line = self._worker.line

    def hear(self, news: News | Lost) -> None:
        """Take what the worker says; called from its strand."""
        self._heard.append(news)
        self._stir.set()

    def open(self, stop: Stop, script: RenderedScript | None, place: str | None) -> str | None:
        """Have the host reached.

        Args:
            stop: See `chargehand.provider.Provider.open`.
            script: The same.
            place: Where it is thought to belong; None when this worker has it in any case.

        Returns:
            Where it does belong; None when it is reached.

        Raises:
            Unreachable: No session.
        """
        self._script = script
        try:
            size = len(script.content) if script else 0
            self._line.send_large(Open(self.number, self._settings, script, place), size)
            stop.listen(partial(self._press, stop, running=False))
            answer = self._next()
        except BaseException:
            self.close()
            raise
        if isinstance(answer, Opened):
            return None
        self._part()
        match answer:
            case Elsewhere(place=other):
                return other
            case Refused():
                raise Unreachable(answer.code, answer.reason, again=answer.again)
            case Lost():
                raise Unreachable(LOST, f"{self._settings.address}: {answer.why}", again=True)
        raise _failure(answer)

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        """Run a script at most once, to its end."""
        if stop.reason:  # told after the order to run it may come too late
            raise NotStarted(stop.reason, "stopped before the script was sent")
        if self._worker.gone:
            raise NotStarted(LOST, f"{self._settings.address}: its worker process ended before")
        known = script is self._script
        self._line.send_large(
            Run(self.number, None if known else script), 0 if known else len(script.content)
        )
        self._running = True
        stop.listen(partial(self._press, stop, running=True))
        begun = time.monotonic()
        while True:
            news = self._next()
            match news:
                case Started():
                    watcher.started()
                case Output():
                    watcher.output(news.stream, news.chunk)
                    self._give_credit(len(news.chunk))
                case Lost():  # whether it has sent the script nobody knows
                    reason = f"{self._settings.address}: {news.why}"
                    return Ending(lost=reason, code=LOST, duration_s=time.monotonic() - begun)
                case _:
                    self._running = False
                    return _end(news)

    def settle(self) -> None:
        """The result is safe with us: let the host remove the script's folder. Never raises."""
        if self._over or self._running:
            return
        self._line.send(Settle(self.number))
        while not isinstance(self._next(), Settled | Lost | Failed):
            pass

    def close(self) -> None:
        """End the session; a script still running is stopped by the host. Never raises."""
        if not self._over:
            self._line.send(Close(self.number))
            self._part()

    def _part(self) -> None:
        self._over = True
        self._worker.dismiss(self.number)

    def _press(self, stop: Stop, *, running: bool) -> None:
        if not self._over:
            self._line.send(Press(self.number, running, stop.reason, stop.now))

    def _next(self) -> News | Lost:
        while not self._heard:
            self._stir.clear()
            if not self._heard:  # else it came since we looked
                self._stir.wait()
        return self._heard.popleft()

    def _give_credit(self, size_bytes: int) -> None:
        self._unsaid_bytes += size_bytes
        if self._unsaid_bytes >= WINDOW_BYTES // 2:
            self._line.send(Credit(self.number, self._unsaid_bytes))
            self._unsaid_bytes = 0


def _end(news: News) -> Ending:
    """How a script ended, which it may not have begun."""
    match news:
        case Ended():
            return news.ending
        case NotBegun():
            raise NotStarted(news.code, news.reason, noise=news.noise)
    raise _failure(news)


def _failure(news: object) -> Exception:
    """The exception that a worker met, with the words of where that was."""
    if not isinstance(news, Failed):
        return RuntimeError(f"a worker said {type(news).__name__} at the wrong time")
    error = RuntimeError(news.words)
    if news.pickled is not None:
        error = pickle.loads(news.pickled)  # noqa: S301 - as in `message.unpack`
    error.add_note(f"In a worker process:\n{news.trace}")
    return error
