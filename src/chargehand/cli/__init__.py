"""The command line: the only place that knows click."""

import gc
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from chargehand.standin import spared

_COLLECT_AFTER: Final = (200_000, 10, 10)
"""Objects, and collections: modules and fleets are many objects, and hardly any of them are garbage."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; it is loaded when garbage is no longer looked for."""
    gc.set_threshold(*_COLLECT_AFTER)
    with spared({"platform": {"system": lambda: os.uname().sysname}}):  # by uuid, which click has a type for
        import_module("click")
    import_module("chargehand.cli.application").main(arguments)
