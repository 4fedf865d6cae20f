"""Follower: looks at a tracked repository now and then, and when it is told to."""

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self

from chargehand.errors import ChargehandError
from chargehand.project import Project
from chargehand.provenance import Trigger
from chargehand.tracking.sync import Synced, sync

_log = logging.getLogger(__name__)
_IDLE_S: Final = 3600.0


class Follower:
    """Syncs a project for as long as the block goes on; without a tracked repository it only waits for one.

    Args:
        project: Whose settings may track a repository.
        heard: Given what every sync came to; from the thread of the follower.
        tell: Told what kept a sync from being made, in a line.
    """

    def __init__(
        self, project: Project, *, heard: Callable[[Synced], None], tell: Callable[[str], None]
    ) -> None:
        self._project = project
        self._heard = heard
        self._tell = tell
        self._told = ""
        self._nudges: SimpleQueue[Trigger | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._follow, name="chargehand-follower", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._nudges.put(None)

    def nudge(self, trigger: Trigger = "webhook") -> None:
        """Have the repository looked at soon; returns at once, from any thread, and many make one look.

        Args:
            trigger: What the runs that a new commit starts are said to be started by.
        """
        self._nudges.put(trigger)

    def take_settings(self, project: Project) -> None:
        """Go on with other settings, beginning with a look."""
        self._project = project
        self.nudge("push")

    def _follow(self) -> None:
        trigger: Trigger | None = "push"
        while trigger is not None:
            project = self._project
            self._look(project, trigger)
            trigger = self._rest(project)

    def _look(self, project: Project, trigger: Trigger) -> None:
        remote = project.settings.git
        if remote is None or remote.suspended:
            return
        try:
            self._heard(sync(project, trigger=trigger))
            self._told = ""
        except ChargehandError as error:
            self._tell_once(" ".join(str(error).split()))
        except Exception as error:  # noqa: BLE001 - logged, and told; the next look may do better
            _log.exception("sync")
            self._tell_once(f"a defect of chargehand ({type(error).__name__}): please report it")

    def _rest(self, project: Project) -> Trigger | None:
        """Wait for the next look: what it is for; None ends all."""
        remote = project.settings.git
        try:
            trigger = self._nudges.get(timeout=remote.interval if remote else _IDLE_S)
        except Empty:
            return "push"
        while not self._nudges.empty():
            asked = self._nudges.get()
            if asked is None:
                return None
            trigger = "webhook" if "webhook" in (trigger, asked) else asked
        return trigger

    def _tell_once(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._tell(f"the repository is not looked at: {line}")
