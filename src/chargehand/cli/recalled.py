"""Completers again: the cheap look-ups in the history, without the rest of the project."""

import click
from click.shell_completion import CompletionItem

from chargehand.cli.matching import matching
from chargehand.cli.remembered import remembered
from chargehand.errors import ChargehandError
from chargehand.report.escape import escape_line
from chargehand.report.history import status_words

_NEWEST = 30


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
    return matching((share.host_name for share in shares), incomplete)
