"""``validate``, ``plan`` and ``render``."""

from dataclasses import dataclass
from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest, SelectionRequest


@dataclass(frozen=True, kw_only=True)
class ValidateRequest(InventoryRequest):
    """``chargehand validate``."""

    files: tuple[str, ...]
    format: Literal["auto", "text", "json", "github", "sarif", "junit", "codequality"]
    every_host: bool
    run_programs: bool


@dataclass(frozen=True, kw_only=True)
class PlanRequest(SelectionRequest):
    """``chargehand plan``; with `before` or `after`, of a change."""

    files: tuple[str, ...]
    output: Literal["text", "json", "markdown"]
    run_programs: bool
    before: str | None
    after: str | None
    branch: str | None
    detailed_exitcode: bool


@dataclass(frozen=True, kw_only=True)
class RenderRequest(SelectionRequest):
    """``chargehand render``."""

    file: str
    output: Literal["text", "json"]
    run_programs: bool
