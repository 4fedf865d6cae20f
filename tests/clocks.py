"""A wall clock for processes that a test moves: libfaketime, told by a file what to add to the real time.

Only the wall clock is moved; waits take the time they take. PostgreSQL and the tests stay on real time.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIBRARY = next(
    (
        found
        for root in (Path("/usr/lib"), Path("/usr/local/lib"), Path("/usr/lib64"))
        for found in sorted(root.glob("**/faketime/libfaketime.so.1"))
    ),
    None,
)
_SLEEP = """\
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""
"""For Python: libfaketime 0.9.10 lets clock_nanosleep fail while the monotonic clock is left alone."""
_SHARED = Path("/dev/shm")


class WallClock:
    """What the wall clocks of some processes show.

    Attributes:
        environ: For the environment of a process that is to see this clock.
    """

    def __init__(self, folder: Path, begin: datetime) -> None:
        assert LIBRARY is not None, "libfaketime is not installed"
        self._file = folder / "clock"
        (folder / "sitecustomize.py").write_text(_SLEEP)
        self._lock = threading.Lock()
        self.environ: Mapping[str, str] = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(folder),
        }
        self.set(begin)

    @property
    def now(self) -> datetime:
        """What it shows."""
        return datetime.now(UTC) + self._offset

    def set(self, moment: datetime) -> None:
        """Have it show this moment, and go on."""
        self._write(moment - datetime.now(UTC))

    def move(self, **by: float) -> None:
        """Put it forward or back by a `timedelta`."""
        self._write(self._offset + timedelta(**by))

    @contextmanager
    def rushing(self, rate: float) -> Iterator[None]:
        """Have it go so many times faster than time does."""
        ended = threading.Event()
        begin, started = self.now, time.monotonic()

        def rush() -> None:
            while not ended.wait(0.02):
                self.set(begin + timedelta(seconds=rate * (time.monotonic() - started)))

        thread = threading.Thread(target=rush)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _write(self, offset: timedelta) -> None:
        with self._lock:
            self._offset = offset
            new = self._file.with_suffix(".new")
            new.write_text(f"{offset.total_seconds():+.6f}\n")
            new.rename(self._file)


def forget_shared(pid: int) -> None:
    """Remove what the library of a process that was killed left in shared memory."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        (_SHARED / name).unlink(missing_ok=True)
        assert os.path.sep not in name
