"""Watch: hears one script while it runs - masks what it prints, keeps it, and tells of it."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from chargehand.event import HostOutput, HostStarted, Stream
from chargehand.mask import Mask
from chargehand.result import NO_OUTPUT, CapturedOutput
from chargehand.runner.herald import Herald
from chargehand.runner.output import Capture
from chargehand.share import TemplateInvocation

_NOTHING: Final[Mapping[Stream, CapturedOutput]] = {"stdout": NO_OUTPUT, "stderr": NO_OUTPUT}


class Watch:
    """The `Watcher` of one script.

    Attributes:
        started_at: When the script started, aware, UTC; None before.
    """

    def __init__(
        self,
        share: TemplateInvocation,
        *,
        capture: Callable[[Stream], Capture],
        herald: Herald,
        clock: Callable[[], datetime],
    ) -> None:
        self.started_at: datetime | None = None
        self._host = share.host
        self._secrets = share.secrets
        self._heard: dict[Stream, tuple[Mask, Capture]] = {}
        self._capture = capture
        self._herald = herald
        self._clock = clock
        self._kept: Mapping[Stream, CapturedOutput] = {}
        self._lock = threading.Lock()

    def started(self) -> None:
        """The script runs now."""
        self.started_at = self._clock()
        self._herald.tell(HostStarted(at=self.started_at, host=self._host))

    def output(self, stream: Stream, chunk: bytes) -> None:
        """The script printed `chunk`."""
        with self._lock:
            if not self._kept:
                heard = self._heard.get(stream)
                if heard is None:  # most hosts say nothing on one of the streams, or on both
                    heard = self._heard[stream] = (Mask(self._secrets), self._capture(stream))
                self._take(stream, heard[0].feed(chunk))

    def finish(self) -> Mapping[Stream, CapturedOutput]:
        """Hear nothing more; all that was printed."""
        with self._lock:
            if not self._kept:
                heard = [(stream, *self._heard[stream]) for stream in _NOTHING if stream in self._heard]
                for stream, mask, _ in heard:
                    self._take(stream, mask.flush())
                kept = {stream: self._keep(stream, capture) for stream, _, capture in heard}
                self._kept = {**_NOTHING, **kept} if kept else _NOTHING
            return self._kept

    def masked(self, text: str) -> str:
        """`text` without the secrets of the host."""
        if not text:
            return text
        return Mask(self._secrets).text(text.encode("utf-8", "backslashreplace").decode())

    def _take(self, stream: Stream, chunk: bytes) -> None:
        if chunk:
            self._heard[stream][1].write(chunk)
            self._herald.tell(HostOutput(at=self._clock(), host=self._host, stream=stream, chunk=chunk))

    def _keep(self, stream: Stream, capture: Capture) -> CapturedOutput:
        output = capture.finish()
        if capture.trouble:
            self._herald.notice(f"{self._host}: the middle of {stream} is lost ({capture.trouble})")
        return output
