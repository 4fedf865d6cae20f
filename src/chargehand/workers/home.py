"""Home: the hub whose strands hear what workers say - that of the caller's strand, or one of our own."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from chargehand.strand import Hub, Signal, hub_here


class Home(Protocol):
    """Where strands hear workers.

    Attributes:
        hub: Runs them.
    """

    hub: Hub

    def begin(self, work: Callable[[], object]) -> None:
        """Do `work`, which serves others, in a strand."""

    def close(self) -> None:
        """Let go of the hub, when all of its work is done."""


def find_home() -> Home:
    """The home of whoever calls this.

    Raises:
        OSError: The system gives none.
    """
    hub = hub_here()
    return ThreadHome() if hub is None else StrandHome(hub)


class StrandHome:
    """The hub of the strands that are served."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def begin(self, work: Callable[[], object]) -> None:
        """See `Home.begin`."""
        self.hub.spawn(work, serves=True)

    def close(self) -> None:
        """Nothing: it is not ours."""


class ThreadHome:
    """A hub in a thread of its own, where those who are served are threads.

    Raises:
        OSError: The system gives no hub.
    """

    hub: Hub

    def __init__(self) -> None:
        self._trouble: OSError | None = None
        self._works: deque[Callable[[], object] | None] = deque()
        self._stir = Signal()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="chargehand-workers", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._trouble:
            raise self._trouble

    def begin(self, work: Callable[[], object]) -> None:
        """See `Home.begin`."""
        self._works.append(work)
        self._stir.set()

    def close(self) -> None:
        """See `Home.close`."""
        self._works.append(None)
        self._stir.set()
        self._thread.join()

    def _serve(self) -> None:
        try:
            self.hub = Hub()
        except OSError as error:
            self._trouble = error
            return
        finally:
            self._ready.set()
        with closing(self.hub):
            self.hub.spawn(self._begin_all)
            self.hub.run()

    def _begin_all(self) -> None:
        while True:
            self._stir.clear()
            while self._works:
                work = self._works.popleft()
                if work is None:
                    return
                self.hub.spawn(work, serves=True)
            self._stir.wait()
