"""The command line: the only place that knows click."""

import gc
from collections.abc import Sequence
from importlib import import_module
from typing import Final

_COLLECT_AFTER: Final = (200_000, 10, 10)
"""Objects, and collections: modules and fleets are many objects, and hardly any of them are garbage."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; it is loaded when garbage is no longer looked for."""
    gc.set_threshold(*_COLLECT_AFTER)
    import_module("chargehand.cli.application").main(arguments)
