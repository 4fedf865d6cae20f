"""Compose a job invocation from a job: every rule that a schema cannot say, all problems at once."""

from chargehand.compose.catalogue import NO_OVERRIDES, Catalogue, Overrides
from chargehand.compose.invocation import compose

__all__ = ["NO_OVERRIDES", "Catalogue", "Overrides", "compose"]
