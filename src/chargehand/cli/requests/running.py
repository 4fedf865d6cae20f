"""``run`` and ``exec``."""

from dataclasses import dataclass

from chargehand.cli.requests.launching import FirstLaunchRequest
from chargehand.cli.requests.shared import SelectionRequest


@dataclass(frozen=True, kw_only=True)
class RunRequest(FirstLaunchRequest, SelectionRequest):
    """``chargehand run``."""

    files: tuple[str, ...]
    check: bool
    now: bool


@dataclass(frozen=True, kw_only=True)
class ExecRequest(FirstLaunchRequest):
    """``chargehand exec``."""

    query: str
    command: tuple[str, ...]
    exclude: str | None
    timeout: int | None
