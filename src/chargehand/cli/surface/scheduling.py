"""``tick`` and ``serve``: what starts jobs when they are due."""

import click

from chargehand.cli import requests
from chargehand.cli.command import Command

TICK = Command(
    "tick",
    request=requests.TickRequest,
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
    request=requests.ServeRequest,
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
    ],
    help="""Start jobs when they are due, for ever.

SIGTERM and Ctrl-C end it: nothing new starts, running hosts may finish for --grace and are stopped then;
hosts that had not started are left to the next `serve`, `tick` or `resume`. A second signal leaves at once.
SIGHUP reads chargehand.toml again. Several may serve one store: every run starts once.

\b
Examples:
  chargehand serve
  chargehand serve --grace 300
  chargehand init --systemd                  the unit that keeps it running
""",
)
