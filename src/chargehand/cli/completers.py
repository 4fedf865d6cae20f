"""Completers: the cheap look-ups in a project that a shell asks for while people type."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from chargehand.cli.matching import matching
from chargehand.cli.remembered import remembered
from chargehand.errors import ChargehandError
from chargehand.layout import find_root
from chargehand.past.logics import KnownLogics
from chargehand.planner import Planner

_SUFFIXES = (".yml", ".yaml", ".json")


def job_files(_ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The project's job files as seen from here; any other file is the shell's to complete."""
    folder = find_root(Path()) / "playbooks"
    paths = (os.path.relpath(path) for path in sorted(folder.glob("*")) if path.suffix in _SUFFIXES)
    found = [CompletionItem(path) for path in paths if path.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def hosts_and_groups(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Hosts and groups of the inventory; a source that would have to be run is left alone."""
    try:
        inventory = Planner.load(".", inventory=ctx.params.get("inventory") or (), programs="skip").inventory
    except ChargehandError:
        return []
    groups = sorted({group for host in inventory for group in host.groups})
    return matching([*groups, *(host.name for host in inventory)], incomplete)


def templates(_ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Names of job templates."""
    try:
        return matching(
            (template.name for template in Planner.load(".", programs="skip").templates), incomplete
        )
    except ChargehandError:
        return []


def recurring_logics(_ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """What a recurring logic is called."""
    try:
        with remembered() as past:
            logics = KnownLogics(past.source).all()
    except ChargehandError:
        return []
    return matching((logic.purpose or logic.job_name or str(logic.id) for logic in logics), incomplete)
