"""Errands: scripts of our own on hosts, to ask what they keep and to have it removed."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from chargehand.event import Event, HostFinished
from chargehand.evidence import PATIENCE_S
from chargehand.limits import Limits
from chargehand.provider import Provider, find_provider
from chargehand.result import HostResult
from chargehand.runner import Runner
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation

_ERRAND_S: Final = PATIENCE_S + 15


class Errands:
    """Scripts of our own, run on hosts as the users whose scripts they are about.

    Args:
        hosts_at_once: So many of them.
        clock: The time, aware, UTC.
        beat: Called whenever a host is done, which may take a minute.
        find: Gives what makes a provider, by its name.
    """

    def __init__(
        self,
        *,
        hosts_at_once: int,
        clock: Callable[[], datetime],
        beat: Callable[[], object],
        find: Callable[[str], Callable[[], Provider]] = find_provider,
    ) -> None:
        self._hosts_at_once = hosts_at_once
        self._clock = clock
        self._beat = beat
        self._find = find

    def run(self, errands: Sequence[tuple[TemplateInvocation, bytes]]) -> dict[str, HostResult]:
        """Run a script on each of some hosts; what came of it, by host."""
        shares = [
            TemplateInvocation(
                host=share.host,
                host_id=share.host_id,
                settings=share.settings,
                script=RenderedScript(
                    content=content, become=share.script.become, timeout_s=_ERRAND_S, transient=True
                ),
                secrets=share.secrets,
            )
            for share, content in errands
            if share.script
        ]
        if not shares:
            return {}
        with tempfile.TemporaryDirectory(prefix="chargehand-") as scratch:
            runner = Runner(
                Limits(concurrency_level=self._hosts_at_once),
                (self._hear,),
                spool=Path(scratch),
                find_provider=self._find,
                clock=self._clock,
            )
            return {result.host: result for result in runner.run(shares).results}

    def now(self) -> datetime:
        """The time, aware, UTC."""
        return self._clock()

    def _hear(self, event: Event) -> None:
        if isinstance(event, HostFinished):
            self._beat()
