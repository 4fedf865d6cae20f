"""``validate``, ``plan`` and ``render``: what would run, and whether it could."""

import click

from chargehand.cli import options
from chargehand.cli.command import Command

VALIDATE = Command(
    "validate",
    request="checking:ValidateRequest",
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
            type=click.Choice(["auto", "text", "json", "github", "sarif", "junit", "codequality"]),
            default="auto",
            show_default=True,
            help="How problems are reported; auto: annotations on GitHub, text elsewhere.",
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
  chargehand validate --format codequality > gl-code-quality-report.json
""",
)

PLAN = Command(
    "plan",
    request="checking:PlanRequest",
    answer="plan:plan",
    params=[
        options.files(required=False),
        *options.inventory(),
        options.run_programs(),
        *options.selection(),
        click.Option(
            ["--from", "before"],
            metavar="REV",
            help="Show what a change does: from this revision of git.  [default: HEAD, if --to is given]",
        ),
        click.Option(
            ["--to", "after"],
            metavar="REV",
            help="To this revision of git.  [default: the files as they are, if --from is given]",
        ),
        click.Option(
            ["--branch"],
            metavar="NAME",
            help="The branch that the change is pushed to.  [default: the one that is checked out]",
        ),
        click.Option(
            ["--detailed-exitcode"],
            is_flag=True,
            help="With --from or --to: end with 10 when anything changes, 3 when a revision is invalid.",
        ),
        options.output("text", "json", "markdown"),
    ],
    help="""Show what a run would do, or what a change would do, and connect to nobody.

The hosts in order, their scripts, the settings that count and, for a recurrence, the next runs. With --from
or --to, what differs between two revisions of git: jobs, hosts, scripts, next runs, what the push starts; by
default of all of playbooks/. Nothing is checked out, and nothing that the files name is carried out.

\b
Examples:
  chargehand plan playbooks/patch.yml
  chargehand plan playbooks/patch.yml -l web1 -o json
  chargehand plan --from HEAD                            what is not committed yet
  chargehand plan --from origin/main --to HEAD           what a pull request would do
  chargehand plan --from HEAD~1 --to HEAD -o markdown    a comment for it
""",
)

RENDER = Command(
    "render",
    request="checking:RenderRequest",
    answer="plan:render",
    params=[
        click.Argument(["file"], metavar="FILE", shell_complete=options.completed_by("completers:job_files")),
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
