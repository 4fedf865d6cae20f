"""Options that several commands share; letters are Ansible's where the meaning is."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completed_by(completer: str) -> Completer:
    """A completer, ``module:function`` below `chargehand.cli`, imported when the shell asks."""
    module, _, function = completer.partition(":")

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        found: list[str] = getattr(import_module(f"chargehand.cli.{module}"), function)(ctx, incomplete)
        return found

    return complete


def files(*, required: bool) -> click.Argument:
    """FILE…: job files."""
    return click.Argument(
        ["files"],
        nargs=-1,
        required=required,
        metavar="FILE...",
        shell_complete=completed_by("completers:job_files"),
    )


def inventory() -> list[click.Parameter]:
    """``-i``, and the passwords of what is encrypted in it."""
    return [
        click.Option(
            ["-i", "--inventory"],
            multiple=True,
            metavar="PATH",
            help="Inventory file, folder, program, or 'a,b,' list; later ones win. Default: the project's.",
        ),
        click.Option(
            ["-J", "--ask-vault-pass", "--ask-vault-password", "ask_vault_pass"],
            is_flag=True,
            help="Ask for an Ansible vault password.",
        ),
        click.Option(
            ["--vault-password-file", "--vault-pass-file", "vault_password_files"],
            multiple=True,
            metavar="FILE",
            help="A file that holds an Ansible vault password; only its owner may read it.",
        ),
    ]


def run_programs() -> click.Option:
    """``--run-programs``."""
    return click.Option(
        ["--run-programs"],
        is_flag=True,
        help="Run executable inventories; otherwise this command runs nothing that the files name.",
    )


def selection() -> list[click.Parameter]:
    """``-l``, ``--exclude`` and ``-e``."""
    return [limit(), exclude(), inputs()]


def limit() -> click.Option:
    """``-l``."""
    return click.Option(
        ["-l", "--limit"],
        metavar="HOSTS",
        help="Of the job's hosts, only these: a search query or an Ansible host pattern.",
        shell_complete=completed_by("completers:hosts_and_groups"),
    )


def exclude() -> click.Option:
    """``--exclude``."""
    return click.Option(
        ["--exclude"],
        metavar="HOSTS",
        help="Of the job's hosts, not these.",
        shell_complete=completed_by("completers:hosts_and_groups"),
    )


def inputs() -> click.Option:
    """``-e``."""
    return click.Option(
        ["-e", "--input", "inputs"],
        multiple=True,
        metavar="INPUT=VALUE",
        help="Value of a template input, as text; or @FILE, a YAML or JSON mapping. Beats the job file.",
    )


def launch() -> list[click.Parameter]:
    """How hosts are reached, and how a run is told of."""
    return [
        click.Option(
            ["--lab"],
            type=click.IntRange(min=1),
            metavar="N",
            help="Instead of the inventory, N embedded SSH hosts (web1.., db1..) that run for real as you.",
        ),
        click.Option(
            ["-f", "--forks", "--concurrency", "forks"],
            type=click.IntRange(min=1),
            metavar="N",
            help="At most N hosts at once. Beats the job's concurrency_level.",
        ),
        click.Option(["-u", "--user"], metavar="USER", help="SSH user. Beats the job, host and settings."),
        click.Option(["-k", "--ask-pass"], is_flag=True, help="Ask for the SSH password."),
        click.Option(
            ["-K", "--ask-become-pass"], is_flag=True, help="Ask for the effective user's (sudo) password."
        ),
        click.Option(
            ["--private-key", "--key-file", "private_key"],
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="SSH private key.",
        ),
        click.Option(["-b", "--become"], is_flag=True, help="Run as root: --become-user root."),
        click.Option(
            ["--become-user", "--effective-user", "become_user"],
            metavar="USER",
            help="Effective user. Beats the job; refused where the template is not overridable.",
        ),
        output("text", "json", "ndjson", "junit"),
        click.Option(["-v", "--verbose"], is_flag=True, help="Tell every line as hosts print it, on stderr."),
        click.Option(["--list-hosts"], is_flag=True, help="Print the hosts, in order, and stop."),
    ]


def output(*formats: str) -> click.Option:
    """``-o``."""
    return click.Option(
        ["-o", "--output"],
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="What stdout gets.",
    )
