"""Revisions: which commit of a tracked repository is in force, and what became of newer ones."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from chargehand.provenance import Trigger
from chargehand.store.engine import Database
from chargehand.store.tables import revision

_REVISION: Final = revision.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What is known of a tracked repository.

    Attributes:
        name: Of the repository.
        commit: That is in force; None before the first.
        signer: Who signed it, where signatures are asked for.
        before: The commit that was in force before it.
        taken_at: When it was taken over.
        settled: Whether all that its push starts is written down.
        trigger: What had it looked for.
        tried_commit: The newest that was seen.
        tried_at: When.
        code: Why the last look took nothing over: ``invalid``, ``policy``, ``unreachable``; else empty.
        reason: The same in one line for people.
        reached_at: When the repository answered last.
    """

    name: str
    commit: str | None = None
    signer: str | None = None
    before: str | None = None
    taken_at: datetime | None = None
    settled: bool = True
    trigger: Trigger = "push"
    tried_commit: str | None = None
    tried_at: datetime | None = None
    code: str = ""
    reason: str = ""
    reached_at: datetime | None = None

    @property
    def synced(self) -> bool:
        """Whether the newest commit that was seen is in force."""
        return self.commit is not None and self.commit == self.tried_commit


_COLUMNS: Final = tuple(field.name for field in fields(Revision))


class Revisions:
    """The tracked repositories. Every step is one transaction, and can be done again without harm."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Revision:
        """What is known of a repository; nothing, of one that was never tracked."""
        return self._database.read(lambda connection: _find(connection, name)) or Revision(name=name)

    def all(self) -> tuple[Revision, ...]:
        """Every repository that was ever tracked, in the order of their first times."""
        rows = select(*(_REVISION[name] for name in _COLUMNS)).order_by(_REVISION.id)
        return self._database.read(
            lambda connection: tuple(Revision(**row) for row in connection.execute(rows).mappings())
        )

    def take(
        self,
        name: str,
        commit: str,
        *,
        before: str | None,
        signer: str | None,
        trigger: Trigger,
        settled: bool,
        at: datetime,
    ) -> bool:
        """Put a commit into force; whether it is, which it is not when somebody else was quicker.

        Args:
            name: Of the repository.
            commit: The one.
            before: That must be in force until now.
            signer: Who signed it.
            trigger: What had it looked for.
            settled: Whether its push starts nothing.
            at: Now.
        """
        values = {
            "commit": commit,
            "before": before,
            "signer": signer,
            "taken_at": at,
            "settled": settled,
            "trigger": trigger,
            **_seen(commit, at),
        }

        def step(connection: Connection) -> bool:
            _make(connection, name)
            same = (_REVISION.name == name) & _REVISION.commit.is_not_distinct_from(before)
            if connection.execute(update(revision).where(same).values(values)).rowcount:
                return True
            found = _find(connection, name)
            return found is not None and (found.commit, found.before) == (commit, before)

        return self._database.write(step)

    def refuse(self, name: str, commit: str | None, *, code: str, reason: str, at: datetime) -> bool:
        """Write down that a look took nothing over; whether that is told for the first time.

        Args:
            name: Of the repository.
            commit: The one that is refused; None when the repository did not answer.
            code: Short name of why.
            reason: The same in one line.
            at: Now.
        """
        said = {"code": code, "reason": reason}
        values: dict[str, object] = {**said, "tried_at": at}
        if commit is not None:
            values |= {"tried_commit": commit, "reached_at": at}

        def step(connection: Connection) -> bool:
            _make(connection, name)
            found = _find(connection, name)
            connection.execute(update(revision).where(_REVISION.name == name).values(values))
            known = found and (found.code, found.reason, found.tried_commit)
            return known != (code, reason, commit or (found and found.tried_commit))

        return self._database.write(step)

    def see(self, name: str, commit: str, at: datetime) -> None:
        """Write down that a commit was seen and all is well."""
        self._update(name, _seen(commit, at))

    def settle(self, name: str, commit: str) -> None:
        """Write down that all which the push of a commit starts is written down."""
        this = (_REVISION.name == name) & (_REVISION.commit == commit)
        self._database.write(
            lambda connection: connection.execute(update(revision).where(this).values(settled=True))
        )

    def _update(self, name: str, values: dict[str, Any]) -> None:
        def step(connection: Connection) -> None:
            _make(connection, name)
            connection.execute(update(revision).where(_REVISION.name == name).values(values))

        self._database.write(step)


def _find(connection: Connection, name: str) -> Revision | None:
    row = (
        connection.execute(select(*(_REVISION[each] for each in _COLUMNS)).where(_REVISION.name == name))
        .mappings()
        .first()
    )
    return None if row is None else Revision(**row)


def _make(connection: Connection, name: str) -> None:
    """Have a row of that name."""
    if _find(connection, name) is not None:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(revision).values(name=name, settled=True, trigger="push"))
    except IntegrityError:  # another program made it in this instant
        return


def _seen(commit: str, at: datetime) -> dict[str, object]:
    return {"tried_commit": commit, "tried_at": at, "reached_at": at, "code": "", "reason": ""}
