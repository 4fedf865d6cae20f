"""Bastions: connections to jump hosts, each shared by many of the hosts behind it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from paramiko.ssh_exception import ChannelException, SSHException

from chargehand.beside import begin
from chargehand.connection import ConnectionSettings
from chargehand.provider import Unreachable
from chargehand.ssh.interrupt import Interrupt
from chargehand.ssh.line import ChannelLine
from chargehand.ssh.link import Link
from chargehand.strand import Signal

CHANNELS = (
    10  # hosts on one connection: as many as sshd's MaxSessions allows, for servers that count them all
)

# Reasons of RFC 4254 section 5.1.
PROHIBITED = 1
CONNECT_FAILED = 2


@dataclass(slots=True, eq=False)
class _Span:
    """One connection to a jump host, made or being made."""

    link: "Future[Link]" = field(default_factory=Future)
    hosts: int = 0

    def usable(self) -> bool:
        """Whether it may be had. A refusal that another try cannot change is remembered."""
        if not self.link.done():
            return True
        trouble = self.link.exception()
        if trouble is None:
            return self.link.result().alive
        return isinstance(trouble, Unreachable) and not trouble.again


class Lease:
    """A host's place on a connection to a jump host."""

    def __init__(self, link: Link, give_back: Callable[[], None]) -> None:
        self._link = link
        self._give_back = give_back

    @property
    def title(self) -> str:
        """The jump host, for people."""
        return self._link.title

    def channel(self, address: str, port: int, timeout_s: float) -> ChannelLine:
        """A connection from the jump host to a host behind it.

        Raises:
            Unreachable: Codes ``jump-refused``, ``jump-target``, ``jump-timeout``, ``jump-connection-lost``.
        """
        behind = f"{address} port {port}"
        try:
            transport = self._link.transport
            channel = transport.open_orderly("direct-tcpip", target=(address, port), timeout_s=timeout_s)
        except ChannelException as error:
            if error.code == CONNECT_FAILED:
                words = f"jump host {self.title} cannot connect to {behind}"
                raise Unreachable("jump-target", words, again=True) from None
            words = f"jump host {self.title} does not forward to {behind} ({error.text})"
            raise Unreachable("jump-refused", f"{words}: see its AllowTcpForwarding") from None
        except (OSError, SSHException, EOFError) as error:
            if self._link.alive:
                words = f"jump host {self.title} did not connect to {behind} within {timeout_s:g} s"
                raise Unreachable("jump-timeout", words, again=True) from None
            words = f"jump host {self.title}: {self._link.ending(error)}"
            raise Unreachable("jump-connection-lost", words, again=True) from None
        return ChannelLine(channel)

    def give_back(self) -> None:
        """Another host may have the place."""
        self._give_back()


class Bastions:
    """The connections to all jump hosts of a run; used from many threads."""

    def __init__(self, reach: Callable[[ConnectionSettings], Link]) -> None:
        self._reach = reach
        self._lock = threading.Lock()
        self._spans: dict[ConnectionSettings, list[_Span]] = {}
        self._closed = False

    def lease(self, settings: ConnectionSettings, interrupt: Interrupt) -> Lease:
        """A place on a connection to that jump host, made beside the caller if need be.

        Raises:
            Unreachable: It cannot be reached; the code is its own with ``jump-`` before it.
        """
        span = self._span(settings)
        arrived = Signal()
        span.link.add_done_callback(lambda _: arrived.set())
        try:
            with interrupt.calling(arrived.set):
                arrived.wait()
            link = span.link.result()
        except Unreachable as error:
            self._leave(span)
            interrupt.check()
            code = error.code if error.code.startswith("jump-") else f"jump-{error.code}"
            reason = error.reason if error.code.startswith("jump-") else f"jump host {error.reason}"
            raise Unreachable(code, reason, again=error.again) from None
        return Lease(link, lambda: self._leave(span))

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            self._closed = True
            spans = [span for spans in self._spans.values() for span in spans]
            self._spans.clear()
        for span in reversed(spans):
            if span.link.done() and span.link.exception() is None:
                span.link.result().close()

    def _span(self, settings: ConnectionSettings) -> _Span:
        with self._lock:
            spans = self._spans.setdefault(settings, [])
            spans[:] = [span for span in spans if span.hosts or span.usable()]
            free = (span for span in spans if span.hosts < CHANNELS and span.usable())
            span = next(free, None)
            if span is None:
                span = _Span()
                spans.append(span)
                name = f"chargehand-jump {settings.address}"
                begin(partial(self._connect, span, settings), name)
            span.hosts += 1
            return span

    def _connect(self, span: _Span, settings: ConnectionSettings) -> None:
        try:
            link = self._reach(settings)
        except BaseException as error:  # noqa: BLE001 - handed on to everybody who waits
            span.link.set_exception(error)
            return
        span.link.set_result(link)
        with self._lock:
            closed = self._closed
        if closed:
            link.close()

    def _leave(self, span: _Span) -> None:
        with self._lock:
            span.hosts -= 1
