"""A provider whose scripts are sent only when that is written down."""

from typing import Protocol

from chargehand.connection import ConnectionSettings
from chargehand.event import Stream
from chargehand.failpoint import reach
from chargehand.provider import Ending, Provider, Session, Stop, Watcher
from chargehand.script import RenderedScript


class Writer(Protocol):
    """Who writes a run down; a ledger."""

    def intend(self, script: RenderedScript) -> str:
        """Have it known for good that a script is about to be sent; its host."""

    def is_written(self, host: str) -> bool:
        """Whether the host's outcome is known for good."""

    def note_settled(self, host: str) -> None:
        """The host was told to remove the script's folder."""

    def wait_for_room(self) -> None:
        """Wait while there is too much to be written."""


class RecordedProvider:
    """A provider; its sessions have the intent in the store before a script, the outcome before `settle`."""

    def __init__(self, provider: Provider, writer: Writer) -> None:
        self.strands = provider.strands
        self._provider = provider
        self._writer = writer

    def open(self, settings: ConnectionSettings, stop: Stop, script: RenderedScript | None = None) -> Session:
        """Reach one host."""
        return _RecordedSession(self._provider.open(settings, stop, script), self._writer)

    def close(self) -> None:
        """Let go of what sessions share."""
        self._provider.close()


class _RecordedSession:
    """One way to one host."""

    def __init__(self, session: Session, writer: Writer) -> None:
        self._session = session
        self._writer = writer
        self._host: str | None = None

    def run(self, script: RenderedScript, watcher: Watcher, stop: Stop) -> Ending:
        self._host = self._writer.intend(script)
        return self._session.run(script, _PatientWatcher(watcher, self._writer), stop)

    def settle(self) -> None:
        """Let the host forget, once we cannot; else what it keeps is left for whoever asks later."""
        if self._host is None or not self._writer.is_written(self._host):
            return
        reach("before-settle")
        self._session.settle()
        reach("after-settle")
        self._writer.note_settled(self._host)

    def close(self) -> None:
        self._session.close()


class _PatientWatcher:
    """Lets a host wait that prints faster than can be written down.

    It is the session's own thread, or strand, that waits here, holding nothing that another host needs.
    """

    def __init__(self, watcher: Watcher, writer: Writer) -> None:
        self._watcher = watcher
        self._writer = writer

    def started(self) -> None:
        self._watcher.started()
        reach("after-start")

    def output(self, stream: Stream, chunk: bytes) -> None:
        self._writer.wait_for_room()
        self._watcher.output(stream, chunk)
