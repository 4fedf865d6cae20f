"""History: job invocations that were, as a list and one by one, for people and as the API tells them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, tzinfo
from typing import Final

from chargehand.frozen import frozen
from chargehand.hostset import fold
from chargehand.report.escape import escape_line
from chargehand.report.invocation import HIDDEN, InvocationRecord, Json, document
from chargehand.report.recap import failures, span
from chargehand.result import Status

HEADS: Final = ("ID", "STATUS", "STARTED", "TOOK", "HOSTS", "BY", "DESCRIPTION")

_TOLD_BY_SHOW_ALONE: Final = frozenset(
    ("targeting", "task", "template_invocations", "pattern_template_invocations", "results",
     "job_organization", "job_location", "mode", "recurrence", "scheduling")
)  # fmt: skip
_UNDER_WAY: Final = {"running": "running", "starting": "starting", "queued": "waiting"}
_ORDER: Final = (*_UNDER_WAY.values(), *(str(status).replace("_", " ") for status in Status))
_TRIGGERS: Final = {
    "hand": "by hand",
    "scheduling": "at its time",
    "recurrence": "as it recurs",
    "rerun": "as a rerun",
    "push": "by a push",
    "webhook": "by a webhook",
}


@frozen
class Account:
    """Everything that is told of one invocation.

    Attributes:
        record: The invocation, with the results so far.
        exit_code: That the command ended with; None before.
        states: Of hosts without a result: ``queued``, ``starting`` or ``running``, by their names.
        alive: Whether somebody carries it out.
        cancelling: Whether somebody asked for its end.
        now: The time, aware.
        zone: That times are told in.
    """

    record: InvocationRecord
    exit_code: int | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    alive: bool = False
    cancelling: bool = False
    now: datetime
    zone: tzinfo


def base_document(record: InvocationRecord) -> Json:
    """What lists tell of an invocation.

    Source: the rows of Foreman's ``GET /api/job_invocations``; then what is our own.
    """
    return {key: value for key, value in document(record).items() if key not in _TOLD_BY_SHOW_ALONE}


def index_document(
    records: Sequence[InvocationRecord],
    *,
    total: int,
    subtotal: int,
    query: str,
    limit: int,
    oldest_first: bool,
) -> Json:
    """A list in the envelope of Foreman's ``GET /api/job_invocations``."""
    return {
        "total": total,
        "subtotal": subtotal,
        "page": 1,
        "per_page": limit,
        "search": query or None,
        "sort": {"by": "id", "order": "ASC" if oldest_first else "DESC"},
        "results": [base_document(record) for record in records],
    }


def row(record: InvocationRecord, *, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    """A line of a list, under `HEADS`."""
    by = record.provenance
    return (
        str(record.id),
        status_words(record),
        "" if record.start_at is None else clock_time(record.start_at, zone),
        _took(record, now),
        _hosts(record),
        "" if by is None else by.user if by.trigger == "hand" else by.trigger,
        record.description,
    )


def page(account: Account) -> str:
    """One invocation as text: what it was, how its hosts ended, and what to do next."""
    record = account.record
    facts = [(name, text) for name, text in _facts(account) if text]
    width = max(len(name) for name, _ in facts)
    head = f"{record.id}  {escape_line(record.description)}\n"
    told = "".join(f"{name:<{width}}  {escape_line(text)}\n" for name, text in facts)
    failed = failures(result for result in record.results if result.status is not Status.PENDING)
    following = "".join(f"  {line}\n" for line in advice(account))
    parts = [head + told, outcomes(account), failed, following and f"Next\n{following}"]
    return "\n".join(part for part in parts if part)


def outcomes(account: Account) -> str:
    """A line for each outcome and state, with its hosts."""
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for result in account.record.results:
        if result.status is not Status.PENDING:
            hosts[result.status.replace("_", " ")].append(result.host)
    for host, state in account.states.items():
        hosts[_UNDER_WAY.get(state, state)].append(host)
    rows = [(words, str(len(hosts[words])), fold(hosts[words])) for words in _ORDER if hosts[words]]
    width = max((len(words) for words, *_ in rows), default=0)
    digits = max((len(count) for _, count, _ in rows), default=0)
    return "".join(
        f"{words:<{width}}  {count:>{digits}}  {escape_line(names)}\n" for words, count, names in rows
    )


def advice(account: Account) -> list[str]:
    """Commands that are of use now, the most useful first."""
    record = account.record
    if record.state == "scheduled":
        return [f"chargehand cancel {record.id}"]
    if record.state != "stopped":
        if not account.alive:
            return [f"chargehand resume {record.id}", f"chargehand cancel {record.id}"]
        return [f"chargehand output {record.id} --follow", f"chargehand cancel {record.id}"]
    spoke = next((each.host for each in record.results if not each.ok and each.stdout.size_bytes), None)
    looked = [f"chargehand output {record.id} {_word(spoke)}"] if spoke else []
    if record.status == 0:
        return [f"chargehand output {record.id}", f"chargehand rerun {record.id}"]
    return [*looked, f"chargehand rerun {record.id}" + (" --failed" if record.results else "")]


def status_words(record: InvocationRecord) -> str:
    """``failed``, and why it never ran if it did not: ``cancelled (overlap)``."""
    words = str(base_document(record)["status_label"])
    return f"{words} ({record.code})" if record.code else words


def clock_time(moment: datetime, zone: tzinfo) -> str:
    """``2026-11-24 19:08:41 UTC``."""
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def _facts(account: Account) -> Iterator[tuple[str, str]]:
    record, zone = account.record, account.zone
    code = "" if account.exit_code is None else f", exit code {account.exit_code}"
    yield "status", status_words(record) + code + _standing(account)
    yield "reason", record.reason
    took = _took(record, account.now)
    waits = "starts" if record.state == "scheduled" else "started"
    if record.start_at is not None:
        yield (
            waits,
            clock_time(record.start_at, zone) + (f", took {took}" if took and record.ended_at else ""),
        )
    if record.ended_at is not None:
        yield "ended", clock_time(record.ended_at, zone)
    elif took and record.state != "scheduled":
        yield "for", took
    yield from _origin(record)
    yield "hosts", _aim(record)
    yield "settings", _settings(record)
    values = [f"{each.name}={HIDDEN if each.hidden else each.value}" for each in record.inputs]
    yield "inputs", ", ".join(values)


def _standing(account: Account) -> str:
    if account.record.state in ("scheduled", "stopped"):
        return ""
    if not account.alive:
        return ", but nobody carries it out any more: its runner is gone"
    return ", being cancelled" if account.cancelling else ""


def _origin(record: InvocationRecord) -> Iterator[tuple[str, str]]:
    by = record.provenance
    if by is None:
        return
    yield "by", f"{by.user}, {_TRIGGERS[by.trigger]}"
    named = f", job `{by.job_name}`" if by.job_name else ""
    yield "file", "" if by.playbook is None else by.playbook + named
    yield (
        "commit",
        "" if by.commit is None else by.commit + (", with changes that are not in it" if by.dirty else ""),
    )
    yield "signed by", by.signer or ""
    yield "rerun of", "" if by.rerun_of is None else str(by.rerun_of)


def _aim(record: InvocationRecord) -> str:
    targeting, counts = record.targeting, record.tally
    known = "not looked up yet" if counts is None else str(counts.total)
    query = "" if targeting.search_query is None else f" of `{targeting.search_query}`"
    return (
        f"{known}{query} ({targeting.targeting_type}{', shuffled' if targeting.randomized_ordering else ''})"
    )


def _settings(record: InvocationRecord) -> str:
    told = (
        ("template", record.template_name),
        ("ssh user", record.ssh_user),
        ("effective user", record.effective_user),
        ("hosts at once", record.concurrency_level),
        ("seconds per host", record.execution_timeout_interval),
    )
    return ", ".join(f"{name} {value}" for name, value in told if value not in (None, ""))


def _took(record: InvocationRecord, now: datetime) -> str:
    if record.start_at is None or record.state == "scheduled" or not record.begun:
        return ""
    seconds = ((record.ended_at or now) - record.start_at).total_seconds()
    return span(max(0.0, seconds))


def _hosts(record: InvocationRecord) -> str:
    counts = record.tally
    return "" if counts is None else f"{counts.succeeded}/{counts.total}"


def _word(host: str) -> str:
    return host if host.replace("-", "").replace(".", "").replace("_", "").isalnum() else f"'{host}'"
