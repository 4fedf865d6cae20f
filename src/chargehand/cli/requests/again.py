"""``rerun`` and ``resume``."""

from pathlib import Path
from typing import Literal

from chargehand.cli.requests.launching import LaunchRequest
from chargehand.cli.requests.shared import InventoryRequest
from chargehand.frozen import frozen


@frozen(slots=False)
class ResumeRequest(InventoryRequest):
    """``chargehand resume``."""

    id: str
    recorded: bool
    changed: bool
    inputs: tuple[str, ...]
    ask_pass: bool
    ask_become_pass: bool
    private_key: Path | None
    output: Literal["text", "json", "ndjson", "junit"]
    verbose: bool


@frozen(slots=False)
class RerunRequest(LaunchRequest):
    """``chargehand rerun``."""

    id: str
    failed: bool
    unreached: bool
    succeeded: bool
    recorded: bool
    skip_missing: bool
    inputs: tuple[str, ...]
    check: bool
