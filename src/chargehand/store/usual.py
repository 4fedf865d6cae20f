"""The usual: entries that say what nearly every entry says, written without reading what is there first.

Every statement changes a share only where the verdict on its entry is that it says something new. When one
of some entries finds its share otherwise, none of them is written here, and each gets a verdict of its own.
Only for SQLite, where nobody else writes meanwhile. One statement is for many shares: SQLite is left to work
without Python's lock, and to have that back after every row would be a wait for the thread that serves hosts.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

from chargehand.expression import expression
from chargehand.past.columns import kept, microseconds_of
from chargehand.past.rows import STREAMS
from chargehand.result import HostResult, Status
from chargehand.store.engine import Connection
from chargehand.store.entry import Chunk, Entry, Intent, Outcome, Settled, Started
from chargehand.store.sqlite import FileConnection
from chargehand.store.verdict import columns_of

_Row = tuple[object, ...]
_OF_RESULT: Final = tuple(columns_of(HostResult(host="", status=Status.UNKNOWN)))
_OWNER: Final = "EXISTS (SELECT 1 FROM job_invocation WHERE job_invocation.id = job_invocation_id AND {})"
_OPEN: Final = _OWNER.format("job_invocation.state != 'stopped'")
_HELD: Final = _OWNER.format("runner_id = :runner_id AND job_invocation.cancel_requested = ''")


def _ending(where: str) -> str:
    """Write a result; who was not there does not know better when the script started."""
    columns = [name for name in _OF_RESULT if name != "started_at"]
    values = ", ".join(f"{name} = :{name}" for name in columns)
    return (
        f"UPDATE template_invocation SET {values}, started_at = coalesce(:started_at, started_at), "  # noqa: S608
        f"reconciled = :reconciled, state = 'stopped' WHERE id = :share AND {where} AND {_OPEN}"
    )


_INTENT: Final = (
    "UPDATE template_invocation SET state = 'starting', token = :token, intended_at = :at "  # noqa: S608
    "WHERE id = :share AND state = 'queued' AND (token IS NULL OR token = :token) "
    f"AND cancel_requested = '' AND {_HELD}"
)
_STARTED: Final = (
    "UPDATE template_invocation SET state = 'running', started_at = :at "
    "WHERE id = :share AND state = 'starting' AND token = :token"
)
_CHUNK: Final = (
    "INSERT OR IGNORE INTO output (template_invocation_id, sequence, at, stream, offset_bytes, content) "
    "VALUES (:share, :sequence, :at, :stream, :offset_bytes, :content)"
)
_ENDED: Final = _ending("state IN ('starting', 'running') AND token = :token")
_NEVER_BEGAN: Final = _ending("state = 'queued'")
_SETTLED: Final = "UPDATE template_invocation SET settled = 1 WHERE id = :share AND state = 'stopped'"
_AT_ONCE: Final = 64
_IN_ORDER: Final = (_INTENT, _STARTED, _ENDED, _NEVER_BEGAN, _SETTLED)
"""In the order in which a share meets them."""

_NAME: Final = expression(r":(\w+)")
_STAGES: Final = {Intent: 1, Started: 2, Outcome: 3, Settled: 4}


class UnusualError(Exception):
    """An entry does not say what is usual of its share; nothing may be kept of the transaction."""


def write_usual(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write entries down, each of which is accepted.

    Raises:
        UnusualError: One of them is not usual.
    """
    if not isinstance(connection, FileConnection):
        raise UnusualError
    rows: dict[str, list[_Row]] = defaultdict(list)
    stages: dict[int, int] = {}
    for entry in entries:
        statement, row = _change(entry)
        rows[statement].append(row)
        if stage := _STAGES.get(type(entry), 0):
            if stage <= stages.get(entry.share_id, 0):
                raise UnusualError
            stages[entry.share_id] = stage
    for statement in _IN_ORDER:
        if statement in rows and _do(connection, statement, rows[statement]) != len(rows[statement]):
            raise UnusualError
    try:
        _do(connection, _CHUNK, rows[_CHUNK])
    except sqlite3.IntegrityError as error:  # no such share
        raise UnusualError from error


def _do(connection: FileConnection, statement: str, rows: Sequence[_Row]) -> int:
    """Do a statement for every row of values, many at once; how many rows of the table that changed."""
    changed = begin = 0
    while left := len(rows) - begin:
        # Powers of two, so that few statements are to be prepared. No share has the number NULL.
        power = left.bit_length() - 1 if statement == _CHUNK else (left - 1).bit_length()
        size = min(_AT_ONCE, 1 << power)
        values = list(chain.from_iterable(rows[begin : begin + size]))
        values += [None] * ((size - left) * len(rows[0]))
        changed += connection.driver.execute(_for_many(statement, size), values).rowcount
        begin += min(size, left)
    return changed


@cache
def _names(statement: str) -> tuple[str, ...]:
    """The names of its values."""
    return tuple(dict.fromkeys(_NAME.findall(statement)))


@cache
def _for_many(statement: str, size: int) -> str:
    """A statement for so many rows of values."""
    names = _names(statement)
    row = f"({', '.join('?' * len(names))})"
    table = f"VALUES {', '.join([row] * size)}"
    if statement == _CHUNK:
        return statement.partition("VALUES")[0] + table
    named = _NAME.sub(lambda name: f"given.column{names.index(name[1]) + 1}", statement)
    change, where, condition = named.partition(" WHERE ")
    return f"{change} FROM ({table}) AS given{where}{condition}"


def _change(entry: Entry) -> tuple[str, _Row]:
    """What an entry does, and the values for it, in the order of their names, as columns hold them."""
    share = entry.share_id
    match entry:
        case Intent():
            return _INTENT, (entry.token, microseconds_of(entry.at), share, entry.runner_id)
        case Started():
            return _STARTED, (microseconds_of(entry.at), share, entry.token)
        case Outcome():
            values = kept(columns_of(entry.result))
            row = (values.pop("started_at"), entry.reconciled, share)
            if entry.token is None:
                return _NEVER_BEGAN, (*values.values(), *row)
            return _ENDED, (*values.values(), *row, entry.token)
        case Settled():
            return _SETTLED, (share,)
        case Chunk():
            return _CHUNK, (
                share,
                entry.sequence,
                microseconds_of(entry.at),
                STREAMS[entry.stream],
                entry.offset_bytes,
                entry.content,
            )
