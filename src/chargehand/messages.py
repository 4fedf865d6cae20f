"""Messages: what became of runs, sent to whoever their job names."""

from collections.abc import Callable, Sequence
from importlib import import_module

from chargehand.compose import read_wishes
from chargehand.job import Job
from chargehand.report.invocation import InvocationRecord
from chargehand.repository import Repository


def send_messages(
    job: Job,
    records: Sequence[InvocationRecord],
    repository: Repository,
    *,
    status_before: Callable[[InvocationRecord], str | None],
) -> tuple[str, ...]:
    """Send the messages that a job wants; a line for each that could not be sent.

    Args:
        job: As its file has it; it may be one that cannot be composed any more.
        records: Of an invocation that ended, or of some that were due and did not take place.
        repository: Where names and secrets are looked up.
        status_before: How the run before ended.
    """
    wishes = read_wishes(job, repository.settings)
    over = [record for record in records if record.state == "stopped"]
    if not wishes or not over:
        return ()
    notifier = import_module("chargehand.notify.notifier")
    troubles: tuple[str, ...]
    if len(over) > 1 or not over[0].begun:
        troubles = notifier.send_not_run(over, wishes, look_up=repository.look_up)
    else:
        troubles = notifier.send(over[0], status_before(over[0]), wishes, look_up=repository.look_up)
    return troubles
