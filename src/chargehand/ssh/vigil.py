"""Vigil: whether a host that says nothing is still there."""

from collections.abc import Callable

from chargehand.start.channel import ConnectionLost

UNANSWERED = 3


class Vigil:
    """Asks a silent host for a reply, and gives it up when there never is one.

    Args:
        title: The host, for people.
        keepalive_s: Seconds of silence before a question, and between two.
        heard_at: Monotonic time of the last byte that came.
        ask: Sends a question that every host answers, without waiting.
    """

    def __init__(
        self, title: str, keepalive_s: float, heard_at: Callable[[], float], ask: Callable[[], None]
    ) -> None:
        self._title = title
        self._keepalive_s = keepalive_s
        self._heard_at = heard_at
        self._ask = ask
        self._asked_at = 0.0
        self._unanswered = 0

    def keep(self, now: float) -> float:
        """Ask when it is time.

        Returns:
            Seconds until it is to be called again.

        Raises:
            ConnectionLost: Nothing was heard for too long; code ``no-reply``.
        """
        heard_at = self._heard_at()
        if heard_at > self._asked_at:
            self._unanswered = 0
        due_at = max(heard_at, self._asked_at) + self._keepalive_s
        if now < due_at:
            return due_at - now
        if self._unanswered == UNANSWERED:
            silent_s = now - heard_at
            words = f"{self._title}: not heard of for {silent_s:.0f} s, {UNANSWERED} questions unanswered"
            raise ConnectionLost("no-reply", words)
        self._ask()
        self._unanswered += 1
        self._asked_at = now
        return self._keepalive_s
