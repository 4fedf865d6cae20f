"""Watch: hears one script while it runs - masks what it prints, keeps it, and tells of it."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from chargehand.event import HostOutput, HostStarted, Stream
from chargehand.mask import Mask
from chargehand.result import CapturedOutput
from chargehand.runner.herald import Herald
from chargehand.runner.output import Capture
from chargehand.share import TemplateInvocation

STREAMS: Final[tuple[Stream, Stream]] = ("stdout", "stderr")


class Watch:
    """The `Watcher` of one script.

    Attributes:
        started_at: When the script started, aware, UTC; None before.
    """

    def __init__(
        self,
        share: TemplateInvocation,
        captures: Mapping[Stream, Capture],
        *,
        herald: Herald,
        clock: Callable[[], datetime],
    ) -> None:
        self.started_at: datetime | None = None
        self._host = share.host
        self._masks = {stream: Mask(share.secrets) for stream in STREAMS}
        self._captures = captures
        self._herald = herald
        self._clock = clock
        self._kept: dict[Stream, CapturedOutput] = {}
        self._lock = threading.Lock()

    def started(self) -> None:
        """The script runs now."""
        self.started_at = self._clock()
        self._herald.tell(HostStarted(at=self.started_at, host=self._host))

    def output(self, stream: Stream, chunk: bytes) -> None:
        """The script printed `chunk`."""
        with self._lock:
            if not self._kept:
                self._take(stream, self._masks[stream].feed(chunk))

    def finish(self) -> Mapping[Stream, CapturedOutput]:
        """Hear nothing more; all that was printed."""
        with self._lock:
            if not self._kept:
                for stream in STREAMS:
                    self._take(stream, self._masks[stream].flush())
                self._kept = {stream: self._keep(stream) for stream in STREAMS}
            return self._kept

    def masked(self, text: str) -> str:
        """`text` without the secrets of the host."""
        return self._masks["stdout"].text(text.encode("utf-8", "backslashreplace").decode())

    def _take(self, stream: Stream, chunk: bytes) -> None:
        if chunk:
            self._captures[stream].write(chunk)
            self._herald.tell(HostOutput(at=self._clock(), host=self._host, stream=stream, chunk=chunk))

    def _keep(self, stream: Stream) -> CapturedOutput:
        capture = self._captures[stream]
        output = capture.finish()
        if capture.trouble:
            self._herald.notice(f"{self._host}: the middle of {stream} is lost ({capture.trouble})")
        return output
