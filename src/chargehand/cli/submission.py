"""Submission: a job whose `scheduling` says later is written down, to be started by `serve` or `tick`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from chargehand.cli.requests.running import RunRequest
from chargehand.credentials import settings_references
from chargehand.errors import Problem, SecretError, StoreError, UsageError
from chargehand.host import Host
from chargehand.identity import key_of
from chargehand.invocation import JobInvocation
from chargehand.project import Project
from chargehand.provenance import Launch
from chargehand.reconcile import appoint
from chargehand.reference import SecretReference
from chargehand.report.invocation import InvocationRecord


def check_submission(
    project: Project, invocation: JobInvocation, launch: Launch, request: RunRequest
) -> None:
    """Refuse what cannot be kept until the job starts.

    Raises:
        UsageError: The command line says something that would be forgotten by then.
        SecretError: Somebody would have to be asked then.
    """
    label = invocation.job.label
    if request.lab is not None:
        raise UsageError(f"`{label}` starts later, and the lab is gone by then; --now starts it at once")
    given = [name for name in launch.left_out if name.startswith("-")]
    if given:
        said = ", ".join(given)
        raise UsageError(
            f"`{label}` starts later, and secrets of the command line are not kept: give {said} as a "
            "secret reference in the job, or start it at once with --now"
        )
    if _is_narrowed(request) and invocation.targeting.targeting_type != "static_query":
        raise UsageError(
            f"`{label}` looks its hosts up when it starts: -l and --exclude go with a static_query, or --now"
        )
    asked = [name for name, reference in _references(project, invocation) if reference.kind == "prompt"]
    if asked:
        message = f"`{asked[0]}` is asked for, and nobody is there to answer when the job starts"
        hint = "refer to it by {env: NAME}, {file: PATH} or {command: [...]}; or start it at once with --now"
        raise SecretError(Problem(message, invocation.job.place(), hint, "secret"))


def submit(
    project: Project, invocation: JobInvocation, hosts: Sequence[Host], launch: Launch, request: RunRequest
) -> tuple[InvocationRecord, str]:
    """Write a job down, and tell what became of it.

    Raises:
        UsageError: It was written down before, and cannot be written down like this.
        StoreError: It cannot be written.
    """
    static = invocation.targeting.targeting_type == "static_query"
    playbook = _playbook(project, invocation)
    number = appoint(
        project,
        project.store,
        invocation,
        [(host.name, host.id) for host in hosts] if static else None,
        launch=launch,
        playbook=playbook,
        now=project.now(),
    )
    known = number or _known(project, invocation, playbook)
    record = project.store.history.find(known, with_output=False).record
    start_at = f"{record.start_at:%Y-%m-%d %H:%M:%S} UTC"
    if number is not None:
        return record, f"invocation {known} is scheduled: `{record.description}` starts at {start_at}"
    if record.state == "stopped":
        raise UsageError(
            f"`{invocation.job.label}` at {start_at} was invocation {known}, which is over; "
            "change `start_at`, or start it at once with --now"
        )
    if _is_narrowed(request) or request.inputs or request.user or request.forks:
        raise UsageError(
            f"`{invocation.job.label}` is scheduled already, as invocation {known}, without these options; "
            "change `start_at`, or start it at once with --now"
        )
    return record, f"invocation {known} is scheduled already: `{record.description}` starts at {start_at}"


def _is_narrowed(request: RunRequest) -> bool:
    return request.limit is not None or request.exclude is not None


def _references(project: Project, invocation: JobInvocation) -> Iterator[tuple[str, SecretReference]]:
    """Every secret reference that a run looks up, by name."""
    secrets, settings = invocation.secrets, settings_references(project.settings)
    for name in ("password", "key_passphrase", "effective_user_password"):
        reference = getattr(secrets, name) or settings.get(name)
        if reference:
            yield name, reference
    yield from secrets.inputs.items()


def _playbook(project: Project, invocation: JobInvocation) -> str | None:
    """The job file, relative to the project; None of one that `serve` does not look at."""
    file = Path(invocation.job.document.file).resolve()
    own = {path.resolve(): path for path in project.job_files}
    return own[file].relative_to(project.root).as_posix() if file in own else None


def _known(project: Project, invocation: JobInvocation, playbook: str | None) -> int:
    key = key_of(playbook or "", invocation)
    found = [each.id for each in project.store.logics.appointments() if each.schedule_key == key]
    if not found:
        raise StoreError(f"`{invocation.job.label}` could not be written down; try again")
    return found[0]
