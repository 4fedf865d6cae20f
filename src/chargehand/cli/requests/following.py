"""``sync`` and ``status``."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """``chargehand sync``."""

    run_first: bool


@dataclass(frozen=True, kw_only=True)
class StatusRequest:
    """``chargehand status``."""

    output: Literal["text", "json"]
    detailed_exitcode: bool
