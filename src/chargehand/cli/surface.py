"""The surface: every command, its parameters and its help. Light on purpose; see `command`."""

from pathlib import Path

import click

from chargehand.cli import options, requests
from chargehand.cli.command import Command

RUN = Command(
    "run",
    request=requests.RunRequest,
    answer="run:run",
    params=[
        options.files(required=True),
        *options.inventory(),
        *options.selection(),
        *options.launch(),
        click.Option(
            ["-C", "--check", "--dry-run", "check"],
            is_flag=True,
            help="Connect to nobody: show what would run (as `plan`).",
        ),
        click.Option(["--now"], is_flag=True, help="Start at once a job whose `scheduling` says later."),
    ],
    help="""Run job files on their hosts.

Jobs run in order and the first that fails ends the run, unless it says continue_on_failure.
All scripts are rendered before the first connection.

\b
Examples:
  chargehand run playbooks/patch.yml
  chargehand run playbooks/patch.yml -l 'os = Debian' -f 20
  chargehand run playbooks/service.yml -e action=restart -e service=nginx
  chargehand run playbooks/hello.yml --lab 5       no fleet at hand
  chargehand run playbooks/patch.yml -o json > result.json

Ctrl-C stops the hosts and waits for them; a second one leaves those that do not let go.
""",
)

EXEC = Command(
    "exec",
    request=requests.ExecRequest,
    answer="run:run_command",
    params=[
        click.Argument(["query"], shell_complete=options.completed_by("hosts_and_groups")),
        click.Argument(["command"], nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND..."),
        *options.inventory(),
        options.exclude(),
        *options.launch(),
        click.Option(
            ["--timeout"],
            type=click.IntRange(min=1),
            metavar="SECONDS",
            help="How long it may run, per host.",
        ),
    ],
    help="""Run one command on hosts, without a file.

QUERY is a search query or an Ansible host pattern. One COMMAND word is a line for /bin/sh; several are
one program and its arguments, passed on exactly as they are. It runs as the SSH user; -b runs it as root.

\b
Examples:
  chargehand exec web -- uptime
  chargehand exec 'hostgroup = web and os = Debian' -- 'df -h / | tail -1'
  chargehand exec '*' -b -K -- systemctl restart nginx
""",
)

VALIDATE = Command(
    "validate",
    request=requests.ValidateRequest,
    answer="validate:validate",
    params=[
        options.files(required=False),
        *options.inventory(),
        options.run_programs(),
        click.Option(
            ["--every-host"],
            is_flag=True,
            help="Render all hosts however long it takes; otherwise as many as 5 seconds allow.",
        ),
        click.Option(
            ["--format"],
            type=click.Choice(["text", "json", "github", "sarif", "junit"]),
            default="text",
            show_default=True,
            help="How problems are reported.",
        ),
    ],
    help="""Check job files offline; by default all of playbooks/.

Reads everything a run would read and renders the hosts of every job; connects to nobody. Nothing that the
files name is carried out. After some seconds of rendering it stops and says which hosts are left.

\b
Examples:
  chargehand validate
  chargehand validate playbooks/patch.yml
  chargehand validate --format github          annotations in a pull request
  chargehand validate --format junit > report.xml
""",
)

PLAN = Command(
    "plan",
    request=requests.PlanRequest,
    answer="plan:plan",
    params=[
        options.files(required=True),
        *options.inventory(),
        options.run_programs(),
        *options.selection(),
        options.output("text", "json"),
    ],
    help="""Show what a run would do, and connect to nobody.

The hosts in order, their scripts, the settings that count and, for a recurrence, the next runs.

\b
Examples:
  chargehand plan playbooks/patch.yml
  chargehand plan playbooks/patch.yml -l web1 -o json
""",
)

RENDER = Command(
    "render",
    request=requests.RenderRequest,
    answer="plan:render",
    params=[
        click.Argument(["file"], metavar="FILE", shell_complete=options.completed_by("job_files")),
        *options.inventory(),
        options.run_programs(),
        *options.selection(),
        options.output("text", "json"),
    ],
    help="""Print the very bytes that would run on a host.

\b
Examples:
  chargehand render playbooks/patch.yml -l web1
  chargehand render playbooks/patch.yml -l web1 | shellcheck -
  chargehand render playbooks/patch.yml -o json          every host
""",
)

HOSTS = Command(
    "hosts",
    request=requests.HostsRequest,
    answer="hosts:hosts",
    params=[
        click.Argument(
            ["words"],
            nargs=-1,
            metavar="[QUERY | explain HOST VAR]",
            shell_complete=options.completed_by("hosts_and_groups"),
        ),
        *options.inventory(),
        options.output("text", "json"),
    ],
    help="""List the hosts of the inventory, one name a line.

QUERY is a search query or an Ansible host pattern. `explain HOST VAR` tells where a variable's value
comes from and what it beat.

\b
Examples:
  chargehand hosts
  chargehand hosts 'hostgroup = web and facts.kernel = Linux'
  chargehand hosts web -o json
  chargehand hosts explain web1 ansible_user
""",
)


def _list(name: str, help: str) -> Command:
    return Command(
        name,
        request=requests.ListRequest,
        answer=f"catalogue:{name}",
        params=[options.output("text", "json")],
        help=help,
    )


TEMPLATES = Command(
    "templates",
    request=requests.TemplatesRequest,
    answer="catalogue:templates",
    params=[
        click.Argument(
            ["name"], required=False, metavar="[NAME]", shell_complete=options.completed_by("templates")
        ),
        options.output("text", "json"),
    ],
    help="""List the job templates, the project's and the shipped ones; or tell everything of one.

A star marks an input that must be given.

\b
Examples:
  chargehand templates
  chargehand templates 'Package Action'
""",
)
FEATURES = _list(
    "features",
    """List the features and the template that serves each.

\b
Example:
  chargehand features
""",
)
BOOKMARKS = _list(
    "bookmarks",
    """List the saved searches of inventory/bookmarks.yml.

\b
Example:
  chargehand bookmarks -o json
""",
)

SCHEMA = Command(
    "schema",
    request=requests.SchemaRequest,
    answer="schema:schema",
    params=[
        click.Argument(["action"], required=False, type=click.Choice(["build"]), metavar="[build]"),
        click.Option(["--check"], is_flag=True, help="With build: write nothing, fail when out of date."),
    ],
    help="""Print the JSON Schema of a job file; `build` derives it anew.

`build` makes schemas/job.schema.json and docs/parameters.md from schemas/params.yml.

\b
Examples:
  chargehand schema > job.schema.json
  chargehand schema build
  chargehand schema build --check
""",
)

INIT = Command(
    "init",
    request=requests.InitRequest,
    answer="init:init",
    params=[
        click.Argument(
            ["folder"], default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
        )
    ],
    help="""Write a small working project into DIR (here by default); never overwrites a file.

\b
Example:
  chargehand init fleet && cd fleet && chargehand run playbooks/hello.yml --lab 5
""",
)

LAB = click.Group(
    "lab",
    help="""Embedded SSH hosts on this machine, to try jobs on.

They listen on 127.0.0.1 only and really run what they are asked, as you. Needs chargehand[lab].

\b
Example:
  chargehand lab up 5
  chargehand run playbooks/hello.yml -i .chargehand/lab/inventory.json
  chargehand lab down
""",
    commands=[
        Command(
            "up",
            request=requests.LabUpRequest,
            answer="lab:up",
            params=[
                click.Argument(["hosts"], default="5", metavar="[N|all]"),
                *options.inventory(),
                click.Option(["--foreground"], is_flag=True, help="Stay, until Ctrl-C."),
            ],
            help="""Start N embedded hosts (5), or one for every host of the inventory.

`all` takes names, ids, groups and variables over, but no connection variable: nothing in the lab leads
to a real host.

\b
Examples:
  chargehand lab up 20
  chargehand lab up all -i production/
""",
        ),
        Command(
            "down",
            request=requests.LabRequest,
            answer="lab:down",
            params=[],
            help="""End the lab and everything that runs in it.

\b
Example:
  chargehand lab down
""",
        ),
        Command(
            "status",
            request=requests.LabRequest,
            answer="lab:show",
            params=[],
            help="""Say whether a lab runs, and where its inventory is; exit code 1 when none runs.

\b
Example:
  chargehand lab status
""",
        ),
    ],
)

DOCTOR = Command(
    "doctor",
    request=requests.DoctorRequest,
    answer="doctor:doctor",
    params=[*options.inventory(), options.output("text", "json")],
    help="""Check this machine and this project, and say what to do about what is missing.

Connects to nobody. Exit code 1 when something fails.

\b
Example:
  chargehand doctor
""",
)

COMPLETION = Command(
    "completion",
    request=requests.CompletionRequest,
    answer="completion:completion",
    params=[click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"]))],
    help="""Print the completion script of a shell.

\b
Examples:
  chargehand completion bash > ~/.local/share/bash-completion/completions/chargehand
  chargehand completion zsh > ~/.zfunc/_chargehand
  chargehand completion fish > ~/.config/fish/completions/chargehand.fish
""",
)

COMMANDS: tuple[click.Command, ...] = (
    RUN,
    EXEC,
    VALIDATE,
    PLAN,
    RENDER,
    HOSTS,
    TEMPLATES,
    FEATURES,
    BOOKMARKS,
    SCHEMA,
    INIT,
    LAB,
    DOCTOR,
    COMPLETION,
)
