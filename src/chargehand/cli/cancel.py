"""``chargehand cancel``."""

from chargehand.cli.requests import CancelRequest
from chargehand.errors import StoreError


def cancel(request: CancelRequest) -> int:
    """Not yet."""
    raise StoreError(f"there is no store yet: {request}")
