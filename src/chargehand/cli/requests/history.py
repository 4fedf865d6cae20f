"""What was and what is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class HistoryRequest:
    """``chargehand list``; the words are a query over runs."""

    words: tuple[str, ...]
    limit: int
    every: bool
    oldest_first: bool
    output: Literal["text", "json", "ndjson"]


@dataclass(frozen=True, kw_only=True)
class ShowRequest:
    """``chargehand show``."""

    id: str
    hosts: str | None
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class OutputRequest:
    """``chargehand output``."""

    id: str
    host: str | None
    follow: bool
    stdout: bool
    stderr: bool
    timestamps: bool
    raw: bool


@dataclass(frozen=True, kw_only=True)
class DiffRequest:
    """``chargehand diff``."""

    before: str
    after: str
    host: str | None
    detailed_exitcode: bool
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class CancelRequest:
    """``chargehand cancel``."""

    id: str
    force: bool
    limit: str | None
    no_wait: bool


@dataclass(frozen=True, kw_only=True)
class PruneRequest:
    """``chargehand prune``."""

    keep: int | None
    older_than: str | None
    max_size: str | None
    dry_run: bool
