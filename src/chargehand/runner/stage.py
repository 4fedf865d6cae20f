"""Stage: what runs that follow each other share - providers, and the thread that serves hosts in strands.

So a connection can outlive a run: the next one on the same host need not shake hands again.
"""

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable

from chargehand.provider import Provider, find_provider
from chargehand.runner.descriptors import affordable
from chargehand.strand import Hub

KEPT: Final = 1000
"""Connections that wait for the next run, at most; fewer when few files may be open."""
CLOSING_S: Final = 10.0

Work = Callable[[Hub], None]


@runtime_checkable
class Keeper(Protocol):
    """A provider that can keep connections whose script has ended.

    Attributes:
        keeps: How many of them.
    """

    keeps: int


class Stage:
    """Where runs take place, one after the other; left as a context manager.

    Args:
        find: Gives what makes a provider, by its name.
    """

    def __init__(self, find: Callable[[str], Callable[[], Provider]] = find_provider) -> None:
        self._find = find
        self._providers: dict[str, Provider] = {}
        self._lock = threading.Lock()
        self._keeping = True
        self._keeps = 0
        self._works: SimpleQueue[Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._idle = threading.Event()
        self._idle.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def find(self, name: str) -> Callable[[], Provider]:
        """What gives the provider of a name, to a run that is about to begin."""
        if not self._idle.is_set():  # the run before left hosts behind that did not let go
            self._leave()
        factory = self._find(name)
        self._keep(affordable(2 * KEPT) // 2 if self._keeping else 0)
        return lambda: _Lent(self._provider(name, factory))

    def begin_last(self) -> None:
        """No run follows the next one: nothing need be kept any more."""
        self._keeping = False

    def serve(self, work: Work, gone: Callable[[], None]) -> None:
        """Do a run's work in the thread that all runs share; `gone` is called when it is done.

        Raises:
            OSError: The system gives no hub.
        """
        if self._thread is None:
            self._thread = self._begin()
        self._idle.clear()
        idle = self._idle

        def do(hub: Hub) -> None:
            try:
                work(hub)
            finally:
                idle.set()
                gone()

        self._works.put(do)

    def _begin(self) -> threading.Thread:
        begun: SimpleQueue[OSError | None] = SimpleQueue()
        thread = threading.Thread(
            target=_serve, args=(self._works, begun), name="chargehand-stage", daemon=True
        )
        thread.start()
        if trouble := begun.get():
            raise trouble
        return thread

    def _provider(self, name: str, factory: Callable[[], Provider]) -> Provider:
        with self._lock:
            provider = self._providers.get(name)
            if provider is None:
                provider = self._providers[name] = factory()
                if isinstance(provider, Keeper):
                    provider.keeps = self._keeps
        return provider

    def _keep(self, most: int) -> None:
        with self._lock:
            self._keeps = most
            for provider in self._providers.values():
                if isinstance(provider, Keeper):
                    provider.keeps = most

    def _leave(self) -> None:
        """Let go of everything; of what is still under way, without waiting for it."""
        of_strands, of_threads = (
            [provider for provider in self._providers.values() if provider.strands is which]
            for which in (True, False)
        )
        if self._thread is not None:
            self._works.put(partial(_close, of_strands))
            self._works.put(None)
            if self._idle.is_set():
                self._thread.join(CLOSING_S)
        else:
            of_threads += of_strands  # no strand has used them
        for provider in of_threads:
            provider.close()
        self._thread, self._providers, self._works = None, {}, SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()


class _Lent:
    """A provider that a run cannot close."""

    def __init__(self, provider: Provider) -> None:
        self.strands = provider.strands
        self.open = provider.open

    def close(self) -> None:
        """Nothing: others use it after us."""


def _serve(works: "SimpleQueue[Work | None]", begun: "SimpleQueue[OSError | None]") -> None:
    try:
        hub = Hub()
    except OSError as error:
        begun.put(error)
        return
    begun.put(None)
    with closing(hub):
        while (work := works.get()) is not None:
            work(hub)


def _close(providers: list[Provider], hub: Hub) -> None:
    for provider in providers:
        hub.spawn(provider.close)  # what it has was made by strands of this hub
    hub.run()
