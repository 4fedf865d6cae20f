"""``tick``, ``serve`` and ``schedule``: what starts jobs when they are due, and what recurs."""

import click

from chargehand.cli import options
from chargehand.cli.command import Command

TICK = Command(
    "tick",
    request="scheduling:TickRequest",
    answer="serve:tick",
    params=[],
    help="""Start what is due, once, and wait for its end; for cron or a systemd timer.

Takes changed job files over, starts recurring and scheduled jobs whose time has come, and finishes what a
runner left that died. Safe beside `serve` and beside itself: every run starts once. Says nothing when
nothing is due. Ends with the exit code of the worst run, with 11 when all that was due was skipped because
the run before it still went on, and with 0 otherwise.

\b
Examples:
  chargehand tick
  chargehand init --cron                     the crontab line that calls it every minute
""",
)

SERVE = Command(
    "serve",
    request="scheduling:ServeRequest",
    answer="serve:serve",
    params=[
        click.Option(
            ["--interval"],
            type=click.FloatRange(min=0.05, max=300),
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="How soon changed files and what others left are seen; starts do not wait for it.",
        ),
        click.Option(
            ["--grace"],
            type=click.FloatRange(min=0),
            default=30.0,
            show_default=True,
            metavar="SECONDS",
            help="How long running hosts may finish when it is told to end; then they are stopped.",
        ),
        click.Option(
            ["--listen"],
            metavar="HOST:PORT",
            help="Hear webhooks of git hosts there, in place of the setting `listen` of [webhook].",
        ),
    ],
    help="""Start jobs when they are due, for ever.

SIGTERM and Ctrl-C end it: nothing new starts, running hosts may finish for --grace and are stopped then;
hosts that had not started are left to the next `serve`, `tick` or `resume`. A second signal leaves at once.
SIGHUP reads chargehand.toml again. Several may serve one store: every run starts once. With --listen it looks
for changes as soon as a git host tells of a push, and answers GET /health.

\b
Examples:
  chargehand serve
  chargehand serve --listen 127.0.0.1:8080
  chargehand serve --grace 300
  chargehand init --systemd                  the unit that keeps it running
""",
)


def _which() -> click.Argument:
    return click.Argument(
        ["which"], metavar="WHICH", shell_complete=options.completed_by("recalled:recurring_logics")
    )


SCHEDULE = click.Group(
    "schedule",
    help="""What recurs: when it ran, when it runs next; pause it, let it go on, cancel it.

Jobs with a `recurrence` in playbooks/ become recurring logics when `tick` or `serve` looks at them. WHICH is
an id, a purpose, the name of the job or a key.

\b
Examples:
  chargehand schedule list
  chargehand schedule next -n 20
  chargehand schedule pause 'weekly patching' --until 2027-01-07T08:00:00Z --reason 'change freeze'
""",
    commands=[
        Command(
            "list",
            request="scheduling:ScheduleListRequest",
            answer="schedule:list_logics",
            params=[options.output("text", "json")],
            help="""List what recurs: its state, its last and its next run, and what is wrong with it.

Starts nothing and reads no job file anew.

\b
Example:
  chargehand schedule list -o json
""",
        ),
        Command(
            "next",
            request="scheduling:ScheduleNextRequest",
            answer="schedule:show_next",
            params=[
                click.Option(
                    ["-n", "--number", "number"],
                    type=click.IntRange(min=1, max=10_000),
                    default=10,
                    show_default=True,
                    metavar="N",
                    help="So many.",
                ),
                options.output("text", "json"),
            ],
            help="""Show what starts next, of all jobs, in order.

Pauses, limits, jitter and calendars of when nothing starts are taken into account.

\b
Example:
  chargehand schedule next -n 3
""",
        ),
        Command(
            "pause",
            request="scheduling:PauseRequest",
            answer="steering:pause",
            params=[
                _which(),
                click.Option(
                    ["--until"], metavar="MOMENT", help="Go on by itself then: 2027-01-07T08:00:00+01:00."
                ),
                click.Option(["--reason"], metavar="TEXT", help="Why, for those who list it."),
            ],
            help="""Pause a recurring logic: what is due meanwhile does not run, now or later.

What runs goes on; what waited for its end does not start.

\b
Examples:
  chargehand schedule pause 3 --reason 'change freeze'
  chargehand schedule pause 'weekly patching' --until '2027-01-07 08:00Z'
""",
        ),
        Command(
            "resume",
            request="scheduling:RecurringLogicRequest",
            answer="steering:resume",
            params=[_which()],
            help="""Let a recurring logic go on that was paused or cancelled; it counts from now.

\b
Example:
  chargehand schedule resume 'weekly patching'
""",
        ),
        Command(
            "cancel",
            request="scheduling:RecurringLogicRequest",
            answer="steering:cancel",
            params=[_which()],
            help="""Cancel a recurring logic, whatever its file says, until `resume`.

What runs goes on: `chargehand cancel` ends that.

\b
Example:
  chargehand schedule cancel 3
""",
        ),
    ],
)
