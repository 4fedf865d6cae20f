"""LogNotices: what the package logs during a run, told among its events instead of over the live display."""

import logging
import traceback
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from chargehand.event import Notice, Observer

_PACKAGE = logging.getLogger("chargehand")


class LogNotices(logging.Handler):
    """Hands warnings and errors of the package's loggers to an observer while it is entered.

    Of an exception only its type and the line that raised it are told: its message may hold anything.
    """

    def __init__(self, observer: Observer, clock: Callable[[], datetime]) -> None:
        super().__init__(logging.WARNING)
        self._observer = observer
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            message += f": {record.exc_info[0].__name__}{where}"
        self._observer(Notice(at=self._clock(), message=message))

    def __enter__(self) -> Self:
        _PACKAGE.addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _PACKAGE.removeHandler(self)
