"""Recurring logics in the store: what they are, what was decided for them, and one place that decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Final

from chargehand.errors import StoreError
from chargehand.failpoint import reach
from chargehand.frozen import frozen
from chargehand.past.columns import told
from chargehand.past.logics import KnownLogics, logic_of
from chargehand.past.lookup import listed
from chargehand.provenance import Launch
from chargehand.recurring.decision import Claims, Decision, Decisions, floor, is_due
from chargehand.recurring.logic import RecurringLogic
from chargehand.report.invocation import InvocationRecord
from chargehand.result import Status
from chargehand.store.engine import Connection, Database
from chargehand.store.rows import NEW_INVOCATION, columns_of, launch_columns
from chargehand.store.statements import LOCKED, inserting, updating

_COLUMNS: Final = tuple(field.name for field in fields(RecurringLogic) if field.name != "id")

_KEEP: Final = updating("recurring_logic", _COLUMNS, "id = :this")
_OWN: Final = "recurring_logic_id = :logic"


@frozen
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


@frozen
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
        super().__init__(database)
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
            before = _find(connection, "key", key)
            after = change(before)
            if before is None and after is not None:
                added = connection.add(inserting("recurring_logic", _COLUMNS), _columns(after))
                if added is None:  # another program added it in this instant
                    before = _find(connection, "key", key)
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
        statement = (
            "SELECT recurring_logic_id FROM job_invocation "
            "WHERE state = 'scheduled' AND recurring_logic_id IS NOT NULL"
        )
        found = self._database.read(lambda connection: connection.rows(statement))
        waiting = {row["recurring_logic_id"] for row in found}
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
                    number = _add(connection, values)
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
        this = {"this": invocation_id}
        return self._database.write(
            lambda connection: bool(_call_off(connection, "id = :this", this, (code, reason), at))
        )


def _find(connection: Connection, name: str, value: object) -> RecurringLogic | None:
    """A logic that nobody else decides about until the transaction ends."""
    statement = f'SELECT * FROM recurring_logic WHERE "{name}" = :this{LOCKED[connection.dialect]}'  # noqa: S608
    rows = connection.rows(statement, {"this": value})
    return logic_of(told(rows[0])) if rows else None


def _get(connection: Connection, logic_id: int) -> RecurringLogic:
    found = _find(connection, "id", logic_id)
    if found is None:
        raise StoreError(f"there is no recurring logic {logic_id}")
    return found


def _add(connection: Connection, columns: Mapping[str, object]) -> int:
    number = connection.add(inserting("job_invocation", columns), columns)
    if number is None:
        raise StoreError(f"the occurrence {columns['occurrence']} has an invocation already")
    return number


def _columns(logic: RecurringLogic) -> dict[str, object]:
    return {name: getattr(logic, name) for name in _COLUMNS}


def _write(connection: Connection, logic: RecurringLogic) -> None:
    connection.change(_KEEP, _columns(logic) | {"this": logic.id})


def _change(connection: Connection, before: RecurringLogic, after: RecurringLogic, at: datetime) -> None:
    """What waits to be started does not start when its logic is no longer active."""
    if after == before:
        return
    _write(connection, after)
    if after.state != "active":
        why = f"its recurring logic is {after.state}" + (f": {after.reason}" if after.reason else "")
        _call_off(connection, _OWN, {"logic": after.id}, (after.state, why), at)


def _claims(connection: Connection, logic_id: int, since: datetime) -> Claims:
    found = connection.rows(
        f"SELECT id, occurrence, state FROM job_invocation WHERE {_OWN} "  # noqa: S608 - a condition of ours
        "AND (occurrence > :since OR state != 'stopped') ORDER BY id",
        {"logic": logic_id, "since": since},
    )
    rows = [told(row) for row in found]
    return Claims(
        taken=frozenset(row["occurrence"] for row in rows),
        active=tuple(row["id"] for row in rows if row["state"] in ("planned", "running")),
        waiting=tuple(row["occurrence"] for row in rows if row["state"] == "scheduled"),
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
    return (
        NEW_INVOCATION
        | columns_of(record)
        | {
            "launch": launch_columns(draft.launch, record),
            "idempotent": draft.idempotent,
            "created_at": now,
            "recurring_logic_id": logic.id,
            "occurrence": decision.occurrence,
            "runner_id": runner_id if starts else None,
            "exit_code": decision.exit_code,
        }
    )


def _release(connection: Connection, logic_id: int, decision: Decision, runner_id: str, now: datetime) -> int:
    """Start what waited, or call it off."""
    waiting = f"SELECT id FROM job_invocation WHERE {_OWN} AND occurrence = :at"  # noqa: S608 - a condition of ours
    (row,) = connection.rows(waiting, {"logic": logic_id, "at": decision.occurrence})
    number: int = row["id"]
    if decision.action == "start":
        values = {"state": "planned", "status_label": "running", "runner_id": runner_id, "start_at": now}
        values |= {"code": decision.code, "reason": decision.reason}
        connection.change(updating("job_invocation", values, "id = :this"), {**values, "this": number})
    else:
        _call_off(connection, "id = :this", {"this": number}, (decision.code, decision.reason), now)
    return number


def _call_off(
    connection: Connection, which: str, values: Mapping[str, object], why: tuple[str, str], at: datetime
) -> int:
    """Cancel what has not started, and the hosts it was fixed to; how many invocations that were."""
    said: dict[str, object] = {"state": "stopped", "code": why[0], "reason": why[1]}
    waiting = f"SELECT id FROM job_invocation WHERE {which} AND state = 'scheduled'"  # noqa: S608 - of ours
    numbers = [row["id"] for row in connection.rows(waiting + LOCKED[connection.dialect], values)]
    hosts = said | {"status": str(Status.CANCELLED)}
    these = said | {"status_label": "cancelled", "ended_at": at}
    own = f"job_invocation_id IN ({listed(numbers)})"
    connection.change(updating("template_invocation", hosts, own), hosts)
    connection.change(updating("job_invocation", these, f"id IN ({listed(numbers)})"), these)
    return len(numbers)


def _ask_to_stop(connection: Connection, invocation_ids: Sequence[int]) -> None:
    asked = {"cancel_requested": "cancel"}
    unasked = f"id IN ({listed(invocation_ids)}) AND cancel_requested = ''"
    connection.change(updating("job_invocation", asked, unasked), asked)


def _stands(connection: Connection, decided: Decided, runner_id: str, written: dict[datetime, Draft]) -> bool:
    """Whether a decision of an earlier attempt is in the store after all."""
    own = written.get(decided.decision.occurrence)
    mark, value = ("task_id", own.record.task_id) if own else ("runner_id", runner_id)
    statement = f"SELECT id FROM job_invocation WHERE id = :this AND {mark} = :mark"  # noqa: S608 - of ours
    return bool(connection.rows(statement, {"this": decided.invocation_id, "mark": value}))
