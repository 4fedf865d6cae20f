"""``chargehand run`` and ``chargehand exec``."""

import getpass
import json
import shlex
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from typing import NamedTuple

from chargehand.cli import screen
from chargehand.cli.command import find
from chargehand.cli.opening import open_project
from chargehand.cli.overrides import ask, ask_access, override
from chargehand.cli.requests.launching import FirstLaunchRequest, LaunchRequest
from chargehand.cli.requests.running import ExecRequest, RunRequest
from chargehand.cli.telling import Rerun, Telling
from chargehand.compose import Overrides
from chargehand.document import parse
from chargehand.errors import UsageError
from chargehand.host import Host
from chargehand.inventory.address import user_fault
from chargehand.invocation import JobInvocation
from chargehand.job import read_jobs
from chargehand.launch import launch_of
from chargehand.plan import Access, Selection
from chargehand.project import Project
from chargehand.provenance import Launch
from chargehand.runner import Stage
from chargehand.secret import MASKED

_COMMAND_LINE = "<command line>"
_WHO_LOGS_IN = ""  # as `Access.effective_user` has it


class _Word(NamedTuple):
    """What the command line says about a job, and about reaching its hosts."""

    overrides: Overrides
    access: Access


def run(request: RunRequest) -> int:
    """Run the jobs of some files, in order, until one fails."""
    with _project(request) as project:
        overrides = override(request.inputs, user=request.user, forks=request.forks, now=request.now)
        invocations = project.compose_files(request.files, overrides)
        selection = Selection(limit=request.limit, exclude=request.exclude)
        if request.check:
            plans = [project.plan(each, selection=selection) for each in invocations]
            find("planned:show_plans")(project, plans, "text")
            return 0
        return _run(project, invocations, selection, _Word(overrides, access_asked(request, None)), request)


def run_command(request: ExecRequest) -> int:
    """Run one command on hosts."""
    with _project(request) as project:
        overrides = override((), user=request.user, forks=request.forks)
        invocation = _compose_command(project, request, overrides)
        selection = Selection(limit=request.query, exclude=request.exclude)
        return _run(
            project, [invocation], selection, _Word(overrides, access_asked(request, _WHO_LOGS_IN)), request
        )


def _run(
    project: Project,
    invocations: Sequence[JobInvocation],
    selection: Selection,
    word: _Word,
    request: RunRequest | ExecRequest,
) -> int:
    """Run jobs in order; the exit code of the first that failed.

    All of them are prepared before the first is run: one that cannot run stops those before it as well.
    """
    chosen = [(each, project.choose_hosts(each, selection)) for each in invocations]
    if request.list_hosts:
        for host in (host for _, hosts in chosen for host in hosts):
            screen.say(host.name)
        return 0
    hidden = {name for each in invocations for name in each.secrets.inputs}
    telling = Telling(request, _rerun(request, hidden))
    telling.warn(project.catalogue.warnings)
    if not project.records:
        screen.note('nothing is recorded: the setting `store` is "off"')
    turns = [_prepare(project, each, hosts, word, request, telling) for each, hosts in chosen]
    code = 0
    with Stage() as stage:
        for number, turn in enumerate(turns, 1):
            if number == len(turns):
                stage.begin_last()
            ended = turn(stage)
            code = code or ended
            job = invocations[number - 1].job
            if telling.interrupted or (ended and not job.flag("continue_on_failure")):
                if number < len(turns):
                    left = screen.count(len(turns) - number, "job")
                    screen.note(f"{left} after `{job.label}` not started")
                break
    return telling.close(code)


def _prepare(
    project: Project,
    invocation: JobInvocation,
    hosts: Sequence[Host],
    word: _Word,
    request: RunRequest | ExecRequest,
    telling: Telling,
) -> Callable[[Stage], int]:
    """See to all that may keep a job from running; what is left to do, which gives its exit code."""
    check_effective_user(invocation, word.access)
    launch = launch_of(
        invocation,
        overrides=word.overrides,
        access=word.access,
        inventory=project.given_sources,
        root=project.root,
    )
    telling.warn(invocation.warnings)
    if isinstance(request, RunRequest) and invocation.starts_later(project.now()):
        find("submission:check_submission")(project, invocation, launch, request)
        return lambda _: _submit(project, invocation, hosts, launch, request, telling)
    plan = project.prepare(invocation, hosts, access=word.access, prompt=ask)
    telling.warn(plan.warnings)
    if invocation.recurrence is not None:
        line = invocation.recurrence.cron_line.text
        screen.note(f"`{invocation.job.label}` recurs (`{line}`); this runs it once, now")
    return lambda stage: telling.run(project, plan, launch, stage=stage)


def _submit(
    project: Project,
    invocation: JobInvocation,
    hosts: Sequence[Host],
    launch: Launch,
    request: RunRequest,
    telling: Telling,
) -> int:
    """Write a job down that starts later."""
    telling.put_off(*find("submission:submit")(project, invocation, hosts, launch, request))
    screen.note(
        "`chargehand serve`, or cron with `chargehand tick`, starts it (see `chargehand init --help`)"
    )
    return 0


def check_effective_user(invocation: JobInvocation, access: Access) -> None:
    """Refuse to override an effective user that the template keeps to itself."""
    fault = user_fault(access.effective_user) if access.effective_user else None
    if fault:
        raise UsageError(f"the effective user {fault.message}")
    own = invocation.template.effective_user
    if access.effective_user and not own.overridable and access.effective_user != own.value:
        raise UsageError(f"template `{invocation.template.name}` lets nobody override its effective user")


def _compose_command(project: Project, request: ExecRequest, overrides: Overrides) -> JobInvocation:
    """The job invocation of a command: an input of a template, so that no ``{{`` in it means anything."""
    line = request.command[0] if len(request.command) == 1 else shlex.join(request.command)
    body: dict[str, object] = {"targeting_type": "static_query", "search_query": "*"}
    if request.timeout is not None:
        body["execution_timeout_interval"] = request.timeout
    job = {
        "name": line[:60],
        "job_invocation": body | {"inputs": {"command": line}, "job_template_id": "Run Command"},
    }
    (read,) = read_jobs(parse(json.dumps(job), _COMMAND_LINE))
    return project.compose(read, overrides)


@contextmanager
def _project(request: FirstLaunchRequest) -> Iterator[Project]:
    """The project, with the hosts of a lab of its own when one is asked for."""
    if request.lab is None:
        with closing(open_project(request)) as project:
            yield project
        return
    if request.inventory:
        raise UsageError("--lab and -i cannot both be given: the lab is the inventory")
    labs = import_module("chargehand.lab")
    with (
        tempfile.TemporaryDirectory(prefix="chargehand-lab-") as folder,
        labs.Lab(folder, labs.fleet(request.lab)) as lab,
    ):
        hosts, user = screen.count(request.lab, "embedded SSH host"), getpass.getuser()
        screen.note(
            f"lab: {hosts} on 127.0.0.1 instead of the inventory; scripts run on this machine as {user}"
        )
        with closing(Project.load(".", inventory=(str(lab.inventory),))) as project:
            yield project


def access_asked(request: LaunchRequest, effective_user: str | None) -> Access:
    """How hosts are reached, as options say."""
    if request.become and request.become_user not in (None, "root"):
        raise UsageError("-b means --become-user root; give one of them")
    user = "root" if request.become else request.become_user
    return ask_access(
        ssh=request.ask_pass,
        become=request.ask_become_pass,
        private_key=request.private_key,
        effective_user=effective_user if user is None else user,
    )


def _rerun(request: RunRequest | ExecRequest, hidden: Collection[str]) -> Rerun:
    """The command line without the values of hidden inputs."""
    words = [word for source in request.inventory for word in ("-i", source)]
    pairs = (
        ("--lab", request.lab),
        ("-f", request.forks),
        ("-u", request.user),
        ("--private-key", request.private_key),
        ("--become-user", "root" if request.become else request.become_user),
    )
    words += [word for letter, value in pairs if value is not None for word in (letter, str(value))]
    words += [*(["-k"] if request.ask_pass else []), *(["-K"] if request.ask_become_pass else [])]
    if isinstance(request, ExecRequest):
        words += [] if request.timeout is None else ["--timeout", str(request.timeout)]
        return Rerun(["chargehand", "exec", *words], ["--", *request.command], request.lab is not None)
    for value in request.inputs:
        name = value.partition("=")[0]
        words += ["-e", f"{name}={MASKED}" if name in hidden else value]
    words += ["--now"] if request.now else []
    return Rerun(["chargehand", "run", *request.files, *words, "-l"], in_lab=request.lab is not None)
