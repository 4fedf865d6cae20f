"""``validate``, ``plan`` and ``render``: what would run, and whether it could."""

import click

from chargehand.cli import options, requests
from chargehand.cli.command import Command

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
