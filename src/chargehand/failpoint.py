"""Failpoints: named places where a test makes this process die, to see what is left of its work.

``CHARGEHAND_FAILPOINT=after-intent:2:KILL`` sends the signal to the process group the second time the
place is reached. Without the variable a place costs one comparison; only who starts the process can set it.
"""

import os
import signal
import threading
from typing import Final

_WISH: Final = os.environ.get("CHARGEHAND_FAILPOINT", "")
_lock = threading.Lock()
_reached = 0


def reach(name: str) -> None:
    """Say that the place called `name` is reached."""
    if _WISH:
        _count(name)


def _count(name: str) -> None:
    global _reached  # noqa: PLW0603 - one count for all threads of the process
    wished, times, action = _WISH.split(":")
    if name != wished:
        return
    with _lock:
        _reached += 1
        if _reached == int(times):
            os.killpg(0, signal.Signals[f"SIG{action}"])
