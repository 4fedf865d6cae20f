"""Invocations for tests of the store, and what a runner writes of one."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chargehand.provenance import Launch, Provenance
from chargehand.report.invocation import InputRecord, InvocationRecord, TargetingRecord
from chargehand.result import CapturedOutput, HostResult, Status
from chargehand.store import Share, Store
from chargehand.store.entry import Chunk, Entry, Intent, Outcome, Settled, Started

NOW = datetime(2026, 11, 24, 18, 0, 0, 123456, tzinfo=UTC)
LAUNCH = Launch(
    job='{"job_invocation": {}}', inputs={"action": "start"}, left_out=("token",), inventory=("hosts.yml",)
)
ME = "runner-1"


def record(**changes: object) -> InvocationRecord:
    """One that begins to run."""
    return replace(
        InvocationRecord(
            id=0,
            description="Start nginx",
            job_category="Services",
            task_id=str(uuid.uuid4()),
            state="running",
            targeting=TargetingRecord(
                id=0,
                search_query="name ^ (web1, web2)",
                targeting_type="static_query",
                bookmark_id=2**40,
                bookmark_name="webs",
                user_id=2**32 - 2,
                randomized_ordering=False,
            ),
            start_at=NOW,
            begun=True,
            ssh_user="ann",
            time_to_pickup=30,
            concurrency_level=10,
            execution_timeout_interval=600,
            template_id=61,
            template_name="Service Action",
            effective_user="root",
            inputs=(
                InputRecord(name="service", value="nginx", id=59),
                InputRecord(name="token", value="s3cret-canary", hidden=True),
            ),
            job_organization={"id": 1, "name": "ACME"},
            job_location={"id": None, "name": "Berlin"},
            provenance=Provenance(
                user="ann",
                playbook="playbooks/web.yml",
                job_number=1,
                job_name="Web",
                commit="a" * 40,
                dirty=True,
                rerun_of=7,
            ),
        ),
        **changes,
    )


def shares(*names: str) -> list[Share]:
    return [Share(host_name=name, host_id=number) for number, name in enumerate(names, 1)]


def create(store: Store, *names: str, runner_id: str | None = ME, **facts: object) -> int:
    """An invocation on the hosts of these names."""
    changes = facts.pop("record", {})
    number = store.invocations.create(
        record(**changes), LAUNCH, shares(*names), runner_id=runner_id, created_at=NOW, **facts
    )
    assert number is not None
    return number


def share_ids(store: Store, number: int) -> list[int]:
    return [share.id for share in store.history.find(number, with_output=False).shares]


def result(host: str, status: str = "succeeded", **facts: object) -> HostResult:
    defaults: dict[str, object] = (
        {"exit_status": 0, "started_at": NOW, "duration_s": 0.1 + 0.2} if status == "succeeded" else {}
    )
    return HostResult(host=host, status=Status(status), **defaults | facts)


def intent(share_id: int, token: str = "t", runner_id: str = ME) -> Intent:
    return Intent(share_id=share_id, runner_id=runner_id, token=token, at=NOW)


def started(share_id: int, token: str = "t") -> Started:
    return Started(share_id=share_id, token=token, at=NOW + timedelta(seconds=1))


def chunk(share_id: int, sequence: int, content: bytes, *, offset: int = 0, stream: str = "stdout") -> Chunk:
    return Chunk(
        share_id=share_id,
        sequence=sequence,
        at=NOW,
        stream=stream,  # type: ignore[arg-type]
        offset_bytes=offset,
        content=content,
    )


def outcome(
    share_id: int, what: HostResult | str = "succeeded", token: str | None = "t", **facts: bool
) -> Outcome:
    what = result("web1", what) if isinstance(what, str) else what
    return Outcome(share_id=share_id, token=token, result=what, **facts)


def story(share_id: int, what: HostResult, token: str = "t") -> list[Entry]:
    """All that is written of a host, from its intent to its end."""
    outputs = [
        (name, output) for name, output in (("stdout", what.stdout), ("stderr", what.stderr)) if output.head
    ]
    return [
        intent(share_id, token),
        started(share_id, token),
        *(chunk(share_id, number, output.head, stream=name) for number, (name, output) in enumerate(outputs)),
        outcome(share_id, what, token),
        Settled(share_id=share_id),
    ]


def printed(content: bytes) -> CapturedOutput:
    return CapturedOutput(head=content, size_bytes=len(content), sha256="ab" * 32)
