"""Conduct: carries one start protocol over a channel, under deadlines, with a stop button.

Used by every session that reaches a host by running a command on it.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from chargehand.connection import ConnectionSettings
from chargehand.failpoint import reach
from chargehand.frozen import frozen
from chargehand.provider import Ending, NotStarted, Stop, Watcher
from chargehand.script import RenderedScript
from chargehand.start.become import needs_terminal
from chargehand.start.channel import Channel, ChannelOpener, ConnectionLost
from chargehand.start.protocol import Ended, Output, Phase, Started, StartProtocol
from chargehand.start.wrapper import GRACE_S

CONFIRM_S: Final = 5.0
"""How long after TERM and KILL the host may take to say that nothing is left."""

DRAIN_S: Final = 15.0
"""How long the second stream may stay silent after END on the first; all of it is on its way by then."""

SETTLE_S: Final = 5.0
"""How long the host may take to remove the folder."""

_PIECE: Final = 65536


@frozen(kw_only=False)
class Prepared:
    """A start whose request may be on its way already; nothing of the script is.

    Attributes:
        script: What is to be run.
        protocol: The conversation that starts it.
    """

    script: RenderedScript
    protocol: StartProtocol


def prepare(script: RenderedScript, settings: ConnectionSettings, user: str | None) -> Prepared:
    """The start of a script; one that is to run as the `user` who is logged in takes no switch."""
    switched = script
    if script.become is not None and script.become.user == user:
        switched = replace(script, become=None)
    pty = needs_terminal(switched.become)
    return Prepared(script, StartProtocol(switched, folders=settings.work_folders, pty=pty))


class Conduct:
    """Runs a script over channels of one connection; `run`, `settle`, `close` are those of a session.

    Args:
        opener: Opens a channel and starts a request on it.
        settings: How the host is reached.
        user: Who is logged in.
        prepared: The first start, if its request went ahead.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        opener: ChannelOpener,
        settings: ConnectionSettings,
        *,
        user: str | None = None,
        prepared: Prepared | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = opener
        self._settings = settings
        self._user = user
        self._prepared = prepared
        self._clock = clock
        self._channel: Channel | None = None
        self._protocol: StartProtocol | None = None

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        """Run a script at most once; see `Session.run`."""
        stop.listen(self._wake)
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared.script is not script:
            prepared = prepare(script, self._settings, self._user)
        try:
            return self._attempt(prepared.protocol, script, watcher, stop)
        except NotStarted as failure:
            self.close()
            if failure.code != "become-tty" or prepared.protocol.pty:
                raise
        try:
            protocol = StartProtocol(script, folders=self._settings.work_folders, pty=True)
            return self._attempt(protocol, script, watcher, stop)
        except NotStarted:
            self.close()
            raise

    def settle(self) -> None:
        """Let the host remove the script's folder, and wait shortly until it did."""
        channel, protocol = self._channel, self._protocol
        if channel is None or protocol is None or protocol.end is None:
            return
        protocol.settle()
        deadline = self._clock() + SETTLE_S
        with suppress(ConnectionLost, NotStarted):
            while protocol.phase < Phase.GONE and (left := deadline - self._clock()) > 0:
                _send(channel, protocol)
                received = channel.receive(left, room=bool(protocol.outgoing))
                for _ in protocol.feed(received.stdout, received.stderr):
                    pass  # a child left behind goes on printing; the result is told
                if received.closed:
                    return

    @property
    def at_rest(self) -> bool:
        """Whether the host said that nothing is left of the script."""
        return self._protocol is not None and self._protocol.phase is Phase.GONE

    def close(self) -> None:
        """Let go of the channel; the host stops a script that still runs."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _attempt(
        self, protocol: StartProtocol, script: RenderedScript, watcher: Watcher, stop: Stop
    ) -> Ending:
        if stop.reason:
            raise NotStarted(stop.reason, "stopped before the script was sent")
        self._protocol = protocol
        asked_at = self._clock()
        try:
            self._channel = self._open(protocol.request, pty=protocol.pty)
        except ConnectionLost as lost:
            raise NotStarted(lost.code, lost.reason) from lost
        course = _Course(self._channel, protocol, script, watcher, stop, self._clock)
        return course.follow(asked_at + self._settings.start_timeout_s)

    def _wake(self) -> None:
        channel = self._channel
        if channel is not None:
            channel.wake()


class _Course:
    """One run from request to end, as time sees it."""

    def __init__(
        self,
        channel: Channel,
        protocol: StartProtocol,
        script: RenderedScript,
        watcher: Watcher,
        stop: Stop,
        clock: Callable[[], float],
    ) -> None:
        self._channel = channel
        self._protocol = protocol
        self._script = script
        self._watcher = watcher
        self._stop = stop
        self._clock = clock
        self._started_at = 0.0
        self._ended_at = 0.0
        self._stopping = False
        self._sent = False
        self._deadline: float | None = None
        self._silent_until: float | None = None

    def follow(self, start_by: float) -> Ending:
        """Move bytes until the end is known, or cannot become known."""
        protocol = self._protocol
        self._deadline = start_by
        while True:
            try:
                self._heed_stop()
                self._send()
                received = self._channel.receive(self._patience(), room=bool(protocol.outgoing))
                self._take(received.stdout, received.stderr)
            except ConnectionLost as lost:
                return self._lose(lost.code, lost.reason)
            if protocol.end and (protocol.complete or received.closed or self._overdue()):
                return self._end(protocol.end)
            if received.closed:
                if protocol.phase < Phase.STARTED:
                    raise protocol.closed()
                return self._lose(
                    "no-end", "the host closed the channel without telling how the script ended"
                )
            if self._overdue() and (ending := self._expire()):
                return ending
            if self._stop.now:
                return self._lose("cancel-unconfirmed", "not waited for the host to confirm the end")

    def _send(self) -> None:
        _send(self._channel, self._protocol)
        if self._protocol.committed and not self._sent:
            self._sent = True
            reach("after-send")

    def _take(self, stdout: bytes, stderr: bytes) -> None:
        for event in self._protocol.feed(stdout, stderr):
            match event:
                case Started():
                    self._started_at = self._clock()
                    self._hear()
                    if not self._stopping:
                        limit = self._script.timeout_s
                        self._deadline = None if limit is None else self._started_at + limit
                    self._watcher.started()
                case Output(stream, chunk):
                    self._hear()
                    if self._protocol.end:
                        self._deadline = self._clock() + DRAIN_S
                    self._watcher.output(stream, chunk)
                case Ended():
                    self._ended_at = self._clock()
                    self._silent_until = None
                    self._deadline = self._ended_at + DRAIN_S

    def _hear(self) -> None:
        limit = self._script.idle_timeout_s
        if limit is not None and not self._stopping:
            self._silent_until = self._clock() + limit

    def _heed_stop(self) -> None:
        """Pass the first press of the stop button on to the host."""
        if not self._stop.reason or self._stopping or self._protocol.end:
            return
        if not self._protocol.committed:
            raise NotStarted(
                self._stop.reason, "stopped before the script was sent", noise=self._protocol.noise
            )
        self._stopping = True
        self._protocol.stop(GRACE_S)
        self._silent_until = None
        self._deadline = self._clock() + GRACE_S + CONFIRM_S

    def _next(self) -> float | None:
        limits = [limit for limit in (self._deadline, self._silent_until) if limit is not None]
        return min(limits, default=None)

    def _patience(self) -> float | None:
        limit = self._next()
        return None if limit is None else max(0.0, limit - self._clock())

    def _overdue(self) -> bool:
        limit = self._next()
        return limit is not None and self._clock() >= limit

    def _expire(self) -> Ending | None:
        """A deadline has passed: what comes of it."""
        protocol = self._protocol
        if protocol.phase < Phase.READY or not protocol.committed:
            raise (
                NotStarted(self._stop.reason, "stopped before the script was started", noise=protocol.noise)
                if self._stopping
                else protocol.overdue()
            )
        if self._stopping:
            return self._lose("cancel-unconfirmed", "the host did not confirm that the script ended")
        if protocol.phase < Phase.STARTED:
            return self._lose("start-timeout", "the script was sent, and the host did not say that it runs")
        late = self._deadline is not None and self._clock() >= self._deadline
        self._stop.press("timed_out" if late else "idle")
        return None

    def _lose(self, code: str, reason: str) -> Ending:
        """The end will not be learned; certain only that nothing runs when not all of the script was sent."""
        protocol = self._protocol
        if protocol.phase < Phase.STARTED and not protocol.committed:
            raise NotStarted(code, reason, noise=protocol.noise)
        return Ending(
            lost=reason,
            code=code,
            noise=protocol.noise,
            pty=protocol.pty,
            duration_s=self._clock() - self._from(),
        )

    def _end(self, end: Ended) -> Ending:
        protocol = self._protocol
        if end.survived:
            return self._lose("cancel-unconfirmed", "something of the script still runs after TERM and KILL")
        return Ending(
            exit_status=end.exit_status,
            signal=end.signal,
            halted=self._stop.reason if end.stopped else "",
            noise=protocol.noise,
            pty=protocol.pty,
            duration_s=self._ended_at - self._from(),
        )

    def _from(self) -> float:
        return self._started_at or self._clock()


def _send(channel: Channel, protocol: StartProtocol) -> None:
    """Hand over as much as the channel takes."""
    while protocol.outgoing:
        taken = channel.send(bytes(protocol.outgoing[:_PIECE]))
        if not taken:
            return
        del protocol.outgoing[:taken]
