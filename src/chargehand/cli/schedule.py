"""``chargehand schedule list`` and ``next``: what recurs, when it ran, and when it runs next."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from chargehand.blackout import NO_BLACKOUT, Blackout, Calendars
from chargehand.cli import screen
from chargehand.cli.remembered import Remembered, now, remembered
from chargehand.cli.requests.scheduling import ScheduleListRequest, ScheduleNextRequest
from chargehand.document import load
from chargehand.errors import InvalidError
from chargehand.frozen import frozen
from chargehand.job import read_jobs
from chargehand.layout import find_root, state_folder
from chargehand.past.logics import KnownLogics
from chargehand.recurrence import in_words, read_cron_line
from chargehand.recurring.logic import RecurringLogic
from chargehand.recurring.upcoming import upcoming_starts
from chargehand.settings import load_settings
from chargehand.trees import Trees

_HEADS = ("ID", "STATE", "NEXT", "LAST", "RUNS", "JOB", "WHEN", "NOTE")


@frozen
class Start:
    """A start that is to come.

    Attributes:
        at: When.
        logic: The recurring logic that it belongs to; None of a job with a time of its own.
        invocation_id: Of such a job.
        key: What makes the job the same when its file changes.
    """

    at: datetime
    logic: RecurringLogic | None = None
    invocation_id: int | None = None
    key: str


def list_logics(request: ScheduleListRequest) -> int:
    """List the recurring logics."""
    with _plans() as plans:
        logics = KnownLogics(plans.past.source).all()
        if request.output == "json":
            screen.say_json([_document(logic, plans) for logic in logics])
        elif logics:
            screen.say_table(_HEADS, [_row(logic, plans) for logic in logics])
        else:
            screen.note("nothing recurs yet: `chargehand tick` or `serve` takes the jobs of playbooks/ over")
    return 0


def show_next(request: ScheduleNextRequest) -> int:
    """Show what starts next."""
    with _plans() as plans:
        starts = list(islice(_starts(plans), request.number))
        if request.output == "json":
            screen.say_json([_start(each) for each in starts])
        elif starts:
            rows = [(local(each.at, each.logic, plans), _called(each)) for each in starts]
            screen.say_table(("STARTS", "JOB"), rows)
        else:
            screen.note("nothing is to start")
    return 0


class Plans:
    """What is to start of a project, as far as store, settings and calendars say.

    Attributes:
        past: The history.
    """

    def __init__(self, past: Remembered, root: Path) -> None:
        self.past = past
        self._settings = load_settings(root)
        remote = self._settings.git
        tree = Trees(state_folder(root), remote.path).current() if remote else None
        self._root = tree.root if tree else root
        self._calendars = Calendars(self._root)
        self._blackouts: dict[tuple[str, int], Blackout] = {}

    def starts(self, logic: RecurringLogic) -> Iterator[datetime]:
        """When it starts, from now on; never what is not understood any more."""
        try:
            yield from upcoming_starts(logic, now(), self._blackout(logic).at)
        except InvalidError:
            return

    def next_of(self, logic: RecurringLogic) -> datetime | None:
        """When it starts next."""
        return next(self.starts(logic), None)

    def _blackout(self, logic: RecurringLogic) -> Blackout:
        which = (logic.playbook, logic.job_number)
        if which not in self._blackouts:
            self._blackouts[which] = self._read_blackout(logic)
        return self._blackouts[which]

    def _read_blackout(self, logic: RecurringLogic) -> Blackout:
        """The calendars that hold for a job; none when one of them, or its file, is refused."""
        try:
            job = read_jobs(load(self._root / logic.playbook))[logic.job_number]
            files = job.calendars(self._settings.blackout, self._settings.file)
            return self._calendars.blackout(files, ZoneInfo(logic.time_zone))
        except IndexError:  # the job is not where it was; the next `tick` sees that
            return NO_BLACKOUT
        except InvalidError as error:
            for problem in error.problems:
                screen.note_problem(problem)
            return NO_BLACKOUT


@contextmanager
def _plans() -> Iterator[Plans]:
    with remembered() as past:
        yield Plans(past, find_root(Path()))


def _starts(plans: Plans) -> Iterator[Start]:
    """Every start that is to come, in order, endless when something recurs for ever."""
    logics = KnownLogics(plans.past.source)
    keys = {each.id: each.schedule_key for each in logics.appointments()}
    own = sorted(
        (
            Start(at=each.start_at, invocation_id=each.id, key=keys.get(each.id, ""))
            for each in plans.past.history.unfinished()
            if each.state == "scheduled" and each.logic_id is None and each.start_at is not None
        ),
        key=lambda start: start.at,
    )
    recurring = (_starts_of(logic, plans) for logic in logics.all())
    yield from merge(own, *recurring, key=lambda start: start.at)


def _starts_of(logic: RecurringLogic, plans: Plans) -> Iterator[Start]:
    return (Start(at=at, logic=logic, key=logic.key) for at in plans.starts(logic))


def _row(logic: RecurringLogic, plans: Plans) -> list[str]:
    upcoming, last = plans.next_of(logic), logic.last_occurrence
    runs = f"{logic.iteration}/{logic.max_iteration}" if logic.max_iteration else str(logic.iteration)
    return [
        str(logic.id),
        logic.state,
        local(upcoming, logic, plans) if upcoming else "-",
        local(last, logic, plans) if last else "-",
        runs,
        title(logic),
        _words(logic),
        logic.reason or "",
    ]


def _words(logic: RecurringLogic) -> str:
    """When it runs, in plain English; the line itself when it is not understood any more."""
    try:
        words = in_words(read_cron_line(logic.cron_line))
    except InvalidError:
        return logic.cron_line
    return words if logic.time_zone == "UTC" else f"{words} ({logic.time_zone})"


def title(logic: RecurringLogic) -> str:
    """What people call it."""
    return logic.purpose or logic.job_name or logic.key


def _called(start: Start) -> str:
    return title(start.logic) if start.logic else start.key


def local(moment: datetime, logic: RecurringLogic | None, plans: Plans) -> str:
    """A moment as the clocks of the job show it; by those of the project when its zone is gone."""
    zone = plans.past.zone
    if logic is not None:
        with suppress(OSError, ValueError, KeyError):
            zone = ZoneInfo(logic.time_zone)
    return moment.astimezone(zone).isoformat(timespec="seconds")


def _document(logic: RecurringLogic, plans: Plans) -> dict[str, object]:
    """A recurring logic in the API's words, and then in ours."""
    return {
        "id": logic.id,
        "cron_line": logic.cron_line,
        "end_time": _stamp(logic.end_time),
        "iteration": logic.iteration,
        "state": logic.state,
        "max_iteration": logic.max_iteration,
        "purpose": logic.purpose,
        "last_occurrence": _stamp(logic.last_occurrence),
        "next_occurrence": _stamp(plans.next_of(logic)),
        "key": logic.key,
        "playbook": logic.playbook,
        "job_number": logic.job_number,
        "job_name": logic.job_name,
        "time_zone": logic.time_zone,
        "words": _words(logic),
        "start_at": _stamp(logic.start_at),
        "start_before": _stamp(logic.start_before),
        "overlap": logic.overlap,
        "catch_up": {"runs": logic.catch_up_runs, "window": logic.catch_up_window_s},
        "jitter": logic.jitter_s,
        "paused_until": _stamp(logic.paused_until),
        "reason": logic.reason,
        "hosts": None
        if logic.hosts is None
        else [{"name": name, "id": number} for name, number in logic.hosts],
    }


def _start(start: Start) -> dict[str, object]:
    return {
        "start_at": _stamp(start.at),
        "recurring_logic_id": start.logic.id if start.logic else None,
        "job_invocation_id": start.invocation_id,
        "key": start.key,
        "purpose": start.logic.purpose if start.logic else None,
        "job_name": start.logic.job_name if start.logic else None,
    }


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
