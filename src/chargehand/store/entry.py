"""Entries: what is written down while hosts run, each a small fact that can be written twice.

An entry that was written and whose confirmation was lost is written again, and changes nothing then.
"""

from dataclasses import field
from datetime import datetime

from chargehand.event import Stream
from chargehand.frozen import frozen
from chargehand.result import HostResult


@frozen
class Intent:
    """A script is about to be sent; refused unless the host is queued and the runner still holds the run.

    Attributes:
        share_id: Of the template invocation.
        runner_id: Who sends it.
        token: Names the script's folder on the host.
        at: Now.
    """

    share_id: int
    runner_id: str
    token: str
    at: datetime


@frozen
class Started:
    """The host said that its script runs."""

    share_id: int
    token: str
    at: datetime


@frozen
class Chunk:
    """A script printed something.

    Attributes:
        share_id: Of the template invocation.
        sequence: From 0 for every share, over both streams.
        at: When it was heard.
        stream: Which of the two.
        offset_bytes: How many bytes the stream had before.
        content: What was printed, secrets masked.
    """

    share_id: int
    sequence: int
    at: datetime
    stream: Stream
    offset_bytes: int
    content: bytes = field(repr=False)


@frozen
class Outcome:
    """A host is done; refused when the share has an outcome other than ``unknown`` already.

    Attributes:
        share_id: Of the template invocation.
        token: That of the intent; None when none was written. Another one's outcome is refused.
        result: What came of it; its output is in chunks.
        reconciled: Whether it was learned from what the host kept.
    """

    share_id: int
    token: str | None
    result: HostResult
    reconciled: bool = False


@frozen
class Settled:
    """The host was told that the folder of the script may go."""

    share_id: int


Entry = Intent | Started | Chunk | Outcome | Settled
