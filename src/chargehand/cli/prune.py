"""``chargehand prune``."""

from chargehand.cli.requests import PruneRequest
from chargehand.errors import StoreError


def prune(request: PruneRequest) -> int:
    """Not yet."""
    raise StoreError(f"there is no store yet: {request}")
