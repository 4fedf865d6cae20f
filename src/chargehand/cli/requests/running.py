"""``run`` and ``exec``."""

from chargehand.cli.requests.launching import FirstLaunchRequest
from chargehand.cli.requests.shared import SelectionRequest
from chargehand.frozen import frozen


@frozen(slots=False)
class RunRequest(FirstLaunchRequest, SelectionRequest):
    """``chargehand run``."""

    files: tuple[str, ...]
    check: bool
    now: bool


@frozen(slots=False)
class ExecRequest(FirstLaunchRequest):
    """``chargehand exec``."""

    query: str
    command: tuple[str, ...]
    exclude: str | None
    timeout: int | None
