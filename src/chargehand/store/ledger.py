"""The ledger: entries written into their shares, each as the verdict on it says."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Update, bindparam, select, text, update

from chargehand.past.columns import microseconds_of
from chargehand.past.lookup import counters, counts_of, label_of
from chargehand.past.rows import STREAMS
from chargehand.result import HostResult, Status
from chargehand.store.engine import ConnectionRows
from chargehand.store.entry import Chunk, Entry, Intent, Outcome, Settled, Started
from chargehand.store.tables import job_invocation, template_invocation
from chargehand.store.verdict import Standing, columns_of, judge

_SHARE: Final = template_invocation.c
_INVOCATION: Final = job_invocation.c
_AT_ONCE: Final = 500


def _updating(*names: str) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return update(template_invocation).where(_SHARE.id == bindparam("share")).values(values)


_UPDATES: Final[Mapping[type[Entry], Update]] = {
    Intent: _updating("state", "token", "intended_at"),
    Started: _updating("state", "started_at"),
    Outcome: _updating(*columns_of(HostResult(host="", status=Status.UNKNOWN)), "state", "reconciled"),
    Settled: _updating("settled"),
}
"""In the order in which a share meets them."""

_CHUNKS: Final = text(
    "INSERT INTO output (template_invocation_id, sequence, at, stream, offset_bytes, content) "
    "VALUES (:share, :sequence, :at, :stream, :offset_bytes, :content) ON CONFLICT DO NOTHING"
)


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
            row = {f"new_{name}": value for name, value in change.items()}
            changes[type(entry)].append(row | {"share": entry.share_id})
        elif isinstance(entry, Chunk) and change is not None:
            chunks.append(_columns(entry))
    for kind, statement in _UPDATES.items():
        if changes[kind]:
            connection.execute(statement, changes[kind])
    if chunks:
        connection.execute(_CHUNKS, chunks)
    _count_again(connection, {row["share"] for row in changes[Outcome]})
    return accepted


def _standings(connection: Connection, share_ids: Iterable[int]) -> dict[int, Standing]:
    """What the store holds of shares, and nobody else changes before the transaction ends."""
    found: dict[int, Standing] = {}
    for some in _slices(sorted(share_ids)):
        owners = select(_SHARE.job_invocation_id).where(_SHARE.id.in_(some))
        held = connection.execute(
            select(_INVOCATION.id, _INVOCATION.runner_id, _INVOCATION.cancel_requested)
            .where(_INVOCATION.id.in_(owners))
            .order_by(_INVOCATION.id)
            .with_for_update(read=True)
        )
        invocations = {row.id: row for row in held}
        rows = connection.execute(
            select(
                _SHARE.id,
                _SHARE.job_invocation_id,
                _SHARE.state,
                _SHARE.status,
                _SHARE.token,
                _SHARE.cancel_requested,
                _SHARE.exit_status,
                _SHARE.signal,
                _SHARE.duration_s,
                _SHARE.code,
                _SHARE.started_at,
            )
            .where(_SHARE.id.in_(some))
            .order_by(_SHARE.id)
            .with_for_update()
        )
        found |= {row.id: _standing(row, invocations[row.job_invocation_id]) for row in rows}
    return found


def _standing(row: Any, invocation: Any) -> Standing:  # noqa: ANN401 - rows
    return Standing(
        state=row.state,
        status=row.status,
        token=row.token,
        said=(row.exit_status, row.signal, row.duration_s, row.code),
        started_at=row.started_at,
        runner_id=invocation.runner_id,
        cancelled=bool(row.cancel_requested or invocation.cancel_requested),
    )


def _columns(chunk: Chunk) -> dict[str, object]:
    return {
        "share": chunk.share_id,
        "sequence": chunk.sequence,
        "at": microseconds_of(chunk.at),
        "stream": STREAMS[chunk.stream],
        "offset_bytes": chunk.offset_bytes,
        "content": chunk.content,
    }


def _count_again(connection: Connection, share_ids: Iterable[object]) -> None:
    """Outcomes of hosts whose invocation is over already change its counters."""
    for some in _slices(sorted(map(int, map(str, share_ids)))):
        owners = select(_SHARE.job_invocation_id).where(_SHARE.id.in_(some))
        over = select(_INVOCATION.id, _INVOCATION.status_label).where(
            _INVOCATION.id.in_(owners), _INVOCATION.state == "stopped"
        )
        for invocation_id, label in connection.execute(over).all():
            counts = counts_of(ConnectionRows(connection), [invocation_id])[invocation_id]
            columns = counters(counts) | {"status_label": label_of(counts, cancelled=label == "cancelled")}
            connection.execute(update(job_invocation).where(_INVOCATION.id == invocation_id).values(columns))


def _slices(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
