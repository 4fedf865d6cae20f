"""``sync`` and ``status``."""

from typing import Literal

from chargehand.frozen import frozen


@frozen(slots=False)
class SyncRequest:
    """``chargehand sync``."""

    run_first: bool


@frozen(slots=False)
class StatusRequest:
    """``chargehand status``."""

    output: Literal["text", "json"]
    detailed_exitcode: bool
