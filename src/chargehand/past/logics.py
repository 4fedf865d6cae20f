"""Recurring logics, and what else waits for its time, read."""

from chargehand.errors import UsageError, did_you_mean
from chargehand.frozen import frozen
from chargehand.past.columns import told
from chargehand.past.reading import Row, Source
from chargehand.recurring.logic import RecurringLogic


@frozen
class Appointment:
    """A job invocation that waits for the time that its `scheduling` says, or waited for it.

    Attributes:
        id: Of the invocation.
        schedule_key: What makes it the same one: its job and its time.
        playbook: The job file, relative to the project.
        state: ``scheduled`` as long as it waits.
    """

    id: int
    schedule_key: str
    playbook: str
    state: str


class KnownLogics:
    """The recurring logics. Safe from many threads and programs."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def all(self) -> tuple[RecurringLogic, ...]:
        """Every one, oldest first, those that are over too."""
        statement = "SELECT * FROM recurring_logic ORDER BY id"
        return self._source.read(lambda reader: tuple(logic_of(told(row)) for row in reader.rows(statement)))

    def find(self, which: str) -> RecurringLogic:
        """The one that is called so: by its id, its key, its purpose or the name of its job.

        Raises:
            UsageError: None is called so, or several are; names the nearest.
        """
        known = self.all()
        for name in ("id", "key", "purpose", "job_name"):
            found = [logic for logic in known if str(getattr(logic, name) or "") == which]
            if len(found) == 1:
                return found[0]
            if found:
                keys = "`, `".join(logic.key for logic in found)
                raise UsageError(f"several recurring logics are called `{which}`: name one of `{keys}`")
        called = {name for logic in known for name in (logic.key, logic.purpose, logic.job_name) if name}
        hint = did_you_mean(which, called) or "`chargehand schedule list` shows them"
        raise UsageError(f"there is no recurring logic `{which}`; {hint}")

    def appointments(self) -> tuple[Appointment, ...]:
        """Every invocation of a job with a time of its own, oldest first."""
        statement = (
            "SELECT id, schedule_key, playbook, state FROM job_invocation "
            "WHERE schedule_key IS NOT NULL ORDER BY id"
        )
        return self._source.read(lambda reader: tuple(Appointment(**row) for row in reader.rows(statement)))


def logic_of(row: Row) -> RecurringLogic:
    """A recurring logic."""
    hosts = row["hosts"]
    fixed = None if hosts is None else tuple((name, number) for name, number in hosts)
    return RecurringLogic(**{**row, "hosts": fixed})
