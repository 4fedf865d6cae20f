"""Where a job runs: location and organization, the kind of targeting, and the one way hosts are chosen."""

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo

from chargehand.bookmark import Bookmark
from chargehand.compose.catalogue import Catalogue
from chargehand.compose.findings import Findings
from chargehand.errors import did_you_mean
from chargehand.host import Host
from chargehand.search import compile_query
from chargehand.targeting import Targeting, TargetingType, Within, query_for, visible
from chargehand.taxonomy import Taxonomy


def compose_taxonomy(findings: Findings, key: str, find: Callable[[str | int], Taxonomy]) -> Taxonomy | None:
    """The location or organization that the job is limited to."""
    wanted = findings.job.value(key)
    if isinstance(wanted, str | int) and not isinstance(wanted, bool):
        return findings.attempt(lambda: find(wanted), key)
    return None


def compose_targeting(
    findings: Findings,
    catalogue: Catalogue,
    within: Within,
    zone: tzinfo,
    now: datetime,
) -> Targeting | None:
    """The targeting of a job; dates in its query are read in `zone`.

    Source:
        design §2.2; Foreman's precedence of bookmark, query and host ids, with every silent choice
        made an error.
    """
    targeting_type = _targeting_type(findings)
    key = findings.only_one("search_query", "bookmark_id", "host_ids", why="a job has one targeting")
    query, bookmark_id = None, None
    if key == "search_query":
        query = _search_query(findings, zone, now)
    elif key == "bookmark_id":
        bookmark = _bookmark(findings, catalogue)
        query, bookmark_id = (bookmark.query, bookmark.id) if bookmark else (None, None)
    elif key == "host_ids":
        query = query_for(_host_names(findings, visible(catalogue.inventory, within)))
    if query is None or targeting_type is None:
        return None
    return Targeting(
        targeting_type=targeting_type,
        search_query=query,
        bookmark_id=bookmark_id,
        randomized_ordering=findings.job.flag("job_invocation", "randomized_ordering"),
        within=within,
        time_zone=zone,
    )


def _targeting_type(findings: Findings) -> TargetingType | None:
    given = findings.job.value("job_invocation", "targeting_type")
    feature = findings.job.has("job_invocation", "feature")
    if given == "dynamic_query" and feature:
        findings.add(
            "a job started by `feature` has a static targeting",
            "job_invocation",
            "targeting_type",
            hint="write static_query, or name the template by `job_template_id`",
        )
        return None
    if given is None and feature:
        return "static_query"
    if given is None:
        findings.add(
            "`targeting_type` is needed: static_query or dynamic_query",
            "job_invocation",
            hint="static_query keeps the hosts of the first run, dynamic_query looks them up at every run",
        )
    return given if given == "static_query" or given == "dynamic_query" else None  # noqa: PLR1714 - narrows the type


def _search_query(findings: Findings, zone: tzinfo, now: datetime) -> str | None:
    path = ("job_invocation", "search_query")
    query = findings.job.text(*path)
    if query is None:
        return None
    if not query.strip():
        findings.add("the search query is empty", *path, hint="write `*` for every host")
        return None
    place = findings.job.place(*path)
    search = findings.attempt(lambda: compile_query(query, now=now, time_zone=zone, place=place), *path)
    if search is None:
        return None
    findings.warnings += search.warnings
    return query


def _bookmark(findings: Findings, catalogue: Catalogue) -> Bookmark | None:
    path = ("job_invocation", "bookmark_id")
    wanted = findings.job.value(*path)
    if isinstance(wanted, str | int) and not isinstance(wanted, bool):
        return findings.attempt(lambda: catalogue.bookmarks.find(wanted), *path)
    return None


def _host_names(findings: Findings, hosts: list[Host]) -> list[str]:
    by_name = {host.name: host for host in hosts}
    by_id = {host.id: host for host in hosts}
    names: dict[str, None] = {}
    for number, wanted in enumerate(findings.job.items("job_invocation", "host_ids")):
        found = _host(wanted, by_name, by_id)
        if found is not None:
            names[found.name] = None
        else:
            findings.add(
                f"no host with the {'id' if isinstance(wanted, int) else 'name or id'} `{wanted}`",
                "job_invocation",
                "host_ids",
                number,
                hint=did_you_mean(str(wanted), by_name) or "`chargehand hosts -o json` lists names and ids",
            )
    return list(names)


def _host(wanted: object, by_name: Mapping[str, Host], by_id: Mapping[int, Host]) -> Host | None:
    if isinstance(wanted, int):
        return by_id.get(wanted)
    text = str(wanted)
    return by_name.get(text) or (by_id.get(int(text)) if text.isascii() and text.isdigit() else None)
