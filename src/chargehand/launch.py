"""Launch: what is kept of a launch, so that the same can be launched again; never a secret."""

import json
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from chargehand.compose import Overrides
from chargehand.document import Vaulted
from chargehand.git.head import Head, read_head
from chargehand.invocation import JobInvocation
from chargehand.job import Job
from chargehand.plan import Access
from chargehand.provenance import Launch, Provenance, Trigger

_SECRETS: Final = (
    ("job_invocation", "password"),
    ("job_invocation", "key_passphrase"),
    ("job_invocation", "ssh", "effective_user_password"),
)
_INPUTS: Final = ("job_invocation", "inputs")


def launch_of(
    invocation: JobInvocation,
    *,
    overrides: Overrides,
    access: Access,
    inventory: Sequence[str] = (),
    root: Path,
) -> Launch:
    """What is kept of a launch.

    A secret is kept as the reference to it. One that is written out, or encrypted, is left out: `left_out`
    names it as a command line gives it (``-e token``, ``-k``, ``-K``), or by where the job holds it
    (``job_invocation.password``). ``notify`` is left out too, since its addresses may hold tokens; nobody
    has to give that again.

    Args:
        invocation: As it was composed.
        overrides: It was composed with these.
        access: What the command line said about reaching hosts.
        inventory: Sources in place of the project's, relative to the current folder.
        root: The project; sources in it are kept relative to it.
    """
    hidden = invocation.secrets.inputs
    job, left_out = _without_secrets(invocation.job, hidden)
    given = {
        **{f"-e {name}": name in hidden for name in overrides.inputs},
        "-k": access.password is not None,
        "-K": access.effective_user_password is not None,
    }
    return Launch(
        job=json.dumps(job, ensure_ascii=False, allow_nan=False),
        inputs={name: value for name, value in overrides.inputs.items() if name not in hidden},
        left_out=(*left_out, *(name for name, is_left_out in given.items() if is_left_out)),
        ssh_user=overrides.ssh_user,
        concurrency_level=overrides.concurrency_level,
        effective_user=access.effective_user,
        private_key_file=access.private_key_file,
        inventory=tuple(_kept(source, root.resolve()) for source in inventory),
    )


def provenance_of(
    job: Job,
    root: Path,
    *,
    head: Head | None = None,
    trigger: Trigger = "hand",
    rerun_of: int | None = None,
) -> Provenance:
    """Where a launch comes from, as far as this process and git know.

    Args:
        job: What is launched.
        root: The project.
        head: Of files that were taken over from git; None asks git.
        trigger: What launched it.
        rerun_of: The invocation it repeats.
    """
    path = Path(job.document.file)
    return replace(
        provenance_here(root, trigger, head=head),
        playbook=_kept(str(path), root.resolve()) if path.is_file() else None,
        job_number=int(job.root[0]) if job.root else 0,
        job_name=job.text("name") or "",
        rerun_of=rerun_of,
    )


def provenance_here(root: Path, trigger: Trigger, *, head: Head | None = None) -> Provenance:
    """What is the same for every job of a project: who, and from which commit; git is asked, without one."""
    head = head or read_head(root)
    return Provenance(
        user=_login_name(),
        trigger=trigger,
        commit=head.commit if head else None,
        dirty=head.dirty if head else None,
        signer=head.signer if head else None,
    )


def sources_of(launch: Launch, root: Path) -> tuple[str, ...]:
    """The inventory sources of a launch, for a project at `root`."""
    return tuple(
        source if "," in source and not (root / source).exists() else str(root.resolve() / source)
        for source in launch.inventory
    )


def _without_secrets(job: Job, hidden: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """The job as plain data, and the paths of what it lacks."""
    left_out: list[str] = []
    secrets = {*_SECRETS, *((*_INPUTS, name) for name in hidden)}

    def plain(value: object, path: tuple[str | int, ...]) -> object:
        if isinstance(value, Mapping):
            return mapping(value, path)
        if isinstance(value, list):
            return [plain(each, (*path, number)) for number, each in enumerate(value)]
        if path[:-1] == _INPUTS and value is not None:
            return job.written(*path)
        return value

    def mapping(values: Mapping[str, object], path: tuple[str | int, ...]) -> dict[str, object]:
        return {
            key: plain(value, (*path, key)) for key, value in values.items() if is_kept(value, (*path, key))
        }

    def is_kept(value: object, path: tuple[str | int, ...]) -> bool:
        if path == ("notify",):
            return False
        written_out = path in secrets and not isinstance(value, Mapping)
        if value is not None and (written_out or isinstance(value, Vaulted)):
            left_out.append(".".join(map(str, path)))
            return False
        return True

    return mapping(job.mapping(), ()), left_out


def _login_name() -> str:
    """Who runs this process; the number of a user whom nobody named."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _kept(source: str, root: Path) -> str:
    """A source as it is found from any folder: relative to the project if it lies there."""
    path = Path(source).expanduser()
    if "," in source and not path.exists():
        return source
    path = Path(os.path.normpath(path.absolute()))
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
