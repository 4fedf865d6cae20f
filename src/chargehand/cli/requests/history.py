"""What was and what is."""

from typing import Literal

from chargehand.frozen import frozen


@frozen(slots=False)
class HistoryRequest:
    """``chargehand list``; the words are a query over runs."""

    words: tuple[str, ...]
    limit: int
    every: bool
    oldest_first: bool
    output: Literal["text", "json", "ndjson"]


@frozen(slots=False)
class ShowRequest:
    """``chargehand show``."""

    id: str
    hosts: str | None
    output: Literal["text", "json"]


@frozen(slots=False)
class OutputRequest:
    """``chargehand output``."""

    id: str
    host: str | None
    follow: bool
    stdout: bool
    stderr: bool
    timestamps: bool
    raw: bool


@frozen(slots=False)
class DiffRequest:
    """``chargehand diff``."""

    before: str
    after: str
    host: str | None
    detailed_exitcode: bool
    output: Literal["text", "json"]


@frozen(slots=False)
class CancelRequest:
    """``chargehand cancel``."""

    id: str
    force: bool
    limit: str | None
    no_wait: bool


@frozen(slots=False)
class PruneRequest:
    """``chargehand prune``."""

    keep: int | None
    older_than: str | None
    max_size: str | None
    dry_run: bool
