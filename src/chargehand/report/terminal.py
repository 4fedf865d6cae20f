"""Terminal: how a run goes, on stderr - a live region where the terminal can do it, plain lines elsewhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Final, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chargehand.event import Event
from chargehand.report.escape import escape_line
from chargehand.report.plain import OutputLines, told
from chargehand.report.progress import Progress
from chargehand.report.recap import span

LONGEST_SHOWN: Final = 5
NARROW: Final = 50


class LiveDisplay:
    """An observer that keeps a bar, the counts and the hosts that run longest at the foot of a terminal.

    Args:
        stream: The terminal.
        environ: For ``NO_COLOR``, ``TERM``, ``COLUMNS`` and their like.
        verbosity: From 1, every line hosts print, above the bar.
        progress: Where the run stands.
    """

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str],
        *,
        verbosity: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._console = Console(
            file=stream,
            force_terminal=True,
            no_color=bool(environ.get("NO_COLOR")),
            highlight=False,
            markup=False,
            emoji=False,
            _environ=environ,
        )
        self._progress = progress or Progress()
        self._output = OutputLines()
        self._verbosity = verbosity
        self._live = Live(
            console=self._console,
            get_renderable=self._region,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Tell of an event."""
        self._progress(event)
        lines = told(event, self._output, verbosity=self._verbosity)
        if lines:
            self._console.print(Text("\n".join(lines)), soft_wrap=True)

    def _region(self) -> Group:
        """What stands at the foot of the terminal now."""
        progress, width = self._progress, self._console.width
        words = Text(f"{progress.words()}, {span(progress.seconds)}", no_wrap=True, overflow="ellipsis")
        if width < NARROW:
            return Group(words)
        bar = ProgressBar(
            total=max(1, progress.total),
            completed=progress.done,
            width=min(30, width // 3),
            complete_style="red" if progress.failed else "green",
            finished_style="red" if progress.failed else "green",
        )
        head = Table.grid(padding=(0, 1))
        head.add_row(bar, words)
        hosts = [
            Text(
                f"  {escape_line(each.host)}  {span(each.seconds)}",
                style="dim",
                no_wrap=True,
                overflow="ellipsis",
            )
            for each in progress.longest(LONGEST_SHOWN)
        ]
        return Group(head, *hosts)
