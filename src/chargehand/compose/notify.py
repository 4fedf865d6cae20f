"""Who is told of the runs of a job."""

from chargehand.compose.findings import Findings
from chargehand.job import Job
from chargehand.notify.wish import OCCASIONS, USUAL, Wish, read_recipient
from chargehand.settings import Settings


def compose_wishes(findings: Findings, settings: Settings) -> tuple[Wish, ...]:
    """The wishes of a job's ``notify``; what the schema refused is passed over."""
    wishes = (_wish(findings, settings, number) for number in range(len(findings.job.items("notify"))))
    return tuple(wish for wish in wishes if wish is not None)


def read_wishes(job: Job, settings: Settings) -> tuple[Wish, ...]:
    """The wishes of a job as far as they are understood, whatever else is wrong with it."""
    return compose_wishes(Findings(job), settings)


def _wish(findings: Findings, settings: Settings, number: int) -> Wish | None:
    job, path = findings.job, ("notify", number)
    if not job.has(*path, "to"):
        return None
    recipient = findings.attempt(
        lambda: read_recipient(
            job.value(*path, "to"),
            job.place(*path, "to"),
            settings.notify,
            settings.file,
            plain_allowed=settings.plain_secrets == "allow",
        )
    )
    if recipient is None:
        return None
    to, name = recipient
    asked = job.items(*path, "when")
    when = frozenset(each for each in OCCASIONS if each in asked) or USUAL
    return Wish(to=to, name=name, when=when, output=bool(job.flag(*path, "output")))
