"""EventWriter: events as they happen, one JSON object a line."""

import codecs
from collections.abc import Callable
from datetime import UTC
from typing import Final

from chargehand.event import (
    Event,
    HostConnecting,
    HostFinished,
    HostOutput,
    HostStarted,
    Notice,
    RunFinished,
    RunStarted,
    Stream,
)
from chargehand.report.invocation import Json, host_result
from chargehand.report.jsontext import dumps

VERSION: Final = 1


class EventWriter:
    r"""An observer that writes events as lines of JSON.

    Every line has ``v`` (of this format), ``ts`` (ISO 8601, UTC), ``invocation``, ``host`` (null when the
    event is about the run), ``type`` and ``seq`` (from 1, without gaps); the rest depends on the type. Output
    is text: what is no UTF-8 is ``\xNN``, and a character that the host sent in two pieces is in one line.

    Args:
        invocation: Its id.
        write: Takes one line with its end.
    """

    def __init__(self, invocation: int, write: Callable[[str], object]) -> None:
        self._invocation = invocation
        self._write = write
        self._seq = 0
        self._decoders: dict[tuple[str, Stream], codecs.IncrementalDecoder] = {}

    def __call__(self, event: Event) -> None:
        """Write an event."""
        match event:
            case RunStarted():
                self._line(event, None, "run_started", hosts=list(event.hosts))
            case HostConnecting():
                self._line(event, event.host, "host_connecting", attempt=event.attempt)
            case HostStarted():
                self._line(event, event.host, "host_started")
            case HostOutput():
                self._output(event, event.host, event.stream, event.chunk)
            case HostFinished():
                self._finished(event)
            case Notice():
                self._line(event, None, "notice", message=event.message)
            case RunFinished():
                self._run_finished(event)

    def _output(self, event: Event, host: str, stream: Stream, chunk: bytes, *, last: bool = False) -> None:
        key = (host, stream)
        if key not in self._decoders:
            self._decoders[key] = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        text = self._decoders[key].decode(chunk, last)
        if text:
            self._line(event, host, "host_output", stream=stream, text=text)

    def _finished(self, event: HostFinished) -> None:
        host = event.result.host
        streams: tuple[Stream, ...] = ("stdout", "stderr")
        for stream in streams:
            if (host, stream) in self._decoders:
                self._output(event, host, stream, b"", last=True)
                del self._decoders[host, stream]
        # Its output was told already, piece by piece.
        result = {
            key: value for key, value in host_result(event.result).items() if key not in ("host", *streams)
        }
        self._line(event, host, "host_finished", **result)

    def _run_finished(self, event: RunFinished) -> None:
        counts = {str(status): count for status, count in event.result.counts.items()}
        self._line(
            event,
            None,
            "run_finished",
            counts=counts,
            cancelled=event.result.cancelled,
            stopped=event.result.stopped,
            exit_code=event.result.exit_code,
        )

    def _line(self, event: Event, host: str | None, kind: str, **facts: object) -> None:
        self._seq += 1
        line: Json = {
            "v": VERSION,
            "ts": event.at.astimezone(UTC).isoformat(),
            "invocation": self._invocation,
            "host": host,
            "type": kind,
            "seq": self._seq,
        }
        self._write(dumps(line | facts, indent=False) + "\n")
