"""``validate``, ``plan`` and ``render``."""

from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest, SelectionRequest
from chargehand.frozen import frozen


@frozen(slots=False)
class ValidateRequest(InventoryRequest):
    """``chargehand validate``."""

    files: tuple[str, ...]
    format: Literal["auto", "text", "json", "github", "sarif", "junit", "codequality"]
    every_host: bool
    run_programs: bool


@frozen(slots=False)
class PlanRequest(SelectionRequest):
    """``chargehand plan``; with `before` or `after`, of a change."""

    files: tuple[str, ...]
    output: Literal["text", "json", "markdown"]
    run_programs: bool
    before: str | None
    after: str | None
    branch: str | None
    detailed_exitcode: bool


@frozen(slots=False)
class RenderRequest(SelectionRequest):
    """``chargehand render``."""

    file: str
    output: Literal["text", "json"]
    run_programs: bool
