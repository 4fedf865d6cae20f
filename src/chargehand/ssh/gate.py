"""Gate: how many connections to one address may be unauthenticated at once.

sshd drops connections at random when ten are (MaxStartups 10:30:100), and bans addresses that make it do so
often (PerSourcePenalties): waiting here is quicker than being turned away there.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType

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

    def passing(self, key: str, interrupt: Interrupt) -> "_Passage":
        """Wait for a place, and hold it during the block.

        Raises:
            Unreachable: The button was pressed meanwhile.
        """
        return _Passage(self, key, interrupt)

    def come(self, key: str) -> Signal | None:
        """Take a place, or a turn that is set when there is one."""
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            if queue.inside < self._limit:
                queue.inside += 1
                return None
            turn = Signal()
            queue.waiting.append(turn)
            return turn

    def leave(self, key: str, turn: Signal | None) -> None:
        """Give back a place, or a turn that did not come yet."""
        with self._lock:
            queue = self._queues[key]
            if turn is not None and turn in queue.waiting:
                queue.waiting.remove(turn)
            elif queue.waiting:
                queue.waiting.popleft().set()
            else:
                queue.inside -= 1
                if not queue.inside:
                    del self._queues[key]


class _Passage:
    """One block of `Gate.passing`."""

    def __init__(self, gate: Gate, key: str, interrupt: Interrupt) -> None:
        self._gate = gate
        self._key = key
        self._interrupt = interrupt
        self._turn: Signal | None = None

    def __enter__(self) -> None:
        turn = self._turn = self._gate.come(self._key)
        try:
            if turn is None:
                self._interrupt.check()
            else:
                with self._interrupt.calling(turn.set):
                    turn.wait()
        except BaseException:
            self._gate.leave(self._key, turn)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave(self._key, self._turn)
