"""The command line: the only place that knows click."""

from chargehand.cli.application import main

__all__ = ["main"]
