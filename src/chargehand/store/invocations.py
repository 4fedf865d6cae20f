"""Invocations: what runs, written down; every step durable when it returns."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, case, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from chargehand.errors import StoreError
from chargehand.past.lookup import counters, counts_of, is_known, label_of, unknown_hosts, unknown_invocation
from chargehand.past.values import CancelRequest, Share
from chargehand.provenance import Launch
from chargehand.report.invocation import InvocationRecord
from chargehand.result import HostResult, Status
from chargehand.store.engine import ConnectionRows, Database
from chargehand.store.entry import Entry
from chargehand.store.ledger import write_entries
from chargehand.store.retention import prunable, prune
from chargehand.store.rows import columns_of, launch_columns, share_columns
from chargehand.store.tables import job_invocation, output, template_invocation
from chargehand.store.usual import UnusualError, write_usual
from chargehand.store.verdict import columns_of as result_columns

_INVOCATION: Final = job_invocation.c
_SHARE: Final = template_invocation.c
_OPEN: Final = ("scheduled", "planned", "running")
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
        columns = columns_of(record) | {
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

        def step(connection: Connection) -> int | None:
            try:
                with connection.begin_nested():
                    made = connection.execute(insert(job_invocation).values(columns))
            except IntegrityError:
                return _taken(connection, columns)
            invocation_id: int = made.inserted_primary_key[0]  # type: ignore[index]
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
        open_now = (_INVOCATION.id == invocation_id) & _INVOCATION.state.in_(_OPEN)
        scheduled = _INVOCATION.state == "scheduled"
        statement = (
            update(job_invocation)
            .where(open_now, _INVOCATION.runner_id.is_not_distinct_from(instead_of))
            .values(
                runner_id=runner_id,
                state=case((scheduled, "planned"), else_=_INVOCATION.state),
                status_label=case((scheduled, "running"), else_=_INVOCATION.status_label),
            )
        )
        tries = 0

        def step(connection: Connection) -> bool:
            nonlocal tries
            tries += 1
            if connection.execute(statement).rowcount:
                return True
            mine = select(true()).where(open_now, _INVOCATION.runner_id == runner_id)
            return tries > 1 and connection.execute(mine).first() is not None

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
            mine = (_INVOCATION.id == invocation_id) & (_INVOCATION.runner_id == runner_id)
            found = connection.execute(select(_INVOCATION.state).where(mine).with_for_update()).scalar()
            if found not in {"scheduled", "planned"}:
                return found == "running"
            connection.execute(update(job_invocation).where(mine).values(columns))
            connection.execute(delete(template_invocation).where(_SHARE.job_invocation_id == invocation_id))
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
            mine = (_INVOCATION.id == invocation_id) & (_INVOCATION.runner_id == runner_id)
            state = connection.execute(select(_INVOCATION.state).where(mine).with_for_update()).scalar()
            if state is None or state == "stopped":
                return state == "stopped"
            counts = counts_of(ConnectionRows(connection), [invocation_id])[invocation_id]
            if counts.pending:
                return False
            columns = counters(counts) | {
                "status_label": label_of(counts, cancelled=cancelled),
                "state": "stopped",
                "exit_code": exit_code,
                "ended_at": ended_at,
                **({"code": code, "reason": reason} if code else {}),
            }
            connection.execute(update(job_invocation).where(mine).values(columns))
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
        result = {"state": "stopped", "status": str(status), "code": code, "reason": reason}
        columns = {"state": "stopped", "status_label": "cancelled" if cancelled else "failed"} | {
            "code": code,
            "reason": reason,
            "exit_code": exit_code,
            "ended_at": ended_at,
        }

        def step(connection: Connection) -> bool:
            this = _INVOCATION.id == invocation_id
            columns_now = select(_INVOCATION.state, _INVOCATION.code, _INVOCATION.resolved)
            row = connection.execute(columns_now.where(this).with_for_update()).first()
            if row is None or row.state == "stopped":
                return row is not None and row.code == code
            own = _SHARE.job_invocation_id == invocation_id
            if connection.execute(select(true()).where(own, _SHARE.state != "queued").limit(1)).first():
                return False
            connection.execute(update(template_invocation).where(own).values(result))
            counted = (
                counters(counts_of(ConnectionRows(connection), [invocation_id])[invocation_id])
                if row.resolved
                else {}
            )
            connection.execute(update(job_invocation).where(this).values(columns | counted))
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
        wish = {"cancel_requested": "force" if force else "cancel"}
        yielding = ("", "cancel") if force else ("",)

        def step(connection: Connection) -> None:
            this = _INVOCATION.id == invocation_id
            if not is_known(ConnectionRows(connection), invocation_id):
                raise unknown_invocation(ConnectionRows(connection), invocation_id)
            if hosts is None:
                soft = _INVOCATION.cancel_requested.in_(yielding)
                connection.execute(update(job_invocation).where(this, soft).values(wish))
                return
            own = _SHARE.job_invocation_id == invocation_id
            known = set(connection.execute(select(_SHARE.host_name).where(own)).scalars())
            if set(hosts) - known:
                raise unknown_hosts(set(hosts) - known, known, invocation_id)
            open_now = (_SHARE.state != "stopped") & _SHARE.cancel_requested.in_(yielding)
            one = update(template_invocation).where(own, open_now, _SHARE.host_name == bindparam("name"))
            for name in hosts:
                connection.execute(one.values(wish), {"name": name})

        self._database.write(step)

    def cancel_request(self, invocation_id: int) -> CancelRequest:
        """What somebody wants stopped of an invocation."""
        whole = select(_INVOCATION.cancel_requested).where(_INVOCATION.id == invocation_id)
        some = select(_SHARE.host_name, _SHARE.cancel_requested).where(
            _SHARE.job_invocation_id == invocation_id, _SHARE.cancel_requested != ""
        )

        def step(connection: Connection) -> CancelRequest:
            wish = connection.execute(whole).scalar()
            hosts = connection.execute(some).all()
            return CancelRequest(
                force=wish == "force" if wish else None,
                hosts=frozenset(host for host, _ in hosts),
                forced=frozenset(host for host, how in hosts if how == "force"),
            )

        return self._database.read(step)

    def requeue(self, share_ids: Sequence[int], *, forget_token: bool = False) -> None:
        """Let hosts have another turn: those that never started, or whose outcome is unknown.

        Args:
            share_ids: Of template invocations.
            forget_token: Whether the script may start although it may have started before - a job that is
                idempotent; else it keeps its token, with which no host starts it twice.
        """
        states = ("starting", "running") if forget_token else ("starting",)
        again = _SHARE.state.in_(states) | ((_SHARE.state == "stopped") & (_SHARE.status == Status.UNKNOWN))
        pending = HostResult(host="", status=Status.PENDING, attempts=0)
        columns = result_columns(pending) | {"state": "queued", "settled": False, "reconciled": False}
        columns |= {"token": None} if forget_token else {}

        def step(connection: Connection) -> None:
            for share_id in share_ids:
                one = update(template_invocation).where(_SHARE.id == share_id, again).values(columns)
                if connection.execute(one).rowcount:
                    connection.execute(delete(output).where(output.c.template_invocation_id == share_id))

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
        connection.execute(insert(template_invocation), share_columns(shares, invocation_id))


def _taken(connection: Connection, columns: dict[str, object]) -> int | None:
    """Who stands in the way of a new row: itself, written before the answer was lost, or another one.

    Raises:
        StoreError: Nobody does: a column refers to what is not there.
    """
    same = select(_INVOCATION.id).where(_INVOCATION.task_id == columns["task_id"])
    found = connection.execute(same).scalar()
    if found is not None:
        return int(found)
    other = (
        (_INVOCATION.schedule_key == columns["schedule_key"])
        | (_INVOCATION.push_key == columns["push_key"])
        | (
            (_INVOCATION.recurring_logic_id == columns["recurring_logic_id"])
            & (_INVOCATION.occurrence == columns["occurrence"])
        )
    )
    if connection.execute(select(true()).where(other)).first() is None:
        raise StoreError(f"there is no recurring logic {columns['recurring_logic_id']}")
    return None
