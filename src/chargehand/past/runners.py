"""Runners: who is alive of those who carry invocations out."""

import fcntl
import os
from datetime import timedelta
from pathlib import Path
from typing import Final

from chargehand.past.columns import moment_of
from chargehand.past.reading import Reader, Source

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
SILENCE: Final = timedelta(seconds=60)
"""A runner of another machine that was not heard of for longer is taken for dead."""


class KnownRunners:
    """Who carries invocations out."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def is_alive(self, runner_id: str | None) -> bool:
        """Whether a runner is: it holds its lock, or is of another machine and was heard of lately."""
        if runner_id is None:
            return False
        statement = "SELECT machine, lock_file, seen_at FROM runner WHERE id = :this"

        def step(reader: Reader) -> tuple[str, str, bool] | None:
            rows = reader.rows(statement, {"this": runner_id})
            if not rows:
                return None
            lately = moment_of(rows[0]["seen_at"]) > reader.now() - SILENCE
            return rows[0]["machine"], rows[0]["lock_file"], lately

        found = self._source.read(step)
        if found is None:
            return False
        machine, lock_file, heard_lately = found
        locked = is_locked(Path(lock_file)) if machine == this_machine() else None
        return heard_lately if locked is None else locked


def is_locked(path: Path) -> bool | None:
    """Whether somebody holds a lock; None when there is none that can be seen from here."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def this_machine() -> str:
    """Names this boot of this machine: after the next one, nobody of before is alive."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return f"{os.uname().nodename}"
