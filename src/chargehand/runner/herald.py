"""Herald: tells what happens to every observer, one event at a time, whatever an observer does."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from chargehand.event import Event, Notice, Observer

log = logging.getLogger(__name__)


class Herald:
    """Tells events to observers.

    What an observer raises is logged, and told once to all of them as a `Notice`; it reaches neither
    the caller nor the other observers. The observer goes on being told.
    """

    def __init__(self, observers: Sequence[Observer], clock: Callable[[], datetime]) -> None:
        self._observers = tuple(observers)
        self._clock = clock
        self._lock = threading.RLock()
        self._blamed: set[int] = set()
        self._silent = False

    def tell(self, event: Event) -> None:
        """Tell every observer of `event`."""
        with self._lock:
            if self._silent:
                return
            for number, observer in enumerate(self._observers):
                try:
                    observer(event)
                except Exception as error:  # noqa: BLE001 - logged, and told
                    self._blame(number, event, error)

    def notice(self, message: str) -> None:
        """Tell people something that is no host's result."""
        self.tell(Notice(at=self._clock(), message=message))

    def fall_silent(self) -> None:
        """Tell nothing more: what comes now belongs to a run that is over."""
        with self._lock:
            self._silent = True

    def _blame(self, number: int, event: Event, error: Exception) -> None:
        if number in self._blamed:
            return
        self._blamed.add(number)
        log.error("an observer failed on %s", type(event).__name__, exc_info=error)
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        self.notice(f"an observer of this run failed ({what}); what it shows or keeps may be incomplete")
