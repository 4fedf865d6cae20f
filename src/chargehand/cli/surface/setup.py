"""``init``, ``lab``, ``doctor``, ``completion``: what a project and a machine need."""

from pathlib import Path

import click

from chargehand.cli import options
from chargehand.cli.command import Command

INIT = Command(
    "init",
    request="setup:InitRequest",
    answer="init:init",
    params=[
        click.Argument(
            ["folder"], default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
        ),
        click.Option(
            ["--systemd", "service"],
            flag_value="systemd",
            help="Write nothing: print a systemd unit that keeps `serve` running for the project.",
        ),
        click.Option(
            ["--cron", "service"],
            flag_value="cron",
            help="Write nothing: print a crontab line that calls `tick` every minute.",
        ),
    ],
    help="""Write a small working project into DIR (here by default); never overwrites a file.

\b
Examples:
  chargehand init fleet && cd fleet && chargehand run playbooks/hello.yml --lab 5
  chargehand init --systemd > chargehand.service
  (crontab -l; chargehand init --cron) | crontab -
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
            request="setup:LabUpRequest",
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
            request="setup:LabRequest",
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
            request="setup:LabRequest",
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
    request="setup:DoctorRequest",
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
    request="setup:CompletionRequest",
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
