"""``hosts``, ``templates``, ``features``, ``bookmarks``, ``schema``: what there is."""

import click

from chargehand.cli import options
from chargehand.cli.command import Command

HOSTS = Command(
    "hosts",
    request="looking:HostsRequest",
    answer="hosts:hosts",
    params=[
        click.Argument(
            ["words"],
            nargs=-1,
            metavar="[QUERY | explain HOST VAR]",
            shell_complete=options.completed_by("completers:hosts_and_groups"),
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
        request="looking:ListRequest",
        answer=f"catalogue:{name}",
        params=[options.output("text", "json")],
        help=help,
    )


TEMPLATES = Command(
    "templates",
    request="looking:TemplatesRequest",
    answer="catalogue:templates",
    params=[
        click.Argument(
            ["name"],
            required=False,
            metavar="[NAME]",
            shell_complete=options.completed_by("completers:templates"),
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
    request="looking:SchemaRequest",
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
