"""``chargehand output``."""

from chargehand.cli.requests import OutputRequest
from chargehand.errors import StoreError


def output(request: OutputRequest) -> int:
    """Not yet."""
    raise StoreError(f"there is no store yet: {request}")
