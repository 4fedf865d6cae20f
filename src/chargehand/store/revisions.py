"""Revisions: which commit of a tracked repository is in force, and what became of newer ones."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from chargehand.frozen import frozen
from chargehand.past.columns import told
from chargehand.provenance import Trigger
from chargehand.store.engine import Connection, Database
from chargehand.store.rows import NEW_REVISION
from chargehand.store.statements import inserting, updating


@frozen
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


_COLUMNS: Final = ", ".join(f'"{field.name}"' for field in fields(Revision))
_SELECT: Final = f"SELECT {_COLUMNS} FROM revision"  # noqa: S608 - names of ours


class Revisions:
    """The tracked repositories. Every step is one transaction, and can be done again without harm."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Revision:
        """What is known of a repository; nothing, of one that was never tracked."""
        return self._database.read(lambda connection: _find(connection, name)) or Revision(name=name)

    def all(self) -> tuple[Revision, ...]:
        """Every repository that was ever tracked, in the order of their first times."""
        statement = f"{_SELECT} ORDER BY id"
        return self._database.read(
            lambda connection: tuple(Revision(**told(row)) for row in connection.rows(statement))
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
            same = '"commit" IS NULL' if before is None else '"commit" = :before'
            if _write(connection, name, values, f"name = :this AND {same}"):
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
            _write(connection, name, values)
            known = found and (found.code, found.reason, found.tried_commit)
            return known != (code, reason, commit or (found and found.tried_commit))

        return self._database.write(step)

    def see(self, name: str, commit: str, at: datetime) -> None:
        """Write down that a commit was seen and all is well."""
        self._update(name, _seen(commit, at))

    def settle(self, name: str, commit: str) -> None:
        """Write down that all which the push of a commit starts is written down."""
        statement = 'UPDATE revision SET settled = TRUE WHERE name = :this AND "commit" = :commit'
        values = {"this": name, "commit": commit}
        self._database.write(lambda connection: connection.change(statement, values))

    def _update(self, name: str, values: dict[str, Any]) -> None:
        def step(connection: Connection) -> None:
            _make(connection, name)
            _write(connection, name, values)

        self._database.write(step)


def _find(connection: Connection, name: str) -> Revision | None:
    rows = connection.rows(f"{_SELECT} WHERE name = :name", {"name": name})
    return Revision(**told(rows[0])) if rows else None


def _make(connection: Connection, name: str) -> None:
    """Have a row of that name; another program may make it in this instant."""
    if _find(connection, name) is None:
        row = {**NEW_REVISION, "name": name}
        connection.add(inserting("revision", row), row)


def _write(
    connection: Connection, name: str, values: Mapping[str, object], where: str = "name = :this"
) -> int:
    return connection.change(updating("revision", values, where), {**values, "this": name})


def _seen(commit: str, at: datetime) -> dict[str, object]:
    return {"tried_commit": commit, "tried_at": at, "reached_at": at, "code": "", "reason": ""}
