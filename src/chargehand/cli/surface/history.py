"""``list``, ``show``, ``output``, ``diff``, ``cancel``, ``rerun``, ``prune``: what was and what is."""

import re

import click

from chargehand.cli import options
from chargehand.cli.command import Command
from chargehand.expression import expression

_FROM_THE_NEWEST = expression(r"-[1-9]\d{0,8}", re.ASCII)


_OF_RESUME = frozenset(("ask_pass", "ask_become_pass", "private_key", "output", "verbose"))


class OfInvocation(Command):
    """A command that takes the id of an invocation, where ``-1`` is the newest and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write ``-1`` as ``last``, ``-2`` as ``last-1``, and go on as any command."""
        return super().parse_args(ctx, [_as_word(word) for word in args])


def invocation_id(name: str = "id", metavar: str = "ID") -> click.Argument:
    """ID: of an invocation."""
    return click.Argument(
        [name], metavar=metavar, shell_complete=options.completed_by("recalled:invocations")
    )


LIST = Command(
    "list",
    request="history:HistoryRequest",
    answer="history:list_invocations",
    params=[
        click.Argument(["words"], nargs=-1, metavar="[QUERY]"),
        click.Option(
            ["-n", "--limit", "limit"],
            type=click.IntRange(min=1),
            default=20,
            show_default=True,
            metavar="N",
            help="At most so many.",
        ),
        click.Option(["--all", "every"], is_flag=True, help="All that there are."),
        click.Option(["--oldest-first"], is_flag=True, help="In the order in which they came."),
        options.output("text", "json", "ndjson"),
    ],
    help="""List job invocations, the newest first.

QUERY is in the search language, over: id, status (queued running pending succeeded failed cancelled), host,
host_status, description, job, playbook, template, job_category, user, trigger, commit, code, exit_code,
start_at, started_at, ended_at, recurring, recurring_logic.id, recurring_logic.purpose, rerun_of.

\b
Examples:
  chargehand list
  chargehand list 'status = failed and started_at > "2 days ago"'
  chargehand list 'host = web01 and playbook ~ patch' -n 5
  chargehand list 'host_status.unreachable = web01' -o json
""",
)

SHOW = OfInvocation(
    "show",
    request="history:ShowRequest",
    answer="history:show",
    params=[
        invocation_id(),
        click.Option(
            ["--hosts"],
            metavar="HOSTS",
            help="Only these hosts: a search query over name, id, status, exit_status, code, stdout, ...",
        ),
        options.output("text", "json"),
    ],
    help="""Show one job invocation: what it was, who started it, and how every host ended.

ID is a number, or `last`, or -1, -2, ... counted from the newest.

\b
Examples:
  chargehand show last
  chargehand show 4711 --hosts 'status = failed'
  chargehand show 4711 -o json
""",
)

OUTPUT = OfInvocation(
    "output",
    request="history:OutputRequest",
    answer="output:output",
    params=[
        invocation_id(),
        click.Argument(
            ["host"],
            required=False,
            metavar="[HOST]",
            shell_complete=options.completed_by("recalled:invocation_hosts"),
        ),
        click.Option(
            ["--follow"], is_flag=True, help="Go on until it ends, and end with the exit code of the run."
        ),
        click.Option(["--stdout"], is_flag=True, help="Only what went to stdout."),
        click.Option(["--stderr"], is_flag=True, help="Only what went to stderr."),
        click.Option(["--timestamps"], is_flag=True, help="Tell when each line was heard, in UTC."),
        click.Option(
            ["--raw"], is_flag=True, help="The bytes as they came; not to a terminal, not with several hosts."
        ),
    ],
    help="""Print what scripts printed: of one host as it is, of all with the host before every line.

\b
Examples:
  chargehand output last
  chargehand output 4711 web01
  chargehand output last --follow
  chargehand output 4711 web01 --stdout --raw > report.bin
""",
)

DIFF = OfInvocation(
    "diff",
    request="history:DiffRequest",
    answer="diff:diff",
    params=[
        invocation_id("before", "ID"),
        invocation_id("after", "ID"),
        click.Option(["--host"], metavar="HOST", help="Compare this host's output, whole."),
        click.Option(
            ["--detailed-exitcode"], is_flag=True, help="End with exit code 10 when anything differs."
        ),
        options.output("text", "json"),
    ],
    help="""Tell what differs between two job invocations.

What ran, where from and with which settings; hosts that only one had; hosts that ended otherwise; outputs.

\b
Examples:
  chargehand diff -2 -1
  chargehand diff 4711 4712 --host web01
""",
)

CANCEL = OfInvocation(
    "cancel",
    request="history:CancelRequest",
    answer="cancel:cancel",
    params=[
        invocation_id(),
        click.Option(
            ["--force"], is_flag=True, help="Leave hosts that do not stop; their outcome is unknown."
        ),
        click.Option(
            ["-l", "--limit"],
            metavar="HOSTS",
            help="Only these hosts of the run: a search query over name, id, status, ..., or a pattern.",
        ),
        click.Option(["--no-wait"], is_flag=True, help="Ask for it, and do not wait until it is so."),
    ],
    help="""Cancel a job invocation, from any terminal.

Hosts that wait are not started any more; scripts that run are told to stop, and waited for.

\b
Examples:
  chargehand cancel last
  chargehand cancel 4711 -l 'name ~ web'
  chargehand cancel 4711 --force
""",
)

RERUN = OfInvocation(
    "rerun",
    request="again:RerunRequest",
    answer="rerun:rerun",
    params=[
        invocation_id(),
        click.Option(["--failed"], is_flag=True, help="Only hosts whose script failed or ran out of time."),
        click.Option(
            ["--unreached"],
            is_flag=True,
            help="Only hosts that were unreachable, not started, cancelled, skipped, or unknown.",
        ),
        click.Option(["--succeeded"], is_flag=True, help="Only hosts that succeeded."),
        click.Option(
            ["--recorded"],
            is_flag=True,
            help="With the files of the commit that it ran from, not those of now.",
        ),
        click.Option(
            ["--skip-missing"],
            is_flag=True,
            help="Leave out hosts that the inventory does not have any more.",
        ),
        *options.inventory(),
        options.inputs(),
        *(each for each in options.launch() if each.name != "lab"),
        click.Option(
            ["-C", "--check", "--dry-run", "check"],
            is_flag=True,
            help="Connect to nobody: show what would run.",
        ),
    ],
    help="""Run a job invocation again, on exactly its hosts or on a part of them.

The hosts are those of the record, in the order of that run; no query is looked up again. Job, templates,
inventory and settings are those of now, or with --recorded of that commit. Options of that time hold unless
given anew; passwords and hidden inputs are never kept, and must be. Starts at once, whatever the schedule.

\b
Examples:
  chargehand rerun last --failed
  chargehand rerun 4711 --failed --unreached -f 5
  chargehand rerun 4711 --recorded
  chargehand rerun 4711 --failed --list-hosts
""",
)

RESUME = OfInvocation(
    "resume",
    request="again:ResumeRequest",
    answer="resume:resume",
    params=[
        invocation_id(),
        click.Option(
            ["--recorded"],
            is_flag=True,
            help="With the files of the commit that it ran from, not those of now.",
        ),
        click.Option(
            ["--changed"], is_flag=True, help="Run scripts that never started though they have changed since."
        ),
        *options.inventory(),
        options.inputs(),
        *(each for each in options.launch() if each.name in _OF_RESUME),
    ],
    help="""Finish a job invocation whose runner died, or ask again about hosts whose end is unknown.

Every host that may have been sent its script is asked what became of it; scripts that never started run now,
the others are never started again (unless the job is idempotent). Passwords and hidden inputs are never kept,
and must be given again. Ends like `run`.

\b
Examples:
  chargehand resume last
  chargehand resume 4711 -K
  chargehand resume 4711 --recorded -o json
""",
)

PRUNE = Command(
    "prune",
    request="history:PruneRequest",
    answer="prune:prune",
    params=[
        click.Option(["--keep"], type=click.IntRange(min=0), metavar="N", help="Keep the newest N."),
        click.Option(
            ["--older-than"], metavar="AGE", help="Only those that ended so long ago: 90d, 12h, 1w."
        ),
        click.Option(["--max-size"], metavar="SIZE", help="As many as it takes to get down to: 500MB, 2GB."),
        click.Option(["--dry-run"], is_flag=True, help="Say what would go, and remove nothing."),
    ],
    help="""Remove old job invocations, and what their hosts printed, from the history.

What has not ended stays, whatever is asked.

\b
Examples:
  chargehand prune --older-than 90d
  chargehand prune --keep 1000 --dry-run
  chargehand prune --max-size 2GB
""",
)


def _as_word(word: str) -> str:
    if not _FROM_THE_NEWEST.fullmatch(word):
        return word
    return "last" if word == "-1" else f"last-{int(word[1:]) - 1}"
