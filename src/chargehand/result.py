"""What came out: one `HostResult` for every host of a run, and the run's own `JobResult`."""

from collections import Counter
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from chargehand.frozen import frozen


class Status(StrEnum):
    """How a host's share of a run ended (design §3.1); the only place where these words are written.

    ``unreachable``: no session - connection, host key, login. ``not_started``: a session, but the
    script did not start - rendering, effective user, no place to run. ``unknown``: it started, and
    how it ended could not be learned.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    NOT_STARTED = "not_started"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    PENDING = "pending"


@frozen
class CapturedOutput:
    """One stream of a script: its beginning and its end in memory, all of it in a file.

    Attributes:
        head: The first bytes, as the host sent them.
        tail: The last bytes; empty when `head` holds everything.
        size_bytes: How many bytes the host sent.
        sha256: Of all of them, in hex.
        path: The file that holds all of them when `head` does not; None otherwise.
    """

    head: bytes = b""
    tail: bytes = b""
    size_bytes: int = 0
    sha256: str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    path: Path | None = None

    @property
    def elided_bytes(self) -> int:
        """How many bytes lie between `head` and `tail`."""
        return self.size_bytes - len(self.head) - len(self.tail)

    def text(self) -> str:
        r"""The stream as text: undecodable bytes as ``\xNN``, a cut told in a line of its own."""
        head = self.head.decode("utf-8", "backslashreplace")
        if not self.elided_bytes and not self.tail:
            return head
        tail = self.tail.decode("utf-8", "backslashreplace")
        return f"{head}\n[... {self.elided_bytes} bytes left out ...]\n{tail}"


NO_OUTPUT = CapturedOutput()


@frozen
class HostResult:
    """What one host answered to one script.

    A value: made once by the runner when the host is done, never changed. An unreachable host has
    one too, so a run over N hosts yields N results.

    Attributes:
        host: Name as the inventory spells it, not the address.
        host_id: The host's id.
        status: How it ended; says whether the other fields can be trusted.
        exit_status: 0-255; None when the script never started, or ended by a signal.
        signal: Name without SIG, such as ``KILL``, when a signal ended the script; None otherwise.
        started_at: When the script started, aware, UTC; None when it never did.
        duration_s: Seconds from then to the end on a monotonic clock; connecting not counted.
        code: Short name of the reason, such as ``host-key-changed``; empty when it succeeded.
        reason: One line for people when it did not succeed.
        stdout: As sent; empty when the script never started.
        stderr: As `stdout`; empty when the session had a terminal, which merges the two.
        noise: What the host printed before the script started: motd, shell start-up files, sudo's lecture.
        pty: Whether a terminal was needed; then stdout holds both streams.
        attempts: How many connections were tried.
    """

    host: str
    host_id: int = 0
    status: Status
    exit_status: int | None = None
    signal: str | None = None
    started_at: datetime | None = None
    duration_s: float | None = None
    code: str = ""
    reason: str = ""
    stdout: CapturedOutput = NO_OUTPUT
    stderr: CapturedOutput = NO_OUTPUT
    noise: str = ""
    pty: bool = False
    attempts: int = 1

    @property
    def ok(self) -> bool:
        """Whether the script ran and its own exit status was 0."""
        return self.status is Status.SUCCEEDED


@frozen
class JobResult:
    """What a whole run came to.

    Attributes:
        results: One for every host of the targeting, in its order.
        started_at: When the run began, aware, UTC.
        ended_at: When its last host was done, aware, UTC.
        cancelled: Whether somebody stopped it.
        stopped: Why no more hosts were started - ``stop_after``, ``deadline``, or what `Runner.refrain` was
            given - or empty.
    """

    results: tuple[HostResult, ...]
    started_at: datetime
    ended_at: datetime
    cancelled: bool = False
    stopped: str = ""
    counts: Counter[Status] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", Counter(result.status for result in self.results))

    @property
    def ok(self) -> bool:
        """Whether every host succeeded."""
        return self.counts[Status.SUCCEEDED] == len(self.results)

    @property
    def exit_code(self) -> int:
        """The exit code of the command that ran it (design §3)."""
        count = self.counts
        if self.cancelled:
            return 13 if count[Status.UNKNOWN] else 5
        if self.stopped == "stop_after":
            return 8
        if self.stopped == "deadline":
            return 9
        if count[Status.UNKNOWN]:
            return 13
        timed_out = count[Status.TIMED_OUT]
        failed = count[Status.FAILED] + count[Status.NOT_STARTED] + timed_out
        unreachable = count[Status.UNREACHABLE]
        if failed and unreachable:
            return 7
        if failed:
            return 9 if failed == timed_out else 5
        if unreachable:
            return 6
        return 5 if count[Status.CANCELLED] + count[Status.SKIPPED] + count[Status.PENDING] else 0
