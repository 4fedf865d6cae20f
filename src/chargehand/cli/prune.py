"""``chargehand prune``: make room in the history."""

import re
from datetime import timedelta
from typing import Final

from chargehand.cli import screen
from chargehand.cli.remembered import now
from chargehand.cli.requests.history import PruneRequest
from chargehand.cli.writable import writable
from chargehand.errors import UsageError
from chargehand.expression import expression
from chargehand.moment import MomentError, parse_duration

_SIZE: Final = expression(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(i?)B?", re.ASCII | re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def prune(request: PruneRequest) -> int:
    """Remove old invocations, and say how many."""
    if request.keep is None and request.older_than is None and request.max_size is None:
        raise UsageError("what may go? give --older-than 90d, --keep 1000 or --max-size 2GB")
    older_than = None if request.older_than is None else now() - _age(request.older_than)
    max_bytes = None if request.max_size is None else read_size(request.max_size)
    with writable() as past:
        invocations = past.store.invocations
        if request.dry_run:
            count = len(invocations.prunable(keep=request.keep, older_than=older_than, max_bytes=max_bytes))
            screen.say(f"would remove {screen.count(count, 'invocation')}")
            return 0
        before = past.store.history.size_bytes()
        count = invocations.prune(keep=request.keep, older_than=older_than, max_bytes=max_bytes)
        after = past.store.history.size_bytes()
    screen.say(
        f"removed {screen.count(count, 'invocation')}; the history takes {size(after)}, before {size(before)}"
    )
    return 0


def read_size(text: str) -> int:
    """Bytes that a text such as ``500MB`` or ``2GiB`` means; thousands unless there is an ``i``.

    Raises:
        UsageError: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"`{text}` is no size; write 500MB, 2GB or 1.5GiB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2].upper()])


def size(count: int) -> str:
    """``1.5 GB``."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _age(text: str) -> timedelta:
    try:
        return timedelta(seconds=parse_duration(text))
    except (MomentError, OverflowError) as error:
        raise UsageError(f"--older-than: {error}") from error
