"""Ledger: hears of a run, has it written down, and keeps the runner from what cannot be."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Protocol

from chargehand.errors import StoreError
from chargehand.event import Event, HostConnecting, HostFinished, HostOutput, HostStarted
from chargehand.failpoint import reach
from chargehand.provider import NotStarted, Provider
from chargehand.recording.scribe import Scribe, Ticket
from chargehand.recording.session import RecordedProvider
from chargehand.result import HostResult, Status
from chargehand.runner.outcome import CANCELLED, COULD_NOT_RECORD, TAKEN_OVER
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation
from chargehand.store import Store
from chargehand.store.entry import Intent, Outcome, Settled, Started

KEPT_BYTES: Final = 8 << 20
_FindProvider = Callable[[str], Callable[[], Provider]]


class Steered(Protocol):
    """What a ledger stops when the store says so; a runner."""

    def stop(self, *, now: bool = False) -> None:
        """Start no more hosts and stop the running ones."""

    def stop_hosts(self, hosts: Iterable[str], *, now: bool = False) -> None:
        """Cancel some hosts."""

    def refrain(self, why: str) -> None:
        """Start no more hosts."""


class Ledger:
    """One run on its way into the store.

    It is an observer of the run, stands between the runner and its providers, and asks the store every
    second whether somebody wants the run stopped. What cannot be written down stops it: no host is started
    whose intent is not in the store, and no host forgets an outcome that is not.

    Args:
        store: Where to.
        invocation_id: Of the job invocation.
        runner_id: Who carries it out.
        shares: What runs, and what each share is called in the store.
        clock: The time, aware, UTC.
        kept_bytes: Of the beginning of each stream of each host; of a longer one the end is kept as well.

    Attributes:
        unwritten: Hosts whose outcome is not in the store.
    """

    def __init__(
        self,
        store: Store,
        invocation_id: int,
        *,
        runner_id: str,
        shares: Iterable[tuple[TemplateInvocation, int]],
        clock: Callable[[], datetime],
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        shares = tuple(shares)
        self._store = store
        self._invocation_id = invocation_id
        self._runner_id = runner_id
        self._clock = clock
        self._ids = {share.host: number for share, number in shares}
        self._hosts = {share.script.token: share.host for share, _ in shares if share.script}
        self._on_their_way: set[str] = set()
        self._sent: dict[str, str] = {}
        self._outcomes: dict[str, Ticket] = {}
        self._unknown: set[str] = set()
        self._runner: Steered | None = None
        self._stopped: set[object] = set()
        self._scribe = Scribe(
            store.invocations.record, pulse=self._pulse, give_up=self._give_up, kept_bytes=kept_bytes
        )

    @property
    def trouble(self) -> StoreError | None:
        """Why the run is not wholly written down; None while all is well."""
        return self._scribe.trouble

    @property
    def unwritten(self) -> list[str]:
        """The hosts whose outcome is not in the store; asked when the ledger is closed."""
        return [host for host, ticket in self._outcomes.items() if not ticket.wait()]

    def recorded(self, find: _FindProvider) -> _FindProvider:
        """Wrap what finds providers: no script of theirs is sent before its intent is in the store."""

        def find_recorded(name: str) -> Callable[[], Provider]:
            make = find(name)
            return lambda: RecordedProvider(make(), self)

        return find_recorded

    @contextmanager
    def opened(self, runner: Steered) -> Iterator[None]:
        """Around a run: at its end all is written down, and what comes later belongs to no run.

        Args:
            runner: Stopped when the store says so, or cannot be written to.
        """
        self._runner = runner
        self._scribe.start()
        try:
            yield
        finally:
            self._scribe.close()

    def __call__(self, event: Event) -> None:
        """Hear of an event; never waits."""
        match event:
            case HostStarted() if event.host in self._sent:
                token = self._sent[event.host]
                self._scribe.note(Started(share_id=self._ids[event.host], token=token, at=event.at))
            case HostOutput():
                self._scribe.hear(self._ids[event.host], event.stream, event.chunk, event.at)
            case HostConnecting():
                self._on_their_way.add(event.host)
            case HostFinished() if event.result.status is not Status.PENDING:
                self._finish(event.result, event.at)

    def intend(self, script: RenderedScript) -> str:
        """Have the store know that a script is about to be sent, for good; its host.

        Raises:
            NotStarted: The script must not be sent.
        """
        host = self._hosts[script.token]
        reach("before-intent")
        self._sent[host] = script.token
        entry = Intent(
            share_id=self._ids[host], runner_id=self._runner_id, token=script.token, at=self._clock()
        )
        self._on_their_way.discard(host)
        if not self._scribe.write(entry, urgent=True, last=not self._on_their_way).wait():
            del self._sent[host]
            raise self._refusal(host)
        reach("after-intent")
        return host

    def is_written(self, host: str) -> bool:
        """Wait until it is in the store for good how the script ended; whether it is, and is known."""
        ticket = self._outcomes.get(host)
        return ticket is not None and host not in self._unknown and ticket.wait()

    def note_settled(self, host: str) -> None:
        """The host was told to remove the script's folder."""
        self._scribe.note(Settled(share_id=self._ids[host]))

    def wait_for_room(self) -> None:
        """Wait while more output is on its way into the store than memory should hold."""
        self._scribe.wait_for_room()

    def _finish(self, result: HostResult, at: datetime) -> None:
        outcome = Outcome(share_id=self._ids[result.host], token=self._sent.get(result.host), result=result)
        self._on_their_way.discard(result.host)
        if result.status is Status.UNKNOWN:
            self._unknown.add(result.host)
        self._outcomes[result.host] = self._scribe.end(outcome, at)

    def _refusal(self, host: str) -> NotStarted:
        """Why the store does not take an intent."""
        if not self.trouble:
            try:
                wanted = self._store.invocations.cancel_request(self._invocation_id)
            except StoreError as error:
                return NotStarted(COULD_NOT_RECORD, str(error))
            if wanted.force is not None or host in wanted.hosts:
                return NotStarted(CANCELLED, "somebody cancelled it")
            self._refrain(TAKEN_OVER)
            return NotStarted(TAKEN_OVER, "another runner has taken the run over")
        return NotStarted(COULD_NOT_RECORD, str(self.trouble))

    def _pulse(self) -> None:
        """Say that the runner lives, and ask whether somebody wants the run stopped."""
        self._store.runners.beat(self._runner_id)
        wanted = self._store.invocations.cancel_request(self._invocation_id)
        if self._runner is None:
            return
        if wanted.force is not None and self._is_new(wanted.force):
            self._runner.stop(now=wanted.force)
        for hosts, now in ((wanted.hosts, False), (wanted.forced, True)):
            if new := [host for host in hosts if self._is_new((host, now))]:
                self._runner.stop_hosts(new, now=now)

    def _is_new(self, wish: object) -> bool:
        before = len(self._stopped)
        self._stopped.add(wish)
        return len(self._stopped) > before

    def _give_up(self) -> None:
        self._refrain(COULD_NOT_RECORD)

    def _refrain(self, why: str) -> None:
        if self._runner is not None:
            self._runner.refrain(why)
