"""Compose a job invocation from a job: every rule that a schema cannot say, all problems at once."""

from chargehand.compose.catalogue import NO_OVERRIDES, Catalogue, Overrides
from chargehand.compose.findings import COMMAND_LINE, in_order
from chargehand.compose.invocation import compose
from chargehand.compose.notify import read_wishes
from chargehand.compose.targets import HOST_RULE

__all__ = [
    "COMMAND_LINE",
    "HOST_RULE",
    "NO_OVERRIDES",
    "Catalogue",
    "Overrides",
    "compose",
    "in_order",
    "read_wishes",
]
