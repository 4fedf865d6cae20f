"""``chargehand diff``."""

from chargehand.cli.requests import DiffRequest
from chargehand.errors import StoreError


def diff(request: DiffRequest) -> int:
    """Not yet."""
    raise StoreError(f"there is no store yet: {request}")
