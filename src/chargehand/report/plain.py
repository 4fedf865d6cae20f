"""PlainDisplay: how a run goes, as lines in a log - for CI, pipes, and terminals that cannot do more."""

import threading
from types import TracebackType
from typing import Final, TextIO

from chargehand.event import Event, HostFinished, HostOutput, Notice, RunFinished, Stream
from chargehand.report.escape import escape, escape_line
from chargehand.report.forge import Forge
from chargehand.report.lines import LineReader
from chargehand.report.progress import Progress
from chargehand.report.recap import span
from chargehand.result import HostResult

SILENCE_S: Final = 30.0
MARKS: Final[dict[Stream, str]] = {"stdout": "|", "stderr": "!"}


class OutputLines:
    """Makes lines that name their host of what hosts print: ``web1 | text``, of stderr ``web1 ! text``."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, Stream], LineReader] = {}

    def feed(self, event: HostOutput) -> list[str]:
        """The lines an event completes."""
        reader = self._readers.setdefault((event.host, event.stream), LineReader())
        return [_line(event.host, event.stream, text) for text in reader.feed(event.chunk)]

    def flush(self, host: str) -> list[str]:
        """What a host that is done left without an end of line."""
        lines: list[str] = []
        for stream in MARKS if self._readers else ():
            reader = self._readers.pop((host, stream), None)
            lines += [_line(host, stream, text) for text in reader.flush()] if reader else []
        return lines


class PlainDisplay:
    """An observer that writes whole lines.

    A host that did not succeed gets a line; the others are counted, in a line that comes at the latest
    after `silence_s` seconds without any other, so that nobody takes the run for dead.

    Args:
        stream: Usually stderr.
        verbosity: From 1, every line hosts print and every host that ends.
        silence_s: The longest time without a line.
        progress: Where the run stands.
        forge: Whose log the stream is.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbosity: int = 0,
        silence_s: float = SILENCE_S,
        progress: Progress | None = None,
        forge: Forge = Forge.NONE,
    ) -> None:
        self._stream = stream
        self._forge = forge
        self._verbosity = verbosity
        self._silence_s = silence_s
        self._progress = progress or Progress()
        self._output = OutputLines()
        self._spoken = threading.Condition()
        self._words = 0
        self._over = False
        self._thread = threading.Thread(target=self._break_silence, name="chargehand-display", daemon=True)

    def __enter__(self) -> "PlainDisplay":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._spoken:
            self._over = True
            self._spoken.notify_all()
        self._thread.join()

    def __call__(self, event: Event) -> None:
        """Tell of an event."""
        self._progress(event)
        lines = told(event, self._output, verbosity=self._verbosity)
        if isinstance(event, RunFinished):
            lines.append(self._progress.words())
        if lines:
            with self._spoken:
                self._say(lines)

    def _say(self, lines: list[str]) -> None:
        self._words += 1
        self._stream.write(self._forge.inert("".join(f"{line}\n" for line in lines)))
        self._stream.flush()
        self._spoken.notify_all()

    def _break_silence(self) -> None:
        with self._spoken:
            while not self._over:
                heard = self._words
                if not self._spoken.wait_for(lambda: self._over or self._words != heard, self._silence_s):  # noqa: B023 - called here only
                    self._say([still_running(self._progress)])


def told(event: Event, output: OutputLines, *, verbosity: int) -> list[str]:
    """The lines that tell of an event."""
    if isinstance(event, HostOutput):
        return output.feed(event) if verbosity else []
    if isinstance(event, HostFinished):
        lines = output.flush(event.result.host)
        return [*lines, finished(event.result)] if verbosity or not event.result.ok else lines
    return [f"note: {escape_line(event.message)}"] if isinstance(event, Notice) else []


def finished(result: HostResult) -> str:
    """A line about a host that is done: ``web1: failed: exit status 3 (0.4 s)``."""
    reason = f": {escape_line(result.reason)}" if result.reason else ""
    took = "" if result.duration_s is None else f" ({span(result.duration_s)})"
    return f"{escape_line(result.host)}: {result.status.replace('_', ' ')}{reason}{took}"


def still_running(progress: Progress) -> str:
    """A line that says where the run stands, and which hosts take longest."""
    longest = ", ".join(f"{escape_line(each.host)} {span(each.seconds)}" for each in progress.longest(3))
    return f"{progress.words()}, {span(progress.seconds)}" + (f"; longest: {longest}" if longest else "")


def _line(host: str, stream: Stream, text: str) -> str:
    return f"{escape_line(host)} {MARKS[stream]} {escape(text)}"
