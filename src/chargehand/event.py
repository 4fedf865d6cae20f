"""What happens during a run, told to whoever watches: the runner's observers.

An observer is a callable that takes one event. It is called from the runner's threads, one event at a
time; it must be quick, and what it raises never reaches a host's share of the run.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from chargehand.frozen import frozen
from chargehand.result import HostResult, JobResult

Stream = Literal["stdout", "stderr"]


@frozen
class RunStarted:
    """A run begins; `hosts` in the order in which they will be started."""

    at: datetime
    hosts: tuple[str, ...]


@frozen
class HostConnecting:
    """A host took a slot; `attempt` counts from 1."""

    at: datetime
    host: str
    attempt: int = 1


@frozen
class HostStarted:
    """The script runs on the host."""

    at: datetime
    host: str


@frozen
class HostOutput:
    """The script printed something; secrets already masked, bytes otherwise as sent."""

    at: datetime
    host: str
    stream: Stream
    chunk: bytes


@frozen
class HostFinished:
    """A host is done."""

    at: datetime
    result: HostResult


@frozen
class Notice:
    """Something people should know that is no host's result."""

    at: datetime
    message: str


@frozen
class RunFinished:
    """Every host is done."""

    at: datetime
    result: JobResult


Event = RunStarted | HostConnecting | HostStarted | HostOutput | HostFinished | Notice | RunFinished
Observer = Callable[[Event], None]
