"""``chargehand history``."""

from chargehand.cli.requests import HistoryRequest, ShowRequest
from chargehand.errors import StoreError


def list_invocations(request: HistoryRequest) -> int:
    """Not yet."""
    raise StoreError(f"there is no store yet: {request}")


def show(request: ShowRequest) -> int:
    """Not yet."""
    raise StoreError(f"there is no store yet: {request}")
