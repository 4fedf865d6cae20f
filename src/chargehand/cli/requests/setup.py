"""``init``, ``lab``, ``doctor`` and ``completion``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest


@dataclass(frozen=True, kw_only=True)
class InitRequest:
    """``chargehand init``; with `service`, print what starts Chargehand by itself."""

    folder: Path
    service: Literal["systemd", "cron"] | None


@dataclass(frozen=True, kw_only=True)
class LabUpRequest(InventoryRequest):
    """``chargehand lab up``."""

    hosts: str
    foreground: bool


@dataclass(frozen=True, kw_only=True)
class LabRequest:
    """``chargehand lab down`` and ``lab status``."""


@dataclass(frozen=True, kw_only=True)
class DoctorRequest(InventoryRequest):
    """``chargehand doctor``."""

    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """``chargehand completion``."""

    shell: Literal["bash", "zsh", "fish"]
