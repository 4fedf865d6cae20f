"""Rows: invocations and shares as columns."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from chargehand.past.rows import PROVENANCE, SAME, TARGETING
from chargehand.past.values import Share
from chargehand.provenance import Launch
from chargehand.report.invocation import InvocationRecord
from chargehand.result import Status

LABELS: Final = ("succeeded", "failed", "queued", "running", "cancelled")
"""Of `InvocationRecord.status`."""

NEW_INVOCATION: Final = {
    "code": "",
    "reason": "",
    "resolved": False,
    "missing": 0,
    "idempotent": False,
    "job_number": 0,
    "job_name": "",
    "cancel_requested": "",
}
NEW_SHARE: Final = {
    "settled": False,
    "reconciled": False,
    "cancel_requested": "",
    "code": "",
    "reason": "",
    "noise": "",
    "pty": False,
    "attempts": 0,
    "stdout_size_bytes": 0,
    "stderr_size_bytes": 0,
}
NEW_REVISION: Final = {"settled": True, "trigger": "push", "code": "", "reason": ""}
"""What a new row says where nobody says anything; a test holds them against the tables."""


def columns_of(record: InvocationRecord) -> dict[str, object]:
    """What is told of an invocation, as columns; hidden values are left out."""
    scheduled_at, start_before = record.scheduling or (None, None)
    columns: dict[str, object] = {name: getattr(record, name) for name in SAME}
    columns |= {name: getattr(record.targeting, name) for name in TARGETING}
    if record.provenance:
        columns |= {name: getattr(record.provenance, name) for name in PROVENANCE}
    return columns | {
        "status_label": LABELS[record.status],
        "start_at": record.start_at,
        "scheduled_at": scheduled_at,
        "start_before": start_before,
        "started_at": record.start_at if record.begun else None,
        "inputs": [asdict(each) | ({"value": None} if each.hidden else {}) for each in record.inputs],
    }


def launch_columns(launch: Launch, record: InvocationRecord) -> dict[str, object]:
    """What it takes to launch it again; of inputs, not those that are hidden."""
    hidden = {each.name for each in record.inputs if each.hidden}
    inputs = {name: value for name, value in launch.inputs.items() if name not in hidden}
    return asdict(launch) | {"inputs": inputs}


def share_columns(shares: Iterable[Share], invocation_id: int) -> list[dict[str, object]]:
    """The shares of an invocation, nothing of which is done yet, in their order."""
    return [
        {
            **NEW_SHARE,
            "job_invocation_id": invocation_id,
            "position": position,
            "host_name": share.host_name,
            "host_id": share.host_id,
            "state": "queued",
            "status": str(Status.PENDING),
            "token": share.token,
            "script_sha256": share.script_sha256,
        }
        for position, share in enumerate(shares)
    ]
