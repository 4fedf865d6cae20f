"""Completers: the cheap look-ups that a shell asks for while people type."""

import os
from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from chargehand.cli.remembered import remembered
from chargehand.errors import ChargehandError
from chargehand.layout import find_root
from chargehand.past.logics import KnownLogics
from chargehand.project import Project
from chargehand.report.escape import escape_line
from chargehand.report.history import status_words

_NEWEST = 30
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
        inventory = Project.load(".", inventory=ctx.params.get("inventory") or (), programs="skip").inventory
    except ChargehandError:
        return []
    groups = sorted({group for host in inventory for group in host.groups})
    return _matching([*groups, *(host.name for host in inventory)], incomplete)


def templates(_ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Names of job templates."""
    try:
        return _matching(
            (template.name for template in Project.load(".", programs="skip").templates), incomplete
        )
    except ChargehandError:
        return []


def invocations(_ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Ids of the newest invocations, with what they were."""
    try:
        with remembered() as past:
            records = past.history.page(limit=_NEWEST).records
    except ChargehandError:
        return []
    return [
        CompletionItem(str(record.id), help=escape_line(f"{status_words(record)}: {record.description}"))
        for record in records
        if str(record.id).startswith(incomplete)
    ]


def invocation_hosts(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Hosts of the invocation that was named."""
    try:
        with remembered() as past:
            number = past.find_id(str(ctx.params.get("id") or "last"))
            shares = past.history.find(number, with_output=False).shares
    except ChargehandError:
        return []
    return _matching((share.host_name for share in shares), incomplete)


def recurring_logics(_ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """What a recurring logic is called."""
    try:
        with remembered() as past:
            logics = KnownLogics(past.source).all()
    except ChargehandError:
        return []
    return _matching((logic.purpose or logic.job_name or str(logic.id) for logic in logics), incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
