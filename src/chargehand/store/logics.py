"""Recurring logics in the store: what they are, what was decided for them, and one place that decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from chargehand.failpoint import reach
from chargehand.past.logics import KnownLogics, logic_of
from chargehand.provenance import Launch
from chargehand.recurring import Claims, Decision, Decisions, RecurringLogic, floor, is_due
from chargehand.report.invocation import InvocationRecord
from chargehand.result import Status
from chargehand.store.engine import Database
from chargehand.store.rows import columns_of, launch_columns
from chargehand.store.tables import job_invocation, recurring_logic, template_invocation

_INVOCATION: Final = job_invocation.c
_LOGIC: Final = recurring_logic.c
_COLUMNS: Final = tuple(field.name for field in fields(RecurringLogic) if field.name != "id")

_ADD: Final = insert(job_invocation).returning(_INVOCATION.id)
_KEEP: Final = update(recurring_logic).where(_LOGIC.id == bindparam("this"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is written down of an occurrence.

    Attributes:
        record: What is told of it; state, code, reason and times are those of its decision.
        launch: What it takes to launch it again.
        idempotent: Whether a host cut off by a crash may be run again.
    """

    record: InvocationRecord
    launch: Launch
    idempotent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that stands.

    Attributes:
        invocation_id: Of the invocation that was written down for it.
        decision: What becomes of the occurrence; whoever decided to ``start`` it carries it out.
    """

    invocation_id: int
    decision: Decision


class Logics(KnownLogics):
    """The recurring logics, and what else waits for its time, decided and changed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.source)
        self._database = database

    def keep(
        self, key: str, change: Callable[[RecurringLogic | None], RecurringLogic | None], at: datetime
    ) -> None:
        """Add or change the one with a key.

        Args:
            key: Of the one.
            change: Given it as it is, None when there is none; gives it as it is to be, None to leave it.
            at: Now.

        Raises:
            StoreError: It cannot be written.
        """

        def step(connection: Connection) -> None:
            before = _find(connection, _LOGIC.key == key)
            after = change(before)
            if before is None and after is not None:
                try:
                    with connection.begin_nested():
                        connection.execute(insert(recurring_logic), _columns(after))
                except IntegrityError:  # another program added it in this instant
                    before = _find(connection, _LOGIC.key == key)
                    after = change(before)
            if before is not None and after is not None:
                _change(connection, before, after, at)

        self._database.write(step)

    def change(
        self, logic_id: int, verb: Callable[[RecurringLogic], RecurringLogic], at: datetime
    ) -> RecurringLogic:
        """Pause, resume or cancel one; what waits to be started does not start when it is no longer active.

        Args:
            logic_id: Of the one.
            verb: Gives it as it is to be; what it raises changes nothing.
            at: Now.
        """

        def step(connection: Connection) -> RecurringLogic:
            before = _get(connection, logic_id)
            after = verb(before)
            _change(connection, before, after, at)
            return after

        return self._database.write(step)

    def claims(self, logic_id: int, since: datetime) -> Claims:
        """What was decided for one; taken times only from `since` on."""
        return self._database.read(lambda connection: _claims(connection, logic_id, since))

    def due(self, now: datetime) -> tuple[RecurringLogic, ...]:
        """Those for which `decide` may have something to say.

        A line or zone that is no longer understood counts as due, so that it is told.
        """
        waiting = self._database.read(
            lambda connection: set(
                connection.scalars(
                    select(_INVOCATION.recurring_logic_id).where(
                        _INVOCATION.state == "scheduled", _INVOCATION.recurring_logic_id.is_not(None)
                    )
                )
            )
        )
        return tuple(logic for logic in self.all() if logic.id in waiting or is_due(logic, now))

    def decide(
        self,
        logic_id: int,
        judge: Callable[[RecurringLogic, Claims], Decisions],
        draft: Callable[[RecurringLogic, Decision], Draft],
        *,
        runner_id: str,
        now: datetime,
    ) -> tuple[Decided, ...]:
        """Decide about one, and write down what was decided: all of it, or nothing, in one transaction.

        Whoever else decides about it at the same time, on this machine or another one, does so afterwards.

        Args:
            logic_id: Of the one.
            judge: Decides, given the logic and what was decided before; may be asked again.
            draft: What to write down of an occurrence that has no invocation yet.
            runner_id: Who carries out what starts.
            now: When that is.

        Raises:
            StoreError: It cannot be written; nothing starts.
        """
        written: dict[datetime, Draft] = {}
        decided: list[Decided] = []

        def step(connection: Connection) -> tuple[Decided, ...]:
            if decided and _stands(connection, decided[0], runner_id, written):
                return tuple(decided)  # all of it: the answer was lost, and not the transaction
            decided.clear()
            logic = _get(connection, logic_id)
            claims = _claims(connection, logic_id, floor(logic, now))
            decisions = judge(logic, claims)
            for each in decisions.decisions:
                if each.occurrence in claims.waiting:
                    number = _release(connection, logic_id, each, runner_id, now)
                else:
                    if each.occurrence not in written:
                        written[each.occurrence] = draft(logic, each)
                    values = _columns_of(logic, each, written[each.occurrence], runner_id, now)
                    number = connection.execute(_ADD, values).scalar_one()
                decided.append(Decided(invocation_id=number, decision=each))
            if decisions.logic != logic:
                _write(connection, decisions.logic)
            if decisions.cancel:
                _ask_to_stop(connection, decisions.cancel)
            return tuple(decided)

        result = self._database.write(step)
        reach("after-claim")
        return result

    def call_off(self, invocation_id: int, code: str, reason: str, at: datetime) -> bool:
        """Cancel what waits for its time; whether it still did."""
        return self._database.write(
            lambda connection: bool(_call_off(connection, _INVOCATION.id == invocation_id, code, reason, at))
        )


def _locked() -> Select[Any]:
    """Logics that nobody else decides about until the transaction ends; SQLite locks the whole file."""
    return select(recurring_logic).with_for_update()


def _find(connection: Connection, condition: ColumnElement[bool]) -> RecurringLogic | None:
    row = connection.execute(_locked().where(condition)).mappings().one_or_none()
    return None if row is None else logic_of(dict(row))


def _get(connection: Connection, logic_id: int) -> RecurringLogic:
    return logic_of(dict(connection.execute(_locked().where(_LOGIC.id == logic_id)).mappings().one()))


def _columns(logic: RecurringLogic) -> dict[str, object]:
    return {name: getattr(logic, name) for name in _COLUMNS}


def _write(connection: Connection, logic: RecurringLogic) -> None:
    connection.execute(_KEEP, _columns(logic) | {"this": logic.id})


def _change(connection: Connection, before: RecurringLogic, after: RecurringLogic, at: datetime) -> None:
    """What waits to be started does not start when its logic is no longer active."""
    if after == before:
        return
    _write(connection, after)
    if after.state != "active":
        why = f"its recurring logic is {after.state}" + (f": {after.reason}" if after.reason else "")
        _call_off(connection, _INVOCATION.recurring_logic_id == after.id, after.state, why, at)


def _claims(connection: Connection, logic_id: int, since: datetime) -> Claims:
    open_or_new = or_(_INVOCATION.occurrence > since, _INVOCATION.state != "stopped")
    columns = (_INVOCATION.id, _INVOCATION.occurrence, _INVOCATION.state)
    rows = connection.execute(
        select(*columns)
        .where(_INVOCATION.recurring_logic_id == logic_id, open_or_new)
        .order_by(_INVOCATION.id)
    ).all()
    return Claims(
        taken=frozenset(occurrence for _, occurrence, _ in rows),
        active=tuple(number for number, _, state in rows if state in ("planned", "running")),
        waiting=tuple(occurrence for _, occurrence, state in rows if state == "scheduled"),
    )


def _columns_of(
    logic: RecurringLogic, decision: Decision, draft: Draft, runner_id: str, now: datetime
) -> dict[str, object]:
    """An occurrence as columns, as it is when its decision was carried out."""
    record = replace(draft.record, code=decision.code, reason=decision.reason, begun=False)
    starts = decision.action == "start"
    if starts:
        record = replace(record, state="planned", start_at=now)
    elif decision.action == "wait":
        record = replace(record, state="scheduled", start_at=decision.occurrence + logic.delay)
    else:
        due_at = decision.occurrence + logic.delay
        record = replace(record, state="stopped", cancelled=True, start_at=due_at, ended_at=now)
    return columns_of(record) | {
        "launch": launch_columns(draft.launch, record),
        "idempotent": draft.idempotent,
        "created_at": now,
        "recurring_logic_id": logic.id,
        "occurrence": decision.occurrence,
        "runner_id": runner_id if starts else None,
        "exit_code": decision.exit_code,
    }


def _release(connection: Connection, logic_id: int, decision: Decision, runner_id: str, now: datetime) -> int:
    """Start what waited, or call it off."""
    waiting = (_INVOCATION.recurring_logic_id == logic_id) & (_INVOCATION.occurrence == decision.occurrence)
    number = connection.execute(select(_INVOCATION.id).where(waiting)).scalar_one()
    if decision.action == "start":
        values = {"state": "planned", "status_label": "running", "runner_id": runner_id, "start_at": now}
        said = {"code": decision.code, "reason": decision.reason}
        connection.execute(update(job_invocation).where(_INVOCATION.id == number).values(**values, **said))
    else:
        _call_off(connection, _INVOCATION.id == number, decision.code, decision.reason, now)
    return int(number)


def _call_off(
    connection: Connection, which: ColumnElement[bool], code: str, reason: str, at: datetime
) -> int:
    """Cancel what has not started, and the hosts it was fixed to; how many invocations that were."""
    said = {"state": "stopped", "code": code, "reason": reason}
    waiting = select(_INVOCATION.id).where(which, _INVOCATION.state == "scheduled").with_for_update()
    numbers = connection.execute(waiting).scalars().all()
    hosts = update(template_invocation).where(template_invocation.c.job_invocation_id.in_(numbers))
    connection.execute(hosts.values(**said, status=str(Status.CANCELLED)))
    these = update(job_invocation).where(_INVOCATION.id.in_(numbers))
    connection.execute(these.values(**said, status_label="cancelled", ended_at=at))
    return len(numbers)


def _ask_to_stop(connection: Connection, invocation_ids: Sequence[int]) -> None:
    asked = update(job_invocation).where(
        _INVOCATION.id.in_(invocation_ids), _INVOCATION.cancel_requested == ""
    )
    connection.execute(asked.values(cancel_requested="cancel"))


def _stands(connection: Connection, decided: Decided, runner_id: str, written: dict[datetime, Draft]) -> bool:
    """Whether a decision of an earlier attempt is in the store after all."""
    own = written.get(decided.decision.occurrence)
    mark = _INVOCATION.task_id == own.record.task_id if own else _INVOCATION.runner_id == runner_id
    return (
        connection.scalar(select(_INVOCATION.id).where(_INVOCATION.id == decided.invocation_id, mark))
        is not None
    )
