"""The ledger: entries written into their shares, each as the verdict on it says."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from chargehand.past.columns import moment_of
from chargehand.past.lookup import counters, counts_of, label_of, listed
from chargehand.past.reading import Row
from chargehand.past.rows import STREAMS
from chargehand.result import HostResult, Status
from chargehand.store.engine import Connection
from chargehand.store.entry import Chunk, Entry, Intent, Outcome, Settled, Started
from chargehand.store.statements import LOCKED, updating
from chargehand.store.verdict import Standing, columns_of, judge

_AT_ONCE: Final = 500


def _updating(*names: str) -> str:
    return updating("template_invocation", names, "id = :share")


_UPDATES: Final[Mapping[type[Entry], str]] = {
    Intent: _updating("state", "token", "intended_at"),
    Started: _updating("state", "started_at"),
    Outcome: _updating(*columns_of(HostResult(host="", status=Status.UNKNOWN)), "state", "reconciled"),
    Settled: _updating("settled"),
}
"""In the order in which a share meets them."""

_CHUNKS: Final = (
    "INSERT INTO output (template_invocation_id, sequence, at, stream, offset_bytes, content) "
    "VALUES (:share, :sequence, :at, :stream, :offset_bytes, :content) ON CONFLICT DO NOTHING"
)
_STANDING: Final = (
    "id, job_invocation_id, state, status, token, cancel_requested, exit_status, signal, duration_s, code, "
    "started_at"
)
_SHARED: Final = {"sqlite": "", "postgresql": " FOR SHARE"}


def write_entries(connection: Connection, entries: Sequence[Entry]) -> list[bool]:
    """Write entries down; whether each was accepted."""
    shares = _standings(connection, {entry.share_id for entry in entries})
    accepted: list[bool] = []
    changes: dict[type[Entry], list[dict[str, object]]] = defaultdict(list)
    chunks: list[dict[str, object]] = []
    for entry in entries:
        share = shares.get(entry.share_id)
        change = judge(share, entry) if share else None
        accepted.append(change is not None)
        if change:
            changes[type(entry)].append({**change, "share": entry.share_id})
        elif isinstance(entry, Chunk) and change is not None:
            chunks.append(_columns(entry))
    for kind, statement in _UPDATES.items():
        if changes[kind]:
            connection.change_each(statement, changes[kind])
    if chunks:
        connection.change_each(_CHUNKS, chunks)
    _count_again(connection, {row["share"] for row in changes[Outcome]})
    return accepted


def _standings(connection: Connection, share_ids: Iterable[int]) -> dict[int, Standing]:
    """What the store holds of shares, and nobody else changes before the transaction ends."""
    found: dict[int, Standing] = {}
    for some in _slices(sorted(share_ids)):
        these = listed(some)
        held = connection.rows(
            "SELECT id, runner_id, cancel_requested FROM job_invocation WHERE id IN "  # noqa: S608 - numbers
            f"(SELECT job_invocation_id FROM template_invocation WHERE id IN ({these})) ORDER BY id"
            f"{_SHARED[connection.dialect]}"
        )
        invocations = {row["id"]: row for row in held}
        rows = connection.rows(
            f"SELECT {_STANDING} FROM template_invocation WHERE id IN ({these}) ORDER BY id"  # noqa: S608
            f"{LOCKED[connection.dialect]}"
        )
        found |= {row["id"]: _standing(row, invocations[row["job_invocation_id"]]) for row in rows}
    return found


def _standing(row: Row, invocation: Row) -> Standing:
    return Standing(
        state=row["state"],
        status=row["status"],
        token=row["token"],
        said=(row["exit_status"], row["signal"], row["duration_s"], row["code"]),
        started_at=None if row["started_at"] is None else moment_of(row["started_at"]),
        runner_id=invocation["runner_id"],
        cancelled=bool(row["cancel_requested"] or invocation["cancel_requested"]),
    )


def _columns(chunk: Chunk) -> dict[str, object]:
    return {
        "share": chunk.share_id,
        "sequence": chunk.sequence,
        "at": chunk.at,
        "stream": STREAMS[chunk.stream],
        "offset_bytes": chunk.offset_bytes,
        "content": chunk.content,
    }


def _count_again(connection: Connection, share_ids: Iterable[object]) -> None:
    """Outcomes of hosts whose invocation is over already change its counters."""
    for some in _slices(sorted(map(int, map(str, share_ids)))):
        over = connection.rows(
            "SELECT id, status_label FROM job_invocation WHERE state = 'stopped' AND id IN "  # noqa: S608 - numbers
            f"(SELECT job_invocation_id FROM template_invocation WHERE id IN ({listed(some)}))"
        )
        for row in over:
            counts = counts_of(connection, [row["id"]])[row["id"]]
            label = label_of(counts, cancelled=row["status_label"] == "cancelled")
            columns = counters(counts) | {"status_label": label}
            connection.change(
                updating("job_invocation", columns, "id = :this"), columns | {"this": row["id"]}
            )


def _slices(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
