"""Provider and Session: the seam between the runner and every way of reaching a host.

A provider is found by name in the entry point group ``chargehand.providers``, so that nothing above
imports Fabric. A session is one open way to one host. What can go wrong is told in three ways and no
other: `Unreachable` (no session), `NotStarted` (a session, but the script did not start) and `Ending`
(it started).
"""

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol

from chargehand.connection import ConnectionSettings
from chargehand.errors import UsageError, did_you_mean
from chargehand.event import Stream
from chargehand.frozen import frozen
from chargehand.script import RenderedScript


class Unreachable(Exception):  # noqa: N818 - a host's trouble, not a defect
    """No session: connection, host key or login.

    Attributes:
        code: Short name, such as ``refused``, ``host-key-changed``, ``auth``.
        again: Whether another try can help (a throttled or refused connection, never a login).
    """

    def __init__(self, code: str, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.again = again


class NotStarted(Exception):  # noqa: N818 - a host's trouble, not a defect
    """A session, but the script did not start, and certainly will not.

    Attributes:
        code: Short name, such as ``become-wrong-password``, ``no-start``, ``no-space``.
        noise: What the host printed meanwhile.
    """

    def __init__(self, code: str, reason: str, *, noise: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.noise = noise


@frozen
class Ending:
    """How a script that started came to its end.

    Attributes:
        exit_status: As the script gave it; None when a signal ended it or nothing was learned.
        signal: Name without SIG when a signal ended it.
        halted: The reason given to `Stop` when we stopped it and the host confirmed its end.
        lost: One line of why the end was not learned; empty when it was. Then nothing else holds.
        code: Short name that goes with `lost`, such as ``connection-lost``, ``no-end``.
        noise: What the host printed before the script started.
        pty: Whether a terminal was needed, which merges both streams into stdout.
        duration_s: From start to end on a monotonic clock.
    """

    exit_status: int | None = None
    signal: str | None = None
    halted: str = ""
    lost: str = ""
    code: str = ""
    noise: str = ""
    pty: bool = False
    duration_s: float = 0.0


class Stop:
    """One host's stop button: pressed once with a reason, heard at once by whoever waits.

    Reasons are ``cancelled``, ``timed_out``, ``idle`` and ``deadline``. A second press with `now` means:
    do not wait for the host to confirm.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.reason = ""
        self.now = False

    def press(self, reason: str, *, now: bool = False) -> None:
        """Ask for the end; only the first reason counts."""
        with self._lock:
            self.reason = self.reason or reason
            self.now = self.now or now
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` at every press; at once when it was pressed already."""
        with self._lock:
            self._listeners.append(listener)
            pressed = bool(self.reason)
        if pressed:
            listener()


class Watcher(Protocol):
    """Who hears of one script while it runs; called from the session's thread or strand."""

    def started(self) -> None:
        """The script runs now."""

    def output(self, stream: Stream, chunk: bytes) -> None:
        """The script printed `chunk`."""


class Session(Protocol):
    """One open way to one host."""

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        """Run a script at most once, to its end, and leave its folder on the host.

        Args:
            script: What runs; its timeouts are kept here.
            watcher: Told of the start and of every piece of output.
            stop: Pressed from other threads to end the script early.

        Raises:
            NotStarted: The script did not start and will not.
        """

    def settle(self) -> None:
        """The result is safe with us: let the host remove the script's folder. Never raises."""

    def close(self) -> None:
        """End the session; a script still running is stopped by the host. Never raises."""


class Provider(Protocol):
    """A way of reaching hosts; one instance serves all hosts of a run, from many threads or strands.

    Attributes:
        strands: Whether it and its sessions wait in the ways of `chargehand.strand` and no other, so that one
            thread can serve all hosts. Then they are called in strands of one hub, else in threads.
    """

    strands: bool

    def open(self, settings: ConnectionSettings, stop: Stop, script: RenderedScript | None = None) -> Session:
        """Reach one host.

        Args:
            settings: How.
            stop: Pressed from other threads to give up.
            script: What the session will be asked to run first, if that is known: what starts it may be on
                its way before we are let in, but nothing of its content before `Session.run`.

        Raises:
            Unreachable: No session, within the deadlines of `settings`.
        """

    def close(self) -> None:
        """Let go of what sessions share. Never raises."""


OURS: Final = {
    "ssh": "chargehand.ssh:SshProvider",
    "ssh-threads": "chargehand.ssh:ThreadedSshProvider",
    "ssh-stock": "chargehand.ssh:StockSshProvider",
    "ssh-processes": "chargehand.workers:processes_provider",
    "local": "chargehand.local:LocalProvider",
}
"""What our own entry points say, so that not every installed package is asked; a test holds that."""


def find_provider(name: str) -> Callable[[], Provider]:
    """The provider registered as `name` in the entry point group ``chargehand.providers``.

    Raises:
        UsageError: No such provider is installed.
    """
    if name in OURS:
        module, _, attribute = OURS[name].partition(":")
        ours: Callable[[], Provider] = getattr(import_module(module), attribute)
        return ours
    points = import_module("importlib.metadata").entry_points(group="chargehand.providers")
    found = {point.name: point for point in points}
    if name not in found:
        hint = did_you_mean(name, found)
        raise UsageError(f"no provider `{name}`" + (f"; {hint}" if hint else ""))
    factory: Callable[[], Provider] = found[name].load()
    return factory
