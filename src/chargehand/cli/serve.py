"""``chargehand tick`` and ``chargehand serve``."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Final

from chargehand.cli import screen, supervisor
from chargehand.cli.receiving import receiving, rules_of
from chargehand.cli.requests.scheduling import ServeRequest, TickRequest
from chargehand.cli.sync import tell
from chargehand.errors import InvalidError, StoreError
from chargehand.moment import utc_now
from chargehand.project import Project
from chargehand.recurring.decision import SKIPPED
from chargehand.scaffold.service import GRACE_S
from chargehand.scheduler import Departure, Pass, Rounds, Scheduler
from chargehand.settings import Settings, load_settings
from chargehand.tracking import Follower, Synced, is_due, sync
from chargehand.webhook import Hint

_WORST: Final = (1, 14, 13, 7, 5, 6, 8, 9, 3, 12, 4, 2)
"""Exit codes of runs, the worst first; of several runs the worst is told."""
_STUCK_S: Final = 60.0
"""A pass that takes longer is not at work any more."""


def tick(_request: TickRequest) -> int:
    """Look at the tracked repository if that is due, make one pass, and wait for what it started."""
    with _opened() as project, _scheduler(project) as scheduler:
        refused = _sync(project)
        with Departure(scheduler, grace_s=GRACE_S, tell=screen.note) as departure:
            made = scheduler.start_due()
            scheduler.wait()
        return departure.exit_code or _exit_code(made, scheduler.exit_codes | {refused})


def serve(request: ServeRequest) -> int:
    """Make passes until a signal ends it."""
    with _opened() as project:
        rounds: Rounds

        def make_pass() -> datetime | None:
            try:
                next_at = scheduler.start_due().next_at
            except StoreError as error:
                screen.note(f"chargehand: {error}; trying again")
                return None
            when = f"next start at {next_at:%Y-%m-%d %H:%M:%S} UTC" if next_at else "nothing is due"
            supervisor.tell(os.environ, f"STATUS={when}")
            return next_at

        def reload() -> None:
            try:
                fresh = project.reloaded(settings=load_settings(project.home))
                if receiver:
                    receiver.take_rules(rules_of(fresh))
                scheduler.take_settings(fresh)
                follower.take_settings(fresh)
            except InvalidError as error:
                screen.note(f"{error}\nchargehand.toml is refused: going on with the settings of before")
            else:
                kept = _kept(project.settings, fresh.settings)
                screen.note(f"chargehand.toml is read again{kept}")
                rounds.call()

        def end() -> None:
            supervisor.tell(os.environ, "STOPPING=1")
            rounds.end()

        def heard(synced: Synced) -> None:
            tell(project, synced, screen.note)
            rounds.call()

        def nudge(_: Hint) -> None:
            follower.nudge("webhook")
            rounds.call()

        with (
            _scheduler(project, call=lambda: rounds.call()) as scheduler,  # noqa: PLW0108 - made below
            ExitStack() as beside,
        ):
            rounds = Rounds(make_pass, interval_s=request.interval, clock=utc_now)
            follower = beside.enter_context(Follower(project, heard=heard, tell=screen.note))
            receiver = beside.enter_context(
                receiving(project, request.listen, nudge=nudge, is_alive=lambda: rounds.silence_s < _STUCK_S)
            )
            with Departure(
                scheduler, grace_s=request.grace, tell=screen.note, end=end, reload=reload
            ) as departure:
                screen.note(f"serving {project.home.resolve()} from {project.store.name}")
                supervisor.tell(os.environ, "READY=1")
                rounds.go()
                beside.close()
                scheduler.wait()
            screen.note("ended")
        return departure.exit_code


def _sync(project: Project) -> int:
    """Look at the tracked repository, if there is one and it is time; the exit code of a refusal."""
    remote = project.settings.git
    if remote is None or remote.suspended or not is_due(project):
        return 0
    return tell(project, sync(project), screen.note)


def _kept(before: Settings, now: Settings) -> str:
    """What does not change while `serve` runs, though the settings would have it otherwise."""
    moved = {
        "the store stays what it is": now.store != before.store,
        "webhooks are heard where they were": (now.webhook.listen, now.webhook.path)
        != (before.webhook.listen, before.webhook.path),
    }
    words = " and ".join(word for word, has in moved.items() if has)
    return f"; {words} until `serve` is started anew" if words else ""


@contextmanager
def _opened() -> Iterator[Project]:
    project = Project.load(".")
    try:
        yield project
    finally:
        project.close()


@contextmanager
def _scheduler(project: Project, call: Callable[[], None] = lambda: None) -> Iterator[Scheduler]:
    with (
        project.store.runners.register(project.state) as runner,
        Scheduler(project, runner.id, tell=screen.note, call=call) as scheduler,
    ):
        yield scheduler


def _exit_code(made: Pass, codes: Iterable[int]) -> int:
    failed = [code for code in codes if code]
    if failed:
        return min(failed, key=lambda code: _WORST.index(code) if code in _WORST else len(_WORST))
    skipped = made.decided and not made.started and set(made.decided) == {"skip"}
    return SKIPPED if skipped else 0
