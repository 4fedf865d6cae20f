"""The commands around a tracked repository."""

import click

from chargehand.cli import options
from chargehand.cli.command import Command

SYNC = Command(
    "sync",
    request="following:SyncRequest",
    answer="sync:answer",
    params=[
        click.Option(
            ["--run-first"],
            is_flag=True,
            help="Let the first commit that is ever taken over start the jobs that pushes start.",
        ),
    ],
    help="""Take the newest commit of the tracked branch over, now.

The repository is that of [git] in chargehand.toml. A commit that may not be taken over, or of which any file
is refused, changes nothing: the last good one stays in force. Starts nothing itself: `tick` or `serve` start
what is due and what a push starts. Ends with 3 when files are refused, with 12 when the policy refuses the
commit, with 6 when the repository does not answer.

\b
Examples:
  chargehand sync
  chargehand sync && chargehand tick          from a CI job, or from cron
""",
)

STATUS = Command(
    "status",
    request="following:StatusRequest",
    answer="status:answer",
    params=[
        options.output("text", "json"),
        click.Option(
            ["--detailed-exitcode"],
            is_flag=True,
            help="End with 10 when it is not in sync, or a job is degraded.",
        ),
    ],
    help="""Show whether the tracked branch is in force, and how its jobs do.

A commit is synced when it is the newest that was seen, out of sync when a newer one is refused, and unknown
when the repository does not answer. A job is healthy, degraded when its last run failed or its file is
refused, or suspended when it is paused. Asks nobody: it tells what the last look found.

\b
Examples:
  chargehand status
  chargehand status -o json
  chargehand status --detailed-exitcode || echo 'out of sync, or a job is degraded'
""",
)
