"""``init``, ``lab``, ``doctor`` and ``completion``."""

from pathlib import Path
from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest
from chargehand.frozen import frozen


@frozen(slots=False)
class InitRequest:
    """``chargehand init``; with `service`, print what starts Chargehand by itself."""

    folder: Path
    service: Literal["systemd", "cron"] | None


@frozen(slots=False)
class LabUpRequest(InventoryRequest):
    """``chargehand lab up``."""

    hosts: str
    foreground: bool


@frozen(slots=False)
class LabRequest:
    """``chargehand lab down`` and ``lab status``."""


@frozen(slots=False)
class DoctorRequest(InventoryRequest):
    """``chargehand doctor``."""

    output: Literal["text", "json"]


@frozen(slots=False)
class CompletionRequest:
    """``chargehand completion``."""

    shell: Literal["bash", "zsh", "fish"]
