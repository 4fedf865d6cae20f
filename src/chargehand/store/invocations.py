"""Invocations: what runs, written down; every step durable when it returns."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from chargehand.errors import StoreError
from chargehand.past.lookup import counters, counts_of, is_known, label_of, unknown_hosts, unknown_invocation
from chargehand.past.values import CancelRequest, Share
from chargehand.provenance import Launch
from chargehand.report.invocation import InvocationRecord
from chargehand.result import HostResult, Status
from chargehand.store.engine import Connection, Database
from chargehand.store.entry import Entry
from chargehand.store.ledger import write_entries
from chargehand.store.retention import prunable, prune
from chargehand.store.rows import NEW_INVOCATION, columns_of, launch_columns, share_columns
from chargehand.store.statements import LOCKED, inserting, updating
from chargehand.store.usual import UnusualError, write_usual
from chargehand.store.verdict import columns_of as result_columns

_OPEN: Final = "state IN ('scheduled', 'planned', 'running')"
_MINE: Final = "id = :this AND runner_id = :mine"
_KEPT: Final = ("task_id", "user", "trigger", "code", "reason")
"""What an invocation is launched with and keeps, whatever becomes of it."""


class Invocations:
    """What runs, to be written down. Every step is one transaction, and can be done again without harm."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(  # noqa: PLR0913 - each is a fact of its own
        self,
        record: InvocationRecord,
        launch: Launch,
        shares: Sequence[Share] | None,
        *,
        runner_id: str | None,
        created_at: datetime,
        idempotent: bool = False,
        logic_id: int | None = None,
        occurrence: datetime | None = None,
        schedule_key: str | None = None,
        push_key: str | None = None,
        exit_code: int | None = None,
    ) -> int | None:
        """Write a new invocation down.

        Args:
            record: What is told of it; its id and its results are not looked at.
            launch: What it takes to launch it again.
            shares: One for every host, in the order of the run; None as long as they are not looked up.
            runner_id: Who carries it out; None when nobody does yet.
            created_at: Now.
            idempotent: Whether a host cut off by a crash may be run again.
            logic_id: The recurring logic that it belongs to.
            occurrence: The time of that logic that it stands for.
            schedule_key: Of a job that starts once, at its time.
            push_key: Of a job that a push starts, once.
            exit_code: Of one that is over already.

        Returns:
            Its id; None when that occurrence, or that key, has an invocation already.
        """
        columns = (
            NEW_INVOCATION
            | columns_of(record)
            | {
                "launch": launch_columns(launch, record),
                "user": record.provenance.user if record.provenance else "",
                "trigger": record.provenance.trigger if record.provenance else "hand",
                "runner_id": runner_id,
                "created_at": created_at,
                "idempotent": idempotent,
                "recurring_logic_id": logic_id,
                "occurrence": occurrence,
                "schedule_key": schedule_key,
                "push_key": push_key,
                "exit_code": exit_code,
                "resolved": shares is not None,
                "total": None if shares is None else len(shares),
            }
        )

        logics = "SELECT id FROM recurring_logic WHERE id = :this"
        same = "SELECT id FROM job_invocation WHERE task_id = :task_id"

        def step(connection: Connection) -> int | None:
            if logic_id is not None and not connection.rows(logics, {"this": logic_id}):
                raise StoreError(f"there is no recurring logic {logic_id}")
            invocation_id = connection.add(inserting("job_invocation", columns), columns)
            if (
                invocation_id is None
            ):  # it was written before the answer was lost, or another one is in the way
                own = connection.rows(same, {"task_id": record.task_id})
                return own[0]["id"] if own else None
            _insert_shares(connection, shares, invocation_id)
            return invocation_id

        return self._database.write(step)

    def claim(self, invocation_id: int, runner_id: str, *, instead_of: str | None) -> bool:
        """Take an invocation over; whether that worked. One that was scheduled is planned from then on.

        Args:
            invocation_id: Of the invocation.
            runner_id: Who takes it.
            instead_of: Who had it until now; somebody else may have been quicker.
        """
        holder = "runner_id IS NULL" if instead_of is None else "runner_id = :before"
        statement = (
            "UPDATE job_invocation SET runner_id = :mine, "  # noqa: S608 - conditions of ours
            "state = CASE WHEN state = 'scheduled' THEN 'planned' ELSE state END, "
            "status_label = CASE WHEN state = 'scheduled' THEN 'running' ELSE status_label END "
            f"WHERE id = :this AND {_OPEN} AND {holder}"
        )
        values = {"this": invocation_id, "mine": runner_id}
        mine = f"SELECT id FROM job_invocation WHERE {_MINE} AND {_OPEN}"  # noqa: S608 - conditions of ours
        tries = 0

        def step(connection: Connection) -> bool:
            nonlocal tries
            tries += 1
            if connection.change(statement, {**values, "before": instead_of}):
                return True
            return tries > 1 and bool(connection.rows(mine, values))

        return self._database.write(step)

    def resolve(
        self, invocation_id: int, record: InvocationRecord, shares: Sequence[Share], *, runner_id: str
    ) -> bool:
        """Write down which hosts an invocation runs on: it runs from now on.

        Args:
            invocation_id: Of the invocation.
            record: What is told of it now.
            shares: One for every host, in the order of the run.
            runner_id: Who carries it out.

        Returns:
            Whether that runner still has it; nothing is written when it does not.
        """
        columns = columns_of(record) | {
            "state": "running",
            "status_label": "running",
            "started_at": record.start_at,
            "resolved": True,
            "total": len(shares),
        }
        columns = {name: value for name, value in columns.items() if name not in _KEPT}
        if record.scheduling is None:
            columns = {
                name: columns[name] for name in columns if name not in {"scheduled_at", "start_before"}
            }

        def step(connection: Connection) -> bool:
            found = _state(connection, invocation_id, runner_id)
            if found not in {"scheduled", "planned"}:
                return found == "running"
            _update(connection, invocation_id, columns)
            everybody = "DELETE FROM template_invocation WHERE job_invocation_id = :this"
            connection.change(everybody, {"this": invocation_id})
            _insert_shares(connection, shares, invocation_id)
            return True

        return self._database.write(step)

    def record(self, entries: Sequence[Entry]) -> list[bool]:
        """Write entries down, all in one transaction; whether each was accepted.

        One that says what is there already is accepted and changes nothing.
        """
        if entries and self._database.dialect == "sqlite":
            with suppress(UnusualError):
                self._database.write(lambda connection: write_usual(connection, entries))
                return [True] * len(entries)
        return self._database.write(lambda connection: write_entries(connection, entries)) if entries else []

    def finish(
        self,
        invocation_id: int,
        *,
        runner_id: str,
        cancelled: bool,
        exit_code: int,
        ended_at: datetime,
        code: str = "",
        reason: str = "",
    ) -> bool:
        """Write down that an invocation is over, with its counters.

        Args:
            invocation_id: Of the invocation.
            runner_id: Who carried it out.
            cancelled: Whether somebody cancelled it.
            exit_code: That the command ends with.
            ended_at: When its last host was done.
            code: Short name of why it ended early; an empty one leaves what is there.
            reason: The same in one line for people.

        Returns:
            Whether it is; not when a host is unfinished or another runner has it.
        """

        def step(connection: Connection) -> bool:
            state = _state(connection, invocation_id, runner_id)
            if state is None or state == "stopped":
                return state == "stopped"
            counts = counts_of(connection, [invocation_id])[invocation_id]
            if counts.pending:
                return False
            columns = counters(counts) | {
                "status_label": label_of(counts, cancelled=cancelled),
                "state": "stopped",
                "exit_code": exit_code,
                "ended_at": ended_at,
                **({"code": code, "reason": reason} if code else {}),
            }
            _update(connection, invocation_id, columns)
            return True

        return self._database.write(step)

    def fail(
        self,
        invocation_id: int,
        *,
        code: str,
        reason: str,
        exit_code: int,
        ended_at: datetime,
        cancelled: bool = False,
    ) -> bool:
        """Write down that an invocation is over before it began; hosts that it has were never started.

        Args:
            invocation_id: Of the invocation.
            code: Short name of why.
            reason: The same in one line for people.
            exit_code: That the command ends with.
            ended_at: Now.
            cancelled: Whether somebody, or a missed `start_before`, cancelled it.

        Returns:
            Whether it is; not when a script may have been sent to one of its hosts.
        """
        status = Status.CANCELLED if cancelled else Status.SKIPPED
        result: dict[str, object] = {
            "state": "stopped",
            "status": str(status),
            "code": code,
            "reason": reason,
        }
        columns = {"state": "stopped", "status_label": "cancelled" if cancelled else "failed"} | {
            "code": code,
            "reason": reason,
            "exit_code": exit_code,
            "ended_at": ended_at,
        }

        def step(connection: Connection) -> bool:
            this: dict[str, object] = {"this": invocation_id}
            now = "SELECT state, code, resolved FROM job_invocation WHERE id = :this"
            row = next(iter(connection.rows(now + LOCKED[connection.dialect], this)), None)
            if row is None or row["state"] == "stopped":
                return row is not None and row["code"] == code
            own = "job_invocation_id = :this"
            begun = f"SELECT id FROM template_invocation WHERE {own} AND state != 'queued' LIMIT 1"  # noqa: S608
            if connection.rows(begun, this):
                return False
            connection.change(updating("template_invocation", result, own), result | this)
            counted = (
                counters(counts_of(connection, [invocation_id])[invocation_id]) if row["resolved"] else {}
            )
            _update(connection, invocation_id, columns | counted)
            return True

        return self._database.write(step)

    def request_cancel(self, invocation_id: int, *, force: bool, hosts: Sequence[str] | None = None) -> None:
        """Ask whoever carries an invocation out to stop it, or some of its hosts.

        Args:
            invocation_id: Of the invocation.
            force: Whether hosts need not confirm that they stopped.
            hosts: Names; None means all of it.

        Raises:
            UnknownInvocationError: There is none of that number.
            UsageError: It has no host of that name.
        """
        wish: dict[str, object] = {"cancel_requested": "force" if force else "cancel"}
        soft = "cancel_requested IN ('', 'cancel')" if force else "cancel_requested = ''"
        own = "job_invocation_id = :this"
        one = updating(
            "template_invocation", wish, f"{own} AND state != 'stopped' AND {soft} AND host_name = :name"
        )

        def step(connection: Connection) -> None:
            this: dict[str, object] = {"this": invocation_id}
            if not is_known(connection, invocation_id):
                raise unknown_invocation(connection, invocation_id)
            if hosts is None:
                connection.change(updating("job_invocation", wish, f"id = :this AND {soft}"), wish | this)
                return
            everybody = f"SELECT host_name FROM template_invocation WHERE {own}"  # noqa: S608 - a name of ours
            known = {row["host_name"] for row in connection.rows(everybody, this)}
            if set(hosts) - known:
                raise unknown_hosts(set(hosts) - known, known, invocation_id)
            for name in hosts:
                connection.change(one, {**wish, **this, "name": name})

        self._database.write(step)

    def cancel_request(self, invocation_id: int) -> CancelRequest:
        """What somebody wants stopped of an invocation."""
        this = {"this": invocation_id}
        whole = "SELECT cancel_requested FROM job_invocation WHERE id = :this"
        some = (
            "SELECT host_name, cancel_requested FROM template_invocation "
            "WHERE job_invocation_id = :this AND cancel_requested != ''"
        )

        def step(connection: Connection) -> CancelRequest:
            wishes = {row["cancel_requested"] for row in connection.rows(whole, this)} - {""}
            hosts = connection.rows(some, this)
            return CancelRequest(
                force="force" in wishes if wishes else None,
                hosts=frozenset(row["host_name"] for row in hosts),
                forced=frozenset(row["host_name"] for row in hosts if row["cancel_requested"] == "force"),
            )

        return self._database.read(step)

    def requeue(self, share_ids: Sequence[int], *, forget_token: bool = False) -> None:
        """Let hosts have another turn: those that never started, or whose outcome is unknown.

        Args:
            share_ids: Of template invocations.
            forget_token: Whether the script may start although it may have started before - a job that is
                idempotent; else it keeps its token, with which no host starts it twice.
        """
        states = "'starting', 'running'" if forget_token else "'starting'"
        pending = HostResult(host="", status=Status.PENDING, attempts=0)
        columns = result_columns(pending) | {"state": "queued", "settled": False, "reconciled": False}
        columns |= {"token": None} if forget_token else {}
        again = f"(state IN ({states}) OR (state = 'stopped' AND status = '{Status.UNKNOWN}'))"
        statement = updating("template_invocation", columns, f"id = :this AND {again}")
        printed = "DELETE FROM output WHERE template_invocation_id = :this"

        def step(connection: Connection) -> None:
            for share_id in share_ids:
                if connection.change(statement, {**columns, "this": share_id}):
                    connection.change(printed, {"this": share_id})

        self._database.write(step)

    def prune(
        self, *, keep: int | None = None, older_than: datetime | None = None, max_bytes: int | None = None
    ) -> int:
        """Remove invocations that are over, with their outputs, and free the space; how many.

        Args:
            keep: So many of the newest stay, whatever else is said.
            older_than: Those that ended before.
            max_bytes: The newest ones that together take no more stay.
        """
        return prune(self._database, keep=keep, older_than=older_than, max_bytes=max_bytes)

    def prunable(
        self, *, keep: int | None = None, older_than: datetime | None = None, max_bytes: int | None = None
    ) -> list[int]:
        """The ids of those that `prune` would remove now, the oldest first."""
        return prunable(self._database, keep=keep, older_than=older_than, max_bytes=max_bytes)


def _insert_shares(connection: Connection, shares: Sequence[Share] | None, invocation_id: int) -> None:
    if shares:
        rows = share_columns(shares, invocation_id)
        connection.change_each(inserting("template_invocation", rows[0]), rows)


def _update(connection: Connection, invocation_id: int, columns: Mapping[str, object]) -> None:
    statement = updating("job_invocation", columns, "id = :this")
    connection.change(statement, {**columns, "this": invocation_id})


def _state(connection: Connection, invocation_id: int, runner_id: str) -> str | None:
    """The state of an invocation, if that runner has it; nobody else changes it meanwhile."""
    statement = f"SELECT state FROM job_invocation WHERE {_MINE}{LOCKED[connection.dialect]}"  # noqa: S608
    rows = connection.rows(statement, {"this": invocation_id, "mine": runner_id})
    return rows[0]["state"] if rows else None
