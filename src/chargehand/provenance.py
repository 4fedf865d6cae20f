"""Provenance: where a job invocation comes from, and what it takes to launch the same again."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from chargehand.frozen import frozen

Trigger = Literal["hand", "scheduling", "recurrence", "rerun", "push", "webhook"]
"""``hand`` is the command line; the others name the parameter or the event that started it."""


@frozen
class Provenance:
    """Where a job invocation comes from.

    Attributes:
        user: Login name of whoever launched it.
        trigger: What launched it.
        playbook: The job file, relative to the project; None when a command line stands for it.
        job_number: Which job of that file, from 0.
        job_name: What the job is called.
        commit: The commit that was checked out; None outside of git.
        dirty: Whether files differed from that commit; None outside of git.
        signer: Who signed that commit, where signatures are asked for.
        rerun_of: The invocation it repeats.
    """

    user: str
    trigger: Trigger = "hand"
    playbook: str | None = None
    job_number: int = 0
    job_name: str = ""
    commit: str | None = None
    dirty: bool | None = None
    signer: str | None = None
    rerun_of: int | None = None


@frozen
class Launch:
    """What it takes, beside the repository, to compose an invocation again; holds no secret.

    Attributes:
        job: The job as written, JSON text; secrets are references, and one written out is left out.
        inputs: Input values that the command line gave; hidden ones are left out.
        left_out: Names of what is left out, and must be given again: hidden inputs, plain secrets.
        ssh_user: As the command line gave it; None when it did not. So are the next three.
        concurrency_level: Hosts at once.
        effective_user: Who the scripts run as; an empty text means whoever logged in.
        private_key_file: A path.
        inventory: Sources given in place of the project's.
    """

    job: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    ssh_user: str | None = None
    concurrency_level: int | None = None
    effective_user: str | None = None
    private_key_file: str | None = None
    inventory: tuple[str, ...] = ()
