"""SshProvider: reaches hosts over SSH. One instance serves all hosts of a run."""

import dataclasses
import logging
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from chargehand.connection import ConnectionSettings
from chargehand.provider import Stop, Unreachable
from chargehand.script import RenderedScript
from chargehand.ssh.base import Transport
from chargehand.ssh.bastion import Bastions
from chargehand.ssh.config import SshConfig
from chargehand.ssh.dial import ProxyCommand, connect
from chargehand.ssh.failure import Throttled, ours
from chargehand.ssh.foresight import Foresight, Unforeseen
from chargehand.ssh.gate import Gate
from chargehand.ssh.hostkey import KnownHosts
from chargehand.ssh.identity import KeyRing, agent_socket
from chargehand.ssh.idle import IdleLinks
from chargehand.ssh.interrupt import Interrupt
from chargehand.ssh.kinds import FITS, UNTRIED, USUAL
from chargehand.ssh.link import Link, shake_hands
from chargehand.ssh.login import Login, compose
from chargehand.ssh.memory import Memory, usual_file
from chargehand.ssh.route import Route, find, hop_settings
from chargehand.ssh.session import SshSession
from chargehand.ssh.stock import StockTransport
from chargehand.ssh.trust import Trust
from chargehand.ssh.wire import Wire
from chargehand.start.conduct import prepare
from chargehand.strand import HUBS

log = logging.getLogger(__name__)

TRIES = 5
STALLS = 3
"""How many times the seconds between two keepalives a host may take nothing of what we send."""


class SshProvider:
    """Reaches hosts over SSH.

    What hosts share - parsed files, loaded keys, the agent, connections to jump hosts - is had once, when
    it is first needed.

    Args:
        now: The time, aware, UTC.
        jitter: Spreads retries.
        memory: File for what is learned of hosts; None is the user's.

    Attributes:
        kind: Makes transports.
        keeps: How many connections are kept when their script has ended, for the next run.
    """

    kind: type[Transport] = USUAL
    strands = HUBS and FITS

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: random.Random | None = None,
        memory: Path | None = None,
    ) -> None:
        if not FITS:
            log.warning(UNTRIED)
        self._now = now
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._lock = threading.Lock()
        self._known: dict[tuple[Path, ...], KnownHosts] = {}
        self._config = SshConfig()
        self._keys = KeyRing()
        self._memory = Memory(memory or usual_file())
        self._foresight = Foresight(self._memory)
        self._gate = Gate()
        self._idle = IdleLinks()
        self._bastions = Bastions(lambda settings: self._reach(settings, Interrupt(Stop())))

    @property
    def keeps(self) -> int:
        """See the class."""
        return self._idle.most

    @keeps.setter
    def keeps(self, most: int) -> None:
        self._idle.most = most

    def open(
        self, settings: ConnectionSettings, stop: Stop, script: RenderedScript | None = None
    ) -> SshSession:
        """Reach one host; see `chargehand.provider.Provider`.

        Raises:
            Unreachable: No session, and why.
        """
        interrupt = Interrupt(stop)
        interrupt.check()
        reach = partial(self._reach, settings, interrupt)
        if link := self._idle.take(settings):
            return SshSession(link, settings, self._idle, again=reach)
        return SshSession(reach(script), settings, self._idle)

    def place(self, settings: ConnectionSettings) -> str:
        """What is equal for hosts that share a gate or a jump host: the first one dialled on the way there.

        Raises:
            Unreachable: ssh_config cannot be asked.
        """
        try:
            route = find(settings, self._config)
            first = hop_settings(settings, route.jump[:1]) if route.jump else None
            return find(first, self._config).title if first else route.title
        except (OSError, RuntimeError) as error:
            raise ours(error, settings.address) from error

    def close(self) -> None:
        """Let go of what sessions share."""
        self._idle.close()
        self._bastions.close()
        self._keys.close()
        self._memory.save()

    def _reach(
        self, settings: ConnectionSettings, interrupt: Interrupt, script: RenderedScript | None = None
    ) -> Link:
        """A new connection, to a host or to a jump host."""
        interrupt.check()
        try:
            return self._try(settings, interrupt, script)
        except (OSError, RuntimeError) as error:
            raise ours(error, settings.address) from error

    def _try(self, settings: ConnectionSettings, interrupt: Interrupt, script: RenderedScript | None) -> Link:
        """As often as a host that is busy with others may need."""
        route = find(settings, self._config)
        # Before the first packet: a key that cannot be used costs no connection.
        login = compose(route, self._keys, agent_socket())
        trust = Trust(route, self._known_hosts(route.known_hosts), self._now())
        attempt = partial(self._attempt, route, trust, login, interrupt, script)
        for tried in range(TRIES):
            if tried:
                interrupt.wait(self._jitter.uniform(2.0 ** (tried - 2), 2.0**tried))
            try:
                return self._without_surprise(route.title, attempt)
            except Throttled:
                continue
        words = f"{route.title}: it hung up before its version line, {TRIES} times: too many connect at once"
        raise Unreachable("throttled", words, again=True)

    def _without_surprise(self, title: str, attempt: Callable[[Foresight], Link]) -> Link:
        """What comes of an attempt; of one with nothing ahead where a host does not bear that."""
        try:
            return attempt(self._foresight)
        except Unforeseen as surprise:
            self._foresight.learn(title, surprise)
            link = attempt(Foresight(None))
            self._foresight.confirm(title)
            return link

    def _attempt(
        self,
        route: Route,
        trust: Trust,
        login: Login,
        interrupt: Interrupt,
        script: RenderedScript | None,
        foresight: Foresight,
    ) -> Link:
        def shake(wire: Wire) -> Link:
            link = None
            prepared = prepare(script, route.settings, route.user) if script else None
            try:
                with interrupt.calling(wire.close):
                    link = shake_hands(
                        route, wire, trust, login, prepared=prepared, foresight=foresight, kind=self.kind
                    )
            except Unreachable:
                if link is not None:  # stopped when it was there
                    link.hang_up()
                raise
            return link

        if not route.jump and not route.proxy_command:
            with self._gate.passing(route.title, interrupt):
                line = connect(route.address, route.port, route.connect_timeout_s, interrupt)
                return shake(Wire(line, stall_s=STALLS * route.settings.keepalive_s))
        with ExitStack() as passing, ExitStack() as below:
            link = shake(self._wire(route, interrupt, passing, below))
            return dataclasses.replace(link, below=below.pop_all().close)

    def _wire(self, route: Route, interrupt: Interrupt, passing: ExitStack, below: ExitStack) -> Wire:
        """Bytes to and from the host over a channel of a jump host or a proxy command."""
        stall_s = STALLS * route.settings.keepalive_s
        if route.jump:
            lease = self._bastions.lease(hop_settings(route.settings, route.jump), interrupt)
            below.callback(lease.give_back)
            passing.enter_context(self._gate.passing(f"through {lease.title}", interrupt))
            passing.enter_context(self._gate.passing(f"{lease.title} to {route.title}", interrupt))
            channel = lease.channel(route.address, route.port, route.connect_timeout_s)
            return Wire(channel, stall_s=stall_s)
        passing.enter_context(self._gate.passing(route.title, interrupt))
        program = ProxyCommand(route.proxy_command or "")
        below.callback(program.close)
        return Wire(program.line, stall_s=stall_s, epitaph=program.epitaph)

    def _known_hosts(self, files: tuple[Path, ...]) -> KnownHosts:
        with self._lock:
            if files not in self._known:
                self._known[files] = KnownHosts(files)
            return self._known[files]


class ThreadedSshProvider(SshProvider):
    """The same with a thread for each host, and paramiko's own for each connection."""

    strands = False


class StockSshProvider(ThreadedSshProvider):
    """The same with paramiko's transport as it is."""

    kind = StockTransport
