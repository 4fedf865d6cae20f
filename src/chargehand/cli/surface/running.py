"""``run`` and ``exec``: the commands that run scripts on hosts."""

import click

from chargehand.cli import options
from chargehand.cli.command import Command

RUN = Command(
    "run",
    request="running:RunRequest",
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
    request="running:ExecRequest",
    answer="run:run_command",
    params=[
        click.Argument(["query"], shell_complete=options.completed_by("completers:hosts_and_groups")),
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
