"""The provider ``local``: runs scripts on this machine, by the same protocol as on any host."""

import errno
import math
import os
import pty as terminals
import pwd
import select
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Final

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import Ending, NotStarted, Stop, Unreachable, Watcher
from chargehand.script import RenderedScript
from chargehand.start.channel import Received
from chargehand.start.conduct import CONFIRM_S, Conduct
from chargehand.start.wrapper import GRACE_S

_PIECE: Final = 131072
_PASSED_ON: Final = frozenset(("PATH", "TZ", "LANG", "LANGUAGE", "TMPDIR"))
"""What a job gets of our own environment: what a login would give it, and none of our secrets."""


class LocalProvider:
    """Sessions on this machine."""

    strands = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leaving: list[subprocess.Popen[bytes]] = []

    def open(
        self,
        settings: ConnectionSettings,
        stop: Stop,  # noqa: ARG002 - nothing to wait for
        script: RenderedScript | None = None,  # noqa: ARG002 - nor to go ahead of
    ) -> "LocalSession":
        """A session as the user who runs this process; `settings.user`, if given, must be that one.

        Raises:
            Unreachable: Another user is asked for; that takes an effective user.
        """
        account = pwd.getpwuid(os.geteuid())
        if settings.user is not None and settings.user != account.pw_name:
            reason = (
                f"local scripts run as {account.pw_name}, not {settings.user}; set effective_user instead"
            )
            raise Unreachable("auth", reason)
        return LocalSession(self, settings, account)

    def close(self) -> None:
        """Wait for wrappers that still stop a script."""
        with self._lock:
            leaving, self._leaving = self._leaving, []
        for program in leaving:
            with suppress(subprocess.TimeoutExpired):
                program.wait(GRACE_S + CONFIRM_S)

    def start(self, request: str, environment: Mapping[str, str], *, pty: bool) -> "LocalChannel":
        """Start a request line in a shell."""
        return LocalChannel(self, request, environment, pty=pty)

    def leave(self, program: subprocess.Popen[bytes]) -> None:
        """Take over a wrapper whose channel is closed: it may have to stop a script first."""
        with self._lock:
            self._leaving = [left for left in (*self._leaving, program) if left.poll() is None]


class LocalSession:
    """One session on this machine."""

    def __init__(
        self, provider: LocalProvider, settings: ConnectionSettings, account: pwd.struct_passwd
    ) -> None:
        self._provider = provider
        self._environment = login_environment(os.environ, account)
        self._conduct = Conduct(self._start, settings, user=account.pw_name)

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        """See `Session.run`."""
        return self._conduct.run(script, watcher, stop)

    def settle(self) -> None:
        """See `Session.settle`."""
        self._conduct.settle()

    def close(self) -> None:
        """See `Session.close`."""
        self._conduct.close()

    def _start(self, request: str, *, pty: bool) -> "LocalChannel":
        return self._provider.start(request, self._environment, pty=pty)


class LocalChannel:
    """A shell of this machine as a channel."""

    def __init__(
        self, provider: LocalProvider, request: str, environment: Mapping[str, str], *, pty: bool
    ) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        with ExitStack() as ours:
            try:
                self._alarm, self._bell = _pipe(ours, ours)
                begin = _start_on_terminal if pty else _start
                self._program, self._stdin, self._outputs = begin(request, environment, ours)
            except OSError as error:
                raise NotStarted("channel", f"cannot start a shell: {error.strerror}") from error
            self._descriptors: ExitStack | None = ours.pop_all()
        for descriptor in (self._stdin, *self._outputs, self._alarm, self._bell):
            os.set_blocking(descriptor, False)

    def send(self, chunk: bytes) -> int:
        """See `Channel.send`."""
        try:
            return os.write(self._stdin, chunk)
        except BlockingIOError:
            return 0
        except OSError:
            return len(chunk)

    def receive(self, timeout_s: float | None, *, room: bool = False) -> Received:
        """See `Channel.receive`."""
        if not self._outputs:
            return Received(closed=True)
        waiting = select.poll()
        for descriptor in (self._alarm, *self._outputs):
            waiting.register(descriptor, select.POLLIN)
        if room:
            waiting.register(
                self._stdin, select.POLLOUT | (select.POLLIN if self._stdin in self._outputs else 0)
            )
        patience = None if timeout_s is None else math.ceil(timeout_s * 1000)
        ready = {descriptor for descriptor, _ in waiting.poll(patience)}
        if self._alarm in ready:
            os.read(self._alarm, 4096)
        chunks = {
            name: self._read(descriptor)
            for descriptor, name in list(self._outputs.items())
            if descriptor in ready
        }
        return Received(chunks.get("stdout", b""), chunks.get("stderr", b""), closed=not self._outputs)

    def wake(self) -> None:
        """See `Channel.wake`."""
        with self._lock, suppress(BlockingIOError):
            if self._descriptors:
                os.write(self._bell, b"!")

    def close(self) -> None:
        """See `Channel.close`."""
        with self._lock:
            if self._descriptors is None:
                return
            self._descriptors.close()
            self._descriptors = None
        self._provider.leave(self._program)

    def _read(self, descriptor: int) -> bytes:
        try:
            chunk = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:  # how a terminal says that nobody holds its other side
                raise
            chunk = b""
        if not chunk:
            del self._outputs[descriptor]
        return chunk


def login_environment(environment: Mapping[str, str], account: pwd.struct_passwd) -> dict[str, str]:
    """The variables a login of `account` has, from ours only what names no secret."""
    kept = {
        name: value for name, value in environment.items() if name in _PASSED_ON or name.startswith("LC_")
    }
    return kept | {
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": account.pw_shell or "/bin/sh",
    }


_Started = tuple[subprocess.Popen[bytes], int, dict[int, Stream]]
"""The program, the descriptor to write to, those to read from."""


def _start(request: str, environment: Mapping[str, str], ours: ExitStack) -> _Started:
    with ExitStack() as theirs:
        stdin, to_us = _pipe(theirs, ours), [_pipe(ours, theirs) for _ in range(2)]
        program = subprocess.Popen(  # noqa: S603 - the request is composed by us, quoted for any shell
            ["/bin/sh", "-c", request],
            stdin=stdin[0],
            stdout=to_us[0][1],
            stderr=to_us[1][1],
            env=environment,
            start_new_session=True,
        )
    return program, stdin[1], {to_us[0][0]: "stdout", to_us[1][0]: "stderr"}


def _start_on_terminal(request: str, environment: Mapping[str, str], ours: ExitStack) -> _Started:
    """A session leader's first terminal becomes its own by being opened."""
    terminal, theirs = terminals.openpty()
    ours.callback(os.close, terminal)
    try:
        program = subprocess.Popen(  # noqa: S603 - as above
            ["/bin/sh", "-c", 'exec <"$0" >"$0" 2>&1; eval "$1"', os.ttyname(theirs), request],
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    return program, terminal, {terminal: "stdout"}


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    return ends
