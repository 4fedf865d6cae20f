"""Receiver: what becomes of a request, whatever carries it.

Used from one thread at a time, but for `take_rules`.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from chargehand.frozen import frozen
from chargehand.webhook.delivery import Hint, Refusal, verify
from chargehand.webhook.rules import Rules
from chargehand.webhook.sender import Headers

MOST_KNOWN: Final = 10_000
"""So many deliveries are remembered; of more, the oldest are forgotten."""
_QUIET: Final = timedelta(minutes=1)
"""How long the same refusal is not told again: strangers do not fill logs."""


@frozen
class Answer:
    """What is answered: a status of HTTP and one line."""

    status: int
    text: str


class Receiver:
    """Hears of pushes and passes each on once, as a hint.

    Args:
        rules: What is accepted.
        nudge: Given every hint; returns at once, does its work elsewhere, and makes one of many.
        tell: Told what came and what was refused, a line each; nothing of bodies, headers or secrets.
        clock: The time, aware, UTC.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        nudge: Callable[[Hint], None],
        tell: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.rules = rules
        self._nudge = nudge
        self._tell = tell
        self._clock = clock
        self._known: OrderedDict[bytes, datetime] = OrderedDict()
        self._told: dict[str, tuple[datetime, int]] = {}

    def take_rules(self, rules: Rules) -> None:
        """Go on with other rules."""
        self.rules = rules

    def hear(self, headers: Headers, body: bytes) -> Answer:
        """What to answer to a request; its hint, if it has one, is passed on by then."""
        now = self._clock()
        found = verify(headers, body, self.rules, now)
        if isinstance(found, Refusal):
            return self.refuse(found)
        if found.hint is None:
            return Answer(status=200, text=found.note)
        self._forget(now)
        if found.key in self._known:
            return Answer(status=202, text="already received")
        self._nudge(found.hint)
        if found.key:
            self._known[found.key] = now
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        self._tell(f"webhook: {found.sender} tells of a push")
        return Answer(status=202, text=found.note)

    def refuse(self, refusal: Refusal) -> Answer:
        """What to answer to what is refused; it is told, though not each time."""
        now = self._clock()
        last, untold = self._told.get(refusal.reason, (None, 0))
        if last is None or not timedelta() <= now - last < _QUIET:
            more = f" (and {untold} more since)" if untold else ""
            self._tell(f"webhook: refused {refusal.reason}{more}")
            self._told[refusal.reason] = (now, 0)
        else:
            self._told[refusal.reason] = (last, untold + 1)
        return Answer(status=refusal.status, text=refusal.answer)

    def _forget(self, now: datetime) -> None:
        """Let go of old deliveries; one that was sent ahead of the clock is believed for two windows."""
        long = timedelta(seconds=2 * self.rules.window_s)
        while self._known and now - next(iter(self._known.values())) > long:
            self._known.popitem(last=False)
