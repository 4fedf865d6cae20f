"""History: what ran, read."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from importlib import import_module
from typing import Final

from chargehand.event import Stream
from chargehand.past.columns import moment_of, told
from chargehand.past.lookup import counts_of, is_known, listed, unknown_hosts, unknown_invocation
from chargehand.past.reading import Clause, Reader, Row, Source
from chargehand.past.rows import STREAM_NAMES, STREAMS, Pieces, launch_of, record_of, share_of
from chargehand.past.values import Page, RunSearch, Stored, StoredChunk, StoredShare, Unfinished
from chargehand.report.invocation import Counts, InvocationRecord
from chargehand.result import CapturedOutput

_CHUNKS_AT_ONCE: Final = 64
_SIZES: Final = {
    "sqlite": "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
    "postgresql": "SELECT pg_database_size(current_database()) AS bytes",
}


class History:
    """What ran, to be read. No read keeps the database from being written."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def find(self, invocation_id: int, *, with_output: bool = True) -> Stored:
        """One invocation with its hosts.

        Args:
            invocation_id: Of the invocation.
            with_output: Whether results hold what was printed; without, they hold its size and its sum.

        Raises:
            UnknownInvocationError: There is none of that number; names the newest.
        """

        def step(reader: Reader) -> Stored:
            if not is_known(reader, invocation_id):
                raise unknown_invocation(reader, invocation_id)
            (found,) = reader.rows("SELECT * FROM job_invocation WHERE id = :this", {"this": invocation_id})
            row = told(found)
            recurrence = _recurrences(reader, [row]).get(row["recurring_logic_id"])
            return _stored(row, recurrence, _shares(reader, invocation_id, with_output=with_output))

        return self._source.read(step)

    def share_ids(self, invocation_id: int) -> dict[str, int]:
        """The ids of the template invocations of one invocation, by host."""
        statement = "SELECT host_name, id FROM template_invocation WHERE job_invocation_id = :this"
        rows = self._source.read(lambda reader: reader.rows(statement, {"this": invocation_id}))
        return {row["host_name"]: row["id"] for row in rows}

    def page(
        self,
        where: Clause | None = None,
        *,
        limit: int,
        offset: int = 0,
        oldest_first: bool = False,
    ) -> Page:
        """A part of the list of invocations, the newest first.

        Args:
            where: Which ones; None means all.
            limit: How many at most.
            offset: How many are left out before.
            oldest_first: Whether they come the other way round.
        """

        def step(reader: Reader) -> Page:
            (every,) = reader.rows("SELECT count(*) AS total FROM job_invocation")
            subtotal, numbers = _wanted(reader, where, slice(offset, offset + limit), oldest_first)
            rows = _invocations(reader, numbers)
            recurrences = _recurrences(reader, rows.values())
            running = [number for number in numbers if rows[number]["state"] == "running"]
            counts = counts_of(reader, running) if running else {}
            records = (
                record_of(
                    rows[number],
                    recurrence=recurrences.get(rows[number]["recurring_logic_id"]),
                    counts=counts.get(number) or _kept_counts(rows[number]),
                )
                for number in numbers
            )
            return Page(total=every["total"], subtotal=subtotal, records=tuple(records))

        return self._source.read(step)

    def search(self, query: str, *, caller: str, now: datetime, time_zone: tzinfo = UTC) -> RunSearch:
        """Read a query over invocations, for `page`; see `runsearch`.

        Raises:
            QueryError: It is not understood, or too large for a database.
        """
        search: RunSearch = import_module("chargehand.past.runsearch").search_runs(
            query, caller=caller, now=now, dialect=self._source.dialect, time_zone=time_zone
        )
        return search

    def outputs(
        self, invocation_id: int, host: str | None = None, after: Mapping[str, int] | None = None
    ) -> Iterator[StoredChunk]:
        """What scripts printed, host by host in the order of the run; a piece at a time is in memory.

        Args:
            invocation_id: Of the invocation.
            host: Whose; None means every host's.
            after: The last sequence number that is known already, by host.

        Raises:
            UnknownInvocationError: There is no such invocation.
            UsageError: It has no host of that name.
        """
        for share_id, name, last in self._source.read(lambda reader: _spoken(reader, invocation_id, host)):
            known = (after or {}).get(name, -1)
            while known < last:
                rows = self._chunks(share_id, known)
                for row in rows:
                    known = row["sequence"]
                    yield StoredChunk(
                        host_name=name,
                        sequence=known,
                        at=moment_of(row["at"]),
                        stream=STREAM_NAMES[row["stream"]],
                        offset_bytes=row["offset_bytes"],
                        content=row["content"],
                    )
                if not rows:  # removed meanwhile
                    break

    def status_before(self, record: InvocationRecord) -> str | None:
        """The status label of the last run of the same job before; None when none began that is over."""
        origin = record.provenance
        if origin is None or origin.playbook is None:
            return None
        before = self._source.read(
            lambda reader: reader.rows(
                "SELECT status_label FROM job_invocation WHERE playbook = :playbook AND job_name = :job_name "
                "AND state = 'stopped' AND started_at IS NOT NULL AND id < :this ORDER BY id DESC LIMIT 1",
                {"playbook": origin.playbook, "job_name": origin.job_name, "this": record.id},
            )
        )
        return before[0]["status_label"] if before else None

    def last_of(self, playbook: str, number: int, name: str) -> InvocationRecord | None:
        """The newest invocation of a job that began or was to, without its hosts; None when there is none."""
        same = "job_name = :name" if name else "job_number = :number"
        began = "(started_at IS NOT NULL OR status_label <> 'cancelled')"
        wanted = Clause(
            sql=f"playbook = :playbook AND {same} AND {began}",
            values={"playbook": playbook, "name": name, "number": number},
        )
        return next(iter(self.page(wanted, limit=1).records), None)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """Every invocation that is not over, the oldest first."""
        statement = (
            "SELECT id, state, runner_id, start_at, recurring_logic_id FROM job_invocation "
            "WHERE state IN ('scheduled', 'planned', 'running') ORDER BY id"
        )
        return self._source.read(
            lambda reader: tuple(Unfinished(*told(row).values()) for row in reader.rows(statement))
        )

    def last_sign(self, invocation_id: int) -> datetime | None:
        """When an invocation was last worked at: launched, due, started, or about to send a script."""
        statement = (
            "SELECT created_at, start_at, started_at, (SELECT max(intended_at) FROM template_invocation "
            "WHERE job_invocation_id = :this) AS intended_at FROM job_invocation WHERE id = :this"
        )

        def step(reader: Reader) -> datetime | None:
            rows = [told(row) for row in reader.rows(statement, {"this": invocation_id})]
            return max((at for row in rows for at in row.values() if at is not None), default=None)

        return self._source.read(step)

    def size_bytes(self) -> int:
        """How much room the store takes."""
        return self._source.read(lambda reader: int(reader.rows(_SIZES[reader.dialect])[0]["bytes"]))

    def _chunks(self, share_id: int, after: int) -> Sequence[Row]:
        return self._source.read(
            lambda reader: reader.rows(
                "SELECT sequence, at, stream, offset_bytes, content FROM output "
                "WHERE template_invocation_id = :share AND sequence > :after ORDER BY sequence LIMIT :most",
                {"share": share_id, "after": after, "most": _CHUNKS_AT_ONCE},
            )
        )


def _wanted(
    reader: Reader, where: Clause | None, part: slice, oldest_first: bool
) -> tuple[int, Sequence[int]]:
    """How many invocations are wanted, and the ids of a part of them; a condition is asked once for both."""
    chosen, wanted = "", "job_invocation"
    if where is not None:
        chosen = f"WITH wanted AS MATERIALIZED (SELECT id FROM job_invocation WHERE {where.sql}) "  # noqa: S608 - no value is in it
        wanted = "wanted"
    values = dict(where.values) if where else {}
    count = f"SELECT count(*) AS subtotal FROM {wanted}"  # noqa: S608 - one of two names
    rows = reader.rows(
        f"{chosen}SELECT id, ({count}) AS subtotal FROM {wanted} "  # noqa: S608
        f"ORDER BY id {'ASC' if oldest_first else 'DESC'} LIMIT :most OFFSET :before",
        values | {"most": part.stop - part.start, "before": part.start},
    )
    if rows:
        return rows[0]["subtotal"], [row["id"] for row in rows]
    return (reader.rows(chosen + count, values)[0]["subtotal"] if part.start else 0), []


def _invocations(reader: Reader, numbers: Sequence[int]) -> dict[int, Row]:
    """Invocations by id."""
    if not numbers:
        return {}
    statement = f"SELECT * FROM job_invocation WHERE id IN ({listed(numbers)})"  # noqa: S608 - numbers
    return {row["id"]: told(row) for row in reader.rows(statement)}


def _stored(row: Row, recurrence: Row | None, shares: tuple[StoredShare, ...]) -> Stored:
    return Stored(
        record=record_of(row, recurrence=recurrence, shares=shares),
        launch=launch_of(row["launch"]),
        runner_id=row["runner_id"],
        idempotent=row["idempotent"],
        logic_id=row["recurring_logic_id"],
        occurrence=row["occurrence"],
        exit_code=row["exit_code"],
        cancel_requested=bool(row["cancel_requested"]),
        created_at=row["created_at"],
        shares=shares,
    )


def _recurrences(reader: Reader, rows: Iterable[Row]) -> dict[int, Row]:
    """The recurring logics that invocations belong to, by id."""
    numbers = {row["recurring_logic_id"] for row in rows} - {None}
    if not numbers:
        return {}
    statement = f"SELECT * FROM recurring_logic WHERE id IN ({listed(numbers)})"  # noqa: S608 - numbers
    return {row["id"]: told(row) for row in reader.rows(statement)}


def _kept_counts(row: Row) -> Counts | None:
    """The counts of an invocation that does not run: those of its end, or that everybody is pending."""
    if row["total"] is None:
        return None
    if row["succeeded"] is None:
        return Counts(total=row["total"], pending=row["total"])
    return Counts(
        total=row["total"], succeeded=row["succeeded"], failed=row["failed"], cancelled=row["cancelled"]
    )


def _shares(reader: Reader, invocation_id: int, *, with_output: bool) -> tuple[StoredShare, ...]:
    statement = "SELECT * FROM template_invocation WHERE job_invocation_id = :this ORDER BY position"
    rows = [told(row) for row in reader.rows(statement, {"this": invocation_id})]
    pieces = _pieces(reader, invocation_id) if with_output else {}
    return tuple(share_of(row, _outputs(row, pieces.get(row["id"]))) for row in rows)


def _pieces(reader: Reader, invocation_id: int) -> dict[int, dict[Stream, Pieces]]:
    """What was printed, by share and stream."""
    statement = (
        "SELECT template_invocation_id, stream, offset_bytes, content "
        "FROM output JOIN template_invocation ON template_invocation.id = output.template_invocation_id "
        "WHERE job_invocation_id = :this ORDER BY template_invocation_id, sequence"
    )
    found: dict[int, dict[Stream, Pieces]] = defaultdict(lambda: {name: Pieces() for name in STREAMS})
    for row in reader.rows(statement, {"this": invocation_id}):
        stream = found[row["template_invocation_id"]][STREAM_NAMES[row["stream"]]]
        stream.add(row["offset_bytes"], row["content"])
    return found


def _outputs(row: Row, pieces: Mapping[Stream, Pieces] | None) -> dict[Stream, CapturedOutput]:
    return {
        name: (pieces[name] if pieces else Pieces()).output(row[f"{name}_size_bytes"], row[f"{name}_sha256"])
        for name in STREAMS
    }


def _spoken(reader: Reader, invocation_id: int, host: str | None) -> list[tuple[int, str, int]]:
    """The shares that printed something, with the last sequence number of each."""
    if not is_known(reader, invocation_id):
        raise unknown_invocation(reader, invocation_id)
    own = "job_invocation_id = :this"
    values = {"this": invocation_id, "host": host}
    if host is not None:
        found = reader.rows(f"SELECT host_name FROM template_invocation WHERE {own}", values)  # noqa: S608
        names = [row["host_name"] for row in found]
        if host not in names:
            raise unknown_hosts({host}, names, invocation_id)
        own += " AND host_name = :host"
    statement = (
        "SELECT template_invocation.id, host_name, max(sequence) AS last "  # noqa: S608 - no value is in it
        "FROM template_invocation JOIN output ON template_invocation_id = template_invocation.id "
        f"WHERE {own} GROUP BY template_invocation.id, host_name, position ORDER BY position"
    )
    return [(row["id"], row["host_name"], row["last"]) for row in reader.rows(statement, values)]
