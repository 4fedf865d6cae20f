"""How hosts are reached and how a run is told of."""

from pathlib import Path
from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest
from chargehand.frozen import frozen


@frozen(slots=False)
class LaunchRequest(InventoryRequest):
    """How hosts are reached and how a run is told of; what ``run``, ``exec`` and ``rerun`` share."""

    forks: int | None
    user: str | None
    ask_pass: bool
    ask_become_pass: bool
    private_key: Path | None
    become: bool
    become_user: str | None
    output: Literal["text", "json", "ndjson", "junit"]
    verbose: bool
    list_hosts: bool


@frozen(slots=False)
class FirstLaunchRequest(LaunchRequest):
    """A launch of something new, which may be in a lab; what ``run`` and ``exec`` share."""

    lab: int | None
