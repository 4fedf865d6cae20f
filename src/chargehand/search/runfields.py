"""The fields of a run: Foreman's names for job invocations, and what it does not keep.

Whoever translates queries for a database is held against the predicates of this table.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from chargehand.frozen import frozen
from chargehand.result import Status
from chargehand.search.fields import Field, FieldTable, Kind

FREE_TEXT: Final = ("description", "job", "template", "playbook", "host")
STATUSES: Final = ("queued", "running", "pending", "succeeded", "failed", "cancelled")
TRIGGERS: Final = ("hand", "scheduling", "recurrence", "rerun", "push", "webhook")
HOST_STATUSES: Final = tuple(str(status) for status in Status)


@frozen
class RunShare:
    """One host of a run."""

    host: str
    host_id: int
    status: str


@frozen
class Run:
    """What can be asked of a job invocation; an empty text counts as missing.

    Attributes:
        status: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        start_at: When it started or is to start, aware.
        started_at: When its run began, aware.
    """

    id: int
    description: str
    status: str
    job_category: str = ""
    template: str | None = None
    job: str = ""
    playbook: str | None = None
    user: str = ""
    trigger: str = "hand"
    commit: str | None = None
    dirty: bool | None = None
    code: str = ""
    exit_code: int | None = None
    start_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    rerun_of: int | None = None
    recurring_logic_id: int | None = None
    recurring_logic_purpose: str | None = None
    shares: tuple[RunShare, ...] = ()


Read = Callable[[Run], object]

_PLAIN: Final[dict[str, tuple[Kind, Read]]] = {
    "id": ("integer", lambda run: run.id),
    "job_category": ("text", lambda run: run.job_category or None),
    "description": ("text", lambda run: run.description or None),
    "job": ("text", lambda run: run.job or None),
    "template": ("text", lambda run: run.template or None),
    "pattern_template_name": ("text", lambda run: run.template or None),
    "playbook": ("text", lambda run: run.playbook or None),
    "commit": ("text", lambda run: run.commit or None),
    "dirty": ("boolean", lambda run: run.dirty),
    "code": ("text", lambda run: run.code or None),
    "exit_code": ("integer", lambda run: run.exit_code),
    "start_at": ("date", lambda run: run.start_at),
    "started_at": ("date", lambda run: run.started_at),
    "ended_at": ("date", lambda run: run.ended_at),
    "rerun_of": ("integer", lambda run: run.rerun_of),
    "recurring": ("boolean", lambda run: run.recurring_logic_id is not None),
    "recurring_logic.id": ("integer", lambda run: run.recurring_logic_id),
    "recurring_logic.purpose": ("text", lambda run: run.recurring_logic_purpose or None),
    "host": ("text", lambda run: [share.host for share in run.shares]),
    "targeted_host_id": ("integer", lambda run: [share.host_id for share in run.shares]),
}


def run_fields(caller: str) -> FieldTable[Run]:
    """The fields of runs.

    Args:
        caller: Login name that ``user = current_user`` means.
    """
    fields: dict[str, Field[Run]] = {name: Field(name, kind, read) for name, (kind, read) in _PLAIN.items()}
    fields["status"] = Field("status", "text", lambda run: meanings(run.status), choices=STATUSES)
    fields["trigger"] = Field("trigger", "text", lambda run: run.trigger, choices=TRIGGERS)
    for name in ("user", "owner"):
        fields[name] = Field(name, "text", lambda run: run.user or None, words={"current_user": caller})
    fields["host_status"] = Field(
        "host_status", "text", lambda run: [share.status for share in run.shares], choices=HOST_STATUSES
    )
    for status in HOST_STATUSES:
        fields[f"host_status.{status}"] = Field(f"host_status.{status}", "text", _hosts_that_are(status))
    return FieldTable(
        fields=fields,
        free=FREE_TEXT,
        advice="runs have id, status, host, host_status, description, job, playbook, template, user, ...",
    )


def meanings(status: str) -> list[str]:
    """The words that a status answers to; what has not ended is ``pending`` too."""
    return [status, "pending"] if status in ("queued", "running") else [status]


def _hosts_that_are(status: str) -> Read:
    return lambda run: [share.host for share in run.shares if share.status == status]
