"""What a session told of one script: a watcher that keeps it all, and one call that runs a script."""

from collections.abc import Callable

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.provider import Ending, Provider, Stop
from chargehand.script import RenderedScript


class Heard:
    """A watcher that keeps everything; `at_start` is called when the script runs."""

    def __init__(self, at_start: Callable[[], None] = lambda: None) -> None:
        self.at_start = at_start
        self.starts = 0
        self.chunks: dict[Stream, list[bytes]] = {"stdout": [], "stderr": []}

    def started(self) -> None:
        self.starts += 1
        self.at_start()

    def output(self, stream: Stream, chunk: bytes) -> None:
        self.chunks[stream].append(chunk)

    @property
    def stdout(self) -> bytes:
        return b"".join(self.chunks["stdout"])

    @property
    def stderr(self) -> bytes:
        return b"".join(self.chunks["stderr"])


def run(
    provider: Provider, settings: ConnectionSettings, content: str, heard: Heard | None = None
) -> tuple[Ending, Heard]:
    """Reach a host, run a script on it, and let go."""
    heard = heard or Heard()
    script = RenderedScript(content=content.encode())
    session = provider.open(settings, Stop(), script)
    try:
        ending = session.run(script, heard, Stop())
        session.settle()
    finally:
        session.close()
    return ending, heard
