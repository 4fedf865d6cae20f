"""Idle: connections whose script has ended, kept for the next run on the same hosts."""

import threading

from chargehand.connection import ConnectionSettings
from chargehand.ssh.link import Link


class IdleLinks:
    """Connections that wait, by the settings they were made with: who has others gets none of them.

    Attributes:
        most: How many are kept.
    """

    def __init__(self) -> None:
        self.most = 0
        self._lock = threading.Lock()
        self._links: dict[ConnectionSettings, Link] = {}

    def keep(self, settings: ConnectionSettings, link: Link) -> bool:
        """Keep a connection; False when there is no use for it."""
        if not self.most or not link.alive:
            return False
        with self._lock:
            if len(self._links) >= self.most or settings in self._links:
                return False
            self._links[settings] = link
        return True

    def take(self, settings: ConnectionSettings) -> Link | None:
        """The connection that was made so, if it still stands as far as we know."""
        with self._lock:
            link = self._links.pop(settings, None)
        if link is None or link.alive:
            return link
        link.close()
        return None

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.close()
