"""``chargehand list`` and ``show``: what ran, runs and is to run."""

import getpass
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from chargehand.cli import screen
from chargehand.cli.remembered import Remembered, now, remembered, result_of
from chargehand.cli.requests.history import HistoryRequest, ShowRequest
from chargehand.past import Page, Stored
from chargehand.past.values import RunSearch
from chargehand.report.history import HEADS, base_document, index_document, page, row
from chargehand.report.invocation import document
from chargehand.report.jsontext import dumps
from chargehand.search import compile_with
from chargehand.search.resultfields import result_fields

AT_ONCE: Final = 500


def list_invocations(request: HistoryRequest) -> int:
    """List invocations, the newest first."""
    query = _query(request)
    with remembered() as past:
        search = past.history.search(query, caller=getpass.getuser(), now=now(), time_zone=past.zone)
        for warning in search.warnings:
            screen.note_problem(warning)
        pages = _pages(past, search, request)
        if request.output == "json":
            _say_index(list(pages), query, request)
        elif request.output == "ndjson":
            for record in (record for found in pages for record in found.records):
                screen.say(dumps(base_document(record), indent=False))
        else:
            _say_list(pages, past)
    return 0


def show(request: ShowRequest) -> int:
    """Show one invocation."""
    with remembered() as past:
        stored = past.history.find(past.find_id(request.id))
        if request.hosts is not None:
            stored = _narrowed(stored, request.hosts, past)
        if request.output == "json":
            screen.say_json(document(stored.record))
        else:
            screen.say(page(past.account(stored)).removesuffix("\n"))
    return 0


def _query(request: HistoryRequest) -> str:
    return " ".join(request.words).strip()


def _pages(past: Remembered, search: RunSearch, request: HistoryRequest) -> Iterator[Page]:
    """What is asked for, a part of it at a time; at least one, which may be empty."""
    left = sys.maxsize if request.every else request.limit
    clause = search.clause if _query(request) else None
    while True:
        found = past.history.page(clause, limit=min(left, AT_ONCE), oldest_first=request.oldest_first)
        yield found
        left -= len(found.records)
        if not left or len(found.records) < AT_ONCE:
            return
        clause = search.beyond(found.records[-1].id, oldest_first=request.oldest_first)


def _say_index(pages: Sequence[Page], query: str, request: HistoryRequest) -> None:
    records = [record for found in pages for record in found.records]
    screen.say_json(
        index_document(
            records,
            total=pages[0].total,
            subtotal=pages[0].subtotal,
            query=query,
            limit=len(records) if request.every else request.limit,
            oldest_first=request.oldest_first,
        )
    )


def _say_list(pages: Iterator[Page], past: Remembered) -> None:
    """Rows in columns; those of a very long list are as wide as their own page needs."""
    said, subtotal, total = 0, 0, 0
    for found in pages:
        rows = [row(record, now=now(), zone=past.zone) for record in found.records]
        if rows:
            for line in screen.table(rows if said else [HEADS, *rows]):
                screen.say(line)
        said, subtotal, total = said + len(rows), subtotal or found.subtotal, found.total
    if not said:
        screen.note("no invocation matches" if total else "nothing was run here yet")
    elif said < subtotal:
        screen.note(f"{said} of {subtotal}; `-n N` or `--all` shows more")


def _narrowed(stored: Stored, query: str, past: Remembered) -> Stored:
    """The invocation with those hosts alone of which a query holds."""
    search = compile_with(result_fields(), query, now=now(), time_zone=past.zone)
    for warning in search.warnings:
        screen.note_problem(warning)
    kept = {share.host_name for share in stored.shares if search.matches(result_of(share))}
    record = stored.record
    hosts = tuple(host for host in record.targeting.hosts or () if host[0] in kept)
    results = tuple(result for result in record.results if result.host in kept)
    return replace(
        stored,
        record=replace(record, targeting=replace(record.targeting, hosts=hosts), results=results),
        shares=tuple(share for share in stored.shares if share.host_name in kept),
    )
