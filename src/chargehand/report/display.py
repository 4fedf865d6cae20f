"""Display: what shows on a stream how a run goes on."""

from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Protocol, TextIO

from chargehand.event import Event
from chargehand.report.forge import forge_of
from chargehand.report.plain import SILENCE_S, PlainDisplay


class Display(Protocol):
    """An observer to be entered before the run and left after it."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None:
        """Tell of an event."""


def display_for(
    stream: TextIO, environ: Mapping[str, str], *, verbosity: int = 0, silence_s: float = SILENCE_S
) -> Display:
    """The display that fits a stream: live on a terminal that can move its cursor, else plain.

    ``CI`` and ``TERM=dumb`` mean plain; ``NO_COLOR`` takes the colours of the live one; ``FORCE_COLOR``
    makes nothing live that is no terminal.
    """
    if stream.isatty() and environ.get("TERM") not in (None, "", "dumb") and not environ.get("CI"):
        # Imported here alone: a library draws it, and what goes to a file or a pipe need not wait for one.
        live: Display = import_module("chargehand.report.terminal").LiveDisplay(
            stream, environ, verbosity=verbosity
        )
        return live
    return PlainDisplay(stream, verbosity=verbosity, silence_s=silence_s, forge=forge_of(environ))
