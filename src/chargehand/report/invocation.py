"""Report: a job invocation as the one JSON document that ``run``, ``show`` and the API answer with.

Source: every key of the API's answer to ``POST /api/job_invocations``, with its name, nesting and type;
then the keys that later versions of that API added; then ``results``, which is Chargehand's own.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final, Literal

from chargehand.frozen import frozen
from chargehand.provenance import Provenance
from chargehand.result import CapturedOutput, HostResult, Status

HIDDEN: Final = "*****"
UNKNOWN_YET: Final = "N/A"

TaskState = Literal["scheduled", "planned", "running", "stopped"]
Json = dict[str, object]

_STATUS_LABELS: Final = ("succeeded", "failed", "queued", "running", "cancelled")


@frozen
class TargetingRecord:
    """What a job invocation was aimed at.

    Attributes:
        hosts: Names and ids in the order of the run; None as long as they are not looked up.
        missing: How many of them the inventory no longer has.
    """

    id: int
    search_query: str | None
    targeting_type: str
    bookmark_id: int | None = None
    bookmark_name: str | None = None
    user_id: int | None = None
    randomized_ordering: bool | None = None
    hosts: tuple[tuple[str, int], ...] | None = None
    missing: int = 0


@frozen
class InputRecord:
    """The value of one template input; a hidden one is never written out."""

    name: str
    value: str | None
    id: int | None = None
    hidden: bool = False


@frozen
class Counts:
    """How many hosts came to what; `failed` is everything that is none of the others."""

    total: int
    succeeded: int = 0
    failed: int = 0
    pending: int = 0
    cancelled: int = 0


@frozen
class InvocationRecord:
    """Everything that is told of a job invocation, as plain facts, wherever they come from.

    Attributes:
        id: Of the invocation.
        task_id: A UUID, as text.
        state: ``scheduled`` waits for its time, ``planned`` for a runner.
        start_at: When it started or is to start, aware; None when that is not known.
        begun: Whether a runner took it up: counters are numbers from then on.
        cancelled: Whether somebody, or a missed ``start_before``, cancelled it.
        results: Of the hosts that are done.
        counts: Of its hosts, where hosts and results themselves are not at hand; else None.
        ssh_user: As asked for by the invocation, not as resolved; so are the next three.
        recurrence: The recurring logic it belongs to, as the API shows one.
        scheduling: When it is to start; None when it starts at once.
        job_organization: The organization it is limited to, as the API shows one.
        job_location: The location, likewise.
        code: Short name of why it did not simply run, such as ``overlap``; else empty.
        reason: The same in one line for people.
        ended_at: When its last host was done, aware; None before.
        provenance: Where it comes from; None when nobody keeps that.
    """

    id: int
    description: str
    job_category: str
    task_id: str
    state: TaskState
    targeting: TargetingRecord
    start_at: datetime | None = None
    begun: bool = False
    cancelled: bool = False
    results: tuple[HostResult, ...] = ()
    counts: Counts | None = None
    ssh_user: str | None = None
    time_to_pickup: int | None = None
    concurrency_level: int | None = None
    execution_timeout_interval: int | None = None
    template_id: int | None = None
    template_name: str | None = None
    effective_user: str | None = None
    inputs: tuple[InputRecord, ...] = ()
    recurrence: Mapping[str, object] | None = None
    scheduling: tuple[datetime | None, datetime | None] | None = None
    job_organization: Mapping[str, object] | None = None
    job_location: Mapping[str, object] | None = None
    code: str = ""
    reason: str = ""
    ended_at: datetime | None = None
    provenance: Provenance | None = None

    @property
    def status(self) -> int:
        """0 succeeded, 1 failed, 2 queued, 3 running, 4 cancelled."""
        if self.state == "scheduled":
            return 2
        if self.state != "stopped":
            return 3
        if self.cancelled:
            return 4
        tally = self.tally
        return 0 if tally and tally.succeeded == tally.total else 1

    @property
    def tally(self) -> Counts | None:
        """How many hosts came to what; None as long as the hosts are not looked up."""
        hosts = self.targeting.hosts
        if self.counts or hosts is None:
            return self.counts
        count = Counter(result.status for result in self.results)
        succeeded, cancelled = count[Status.SUCCEEDED], count[Status.CANCELLED]
        pending = len(hosts) - len(self.results) + count[Status.PENDING]
        return Counts(
            total=len(hosts),
            succeeded=succeeded,
            failed=len(hosts) - succeeded - cancelled - pending,
            pending=pending,
            cancelled=cancelled,
        )


def document(record: InvocationRecord) -> Json:
    """The JSON document of an invocation, as plain data."""
    targeting = _targeting(record.targeting)
    task: Json = {"id": record.task_id, "state": record.state}
    counters = _counters(record)
    answer: Json = {
        "id": record.id,
        "description": record.description,
        "job_category": record.job_category,
        "targeting_id": record.targeting.id,
        "status": record.status,
        "start_at": _foreman_time(record.start_at),
        "status_label": _STATUS_LABELS[record.status],
        "ssh_user": record.ssh_user,
        "time_to_pickup": record.time_to_pickup,
        "dynflow_task": dict(task),
        "succeeded": counters["succeeded"],
        "failed": counters["failed"],
        "pending": counters["pending"],
        "total": counters["total"],
        "missing": record.targeting.missing,
        "targeting": targeting,
        "task": task
        | {"started_at": _foreman_time(record.start_at), "cancellable": record.state != "stopped"},
        "cancelled": counters["cancelled"],
        "total_hosts": counters["total"],
        "concurrency_level": record.concurrency_level,
        "execution_timeout_interval": record.execution_timeout_interval,
        "template_id": record.template_id,
        "template_name": record.template_name,
        "effective_user": record.effective_user,
        "template_invocations": _template_invocations(record),
        "pattern_template_invocations": [_template_invocation(record, None)],
        "job_organization": record.job_organization,
        "job_location": record.job_location,
    }
    return answer | _triggering(record) | _own(record) | {"results": _results(record)}


def host_result(result: HostResult) -> Json:
    """One host's result, as plain data."""
    return {
        "host": result.host,
        "host_id": result.host_id,
        "status": str(result.status),
        "exit_status": result.exit_status,
        "signal": result.signal,
        "started_at": result.started_at.astimezone(UTC).isoformat() if result.started_at else None,
        "duration_s": None if result.duration_s is None else round(result.duration_s, 3),
        "code": result.code,
        "reason": result.reason,
        **_output("stdout", result.stdout),
        **_output("stderr", result.stderr),
        "noise": result.noise,
        "pty": result.pty,
        "attempts": result.attempts,
    }


def _output(name: str, output: CapturedOutput) -> Json:
    return {
        name: output.text(),
        f"{name}_truncated": output.elided_bytes > 0,
        f"{name}_size_bytes": output.size_bytes,
        f"{name}_sha256": output.sha256,
    }


def _targeting(record: TargetingRecord) -> Json:
    return {
        "bookmark_id": record.bookmark_id,
        "bookmark_name": record.bookmark_name,
        "search_query": record.search_query,
        "targeting_type": record.targeting_type,
        "user_id": record.user_id,
        "randomized_ordering": record.randomized_ordering,
        "hosts": [{"name": name, "id": number, "display_name": name} for name, number in record.hosts or ()],
    }


def _counters(record: InvocationRecord) -> Json:
    """``N/A`` until the run has begun; the total as soon as the hosts are known and the job is not queued."""
    tally, queued = record.tally, record.state == "scheduled"
    counters: Json = dict.fromkeys(("succeeded", "failed", "pending", "cancelled", "total"), UNKNOWN_YET)
    if record.begun:
        counters |= asdict(tally or Counts(total=0))
    return counters | {"total": UNKNOWN_YET if tally is None or queued else tally.total}


def _template_invocations(record: InvocationRecord) -> list[Json]:
    hosts = record.targeting.hosts if record.begun else None
    return [_template_invocation(record, number) for _, number in hosts or ()]


def _template_invocation(record: InvocationRecord, host_id: int | None) -> Json:
    values: list[Json] = [
        {
            "template_input_name": each.name,
            "template_input_id": each.id,
            "value": HIDDEN if each.hidden else each.value,
        }
        for each in record.inputs
    ]
    return {
        "template_id": record.template_id,
        "template_name": record.template_name,
        "host_id": host_id,
        "template_invocation_input_values": values,
    }


def _triggering(record: InvocationRecord) -> Json:
    """``mode`` and what goes with it; a job that started at once has none of it."""
    if record.recurrence is not None:
        return {"mode": "recurring", "recurrence": dict(record.recurrence)}
    if record.scheduling is not None:
        start_at, start_before = record.scheduling
        times = {"start_at": _foreman_time(start_at), "start_before": _foreman_time(start_before)}
        return {"mode": "future", "scheduling": times}
    return {}


def _own(record: InvocationRecord) -> Json:
    """What Foreman's document has no place for."""
    return {
        "ended_at": _foreman_time(record.ended_at),
        "code": record.code,
        "reason": record.reason,
        "provenance": asdict(record.provenance) if record.provenance else None,
    }


def _results(record: InvocationRecord) -> list[Json]:
    """A result for every host, in the order of the run; ``pending`` for those that have none yet."""
    found = {result.host: result for result in record.results}
    return [
        host_result(
            found.get(name) or HostResult(host=name, host_id=number, status=Status.PENDING, attempts=0)
        )
        for name, number in record.targeting.hosts or ()
    ]


def _foreman_time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
