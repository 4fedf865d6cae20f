"""Messages: what became of runs, sent to whoever their job names."""

from collections.abc import Sequence

from chargehand.compose import read_wishes
from chargehand.errors import StoreError
from chargehand.job import Job
from chargehand.notify import send, send_not_run
from chargehand.report.invocation import InvocationRecord
from chargehand.repository import Repository


def send_messages(job: Job, records: Sequence[InvocationRecord], repository: Repository) -> tuple[str, ...]:
    """Send the messages that a job wants; a line for each that could not be sent.

    Args:
        job: As its file has it; it may be one that cannot be composed any more.
        records: Of an invocation that ended, or of some that were due and did not take place.
        repository: Where names and secrets are looked up, and what came of the run before.
    """
    wishes = read_wishes(job, repository.settings)
    over = [record for record in records if record.state == "stopped"]
    if not wishes or not over:
        return ()
    if len(over) > 1 or not over[0].begun:
        return send_not_run(over, wishes, look_up=repository.look_up)
    return send(over[0], _status_before(over[0], repository), wishes, look_up=repository.look_up)


def _status_before(record: InvocationRecord, repository: Repository) -> str | None:
    """How the run before ended; a store that cannot tell keeps no message back."""
    try:
        return repository.store.history.status_before(record) if repository.records else None
    except StoreError:
        return None
