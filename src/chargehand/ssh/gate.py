"""Gate: how many connections to one address may be unauthenticated at once.

sshd drops connections at random when ten are (MaxStartups 10:30:100), and bans addresses that make it do so
often (PerSourcePenalties): waiting here is quicker than being turned away there.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chargehand.ssh.interrupt import Interrupt
from chargehand.strand import Signal

HANDSHAKES = 8


@dataclass(slots=True)
class _Queue:
    inside: int = 0
    waiting: deque[Signal] = field(default_factory=deque)


class Gate:
    """Lets `limit` callers in at a time for each key, first come, first served."""

    def __init__(self, limit: int = HANDSHAKES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}

    @contextmanager
    def passing(self, key: str, interrupt: Interrupt) -> Iterator[None]:
        """Wait for a place, and hold it during the block.

        Raises:
            Unreachable: The button was pressed meanwhile.
        """
        turn = None
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            if queue.inside < self._limit:
                queue.inside += 1
            else:
                turn = Signal()
                queue.waiting.append(turn)
        try:
            if turn is None:
                interrupt.check()
            else:
                with interrupt.calling(turn.set):
                    turn.wait()
            yield
        finally:
            with self._lock:
                self._leave(key, queue, turn)

    def _leave(self, key: str, queue: _Queue, turn: Signal | None) -> None:
        if turn is not None and turn in queue.waiting:
            queue.waiting.remove(turn)
        elif queue.waiting:
            queue.waiting.popleft().set()
        else:
            queue.inside -= 1
            if not queue.inside:
                del self._queues[key]
