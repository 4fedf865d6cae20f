"""``chargehand sync``: take the newest commit of the tracked branch over, now."""

from collections.abc import Callable

from chargehand.cli import screen
from chargehand.cli.requests.following import SyncRequest
from chargehand.errors import ChargehandError, InvalidError, Place
from chargehand.notify.message import Message
from chargehand.notify.notifier import send_message
from chargehand.notify.wish import Wish, read_recipient
from chargehand.project import Project
from chargehand.reconcile import reconcile
from chargehand.scheduler import wording
from chargehand.tracking import Synced, sync


def answer(request: SyncRequest) -> int:
    """Sync, and take what recurs over; starts nothing itself."""
    project = Project.load(".")
    try:
        remote = project.settings.git
        if remote is not None and remote.suspended:
            screen.note(f"{remote.name} is suspended: nothing is taken over")
            return 0
        synced = sync(project, run_first=request.run_first)
        code = tell(project, synced, screen.say, again=True)
        if synced.revision.commit is not None:
            here = project.in_force()
            found = reconcile(here, here.store, here.now())
            for line in wording.reconciled(found):
                screen.say(line)
            for file, problems in found.troubles.items():
                screen.note(f"{file} is not taken over: {problems[0]}")
                code = code or InvalidError.exit_code
        return code
    finally:
        project.close()


def tell(project: Project, synced: Synced, say: Callable[[str], None], *, again: bool = False) -> int:
    """Tell what a sync came to, and whoever is to know of a commit that is refused; the exit code.

    Args:
        project: Of which.
        synced: What it came to.
        say: Told what is new, a line each.
        again: Whether a refusal is told that was told before.
    """
    revision, refusal = synced.revision, synced.refusal
    for note in synced.notes:
        screen.note(note)
    if synced.taken:
        signed = f", signed by {revision.signer}" if revision.signer else ""
        say(f"commit {str(revision.commit)[:12]} of {revision.name} is in force{signed}")
    for number in synced.started:
        say(f"invocation {number} is to start by this push")
    if refusal is None:
        return 0
    kept = f"; {revision.commit[:12]} stays in force" if revision.commit else "; nothing is in force"
    if synced.news or again:
        _tell_refusal(refusal, kept, revision.tried_commit)
    if synced.news:
        _send(project, synced, kept)
    return refusal.exit_code


def _tell_refusal(refusal: ChargehandError, kept: str, commit: str | None) -> None:
    if isinstance(refusal, InvalidError):
        for problem in refusal.problems:
            screen.note_problem(problem)
        screen.note(f"commit {str(commit)[:12]} is refused: {screen.tally(refusal.problems)}{kept}")
    else:
        screen.note(f"chargehand: {refusal}{kept}")


def _send(project: Project, synced: Synced, kept: str) -> None:
    """Send the message that the settings want about a commit that is refused."""
    settings, revision = project.settings, synced.revision
    if settings.git is None or revision.code == "unreachable":
        return
    place, plain = Place(settings.file), settings.plain_secrets == "allow"
    try:
        recipients = [
            read_recipient(name, place, settings.notify, settings.file, plain_allowed=plain)
            for name in settings.git.notify
        ]
    except InvalidError as error:
        screen.note(f"no message was sent: {wording.first_line(error)}")
        return
    message = Message(
        title=f"refused: commit {str(revision.tried_commit)[:12]}",
        body=f"{revision.name}\n{revision.reason[:2000]}{kept}\nchargehand status",
    )
    wishes = [Wish(to=to, name=name) for to, name in recipients]
    for trouble in send_message(message, wishes, look_up=project.look_up):
        screen.note(trouble)
