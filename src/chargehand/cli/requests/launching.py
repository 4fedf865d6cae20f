"""How hosts are reached and how a run is told of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class FirstLaunchRequest(LaunchRequest):
    """A launch of something new, which may be in a lab; what ``run`` and ``exec`` share."""

    lab: int | None
