"""Where a job runs: location and organization, the kind of targeting, and the one way hosts are chosen."""

from collections.abc import Callable
from datetime import datetime, tzinfo

from chargehand.bookmark import Bookmark
from chargehand.compose.catalogue import Catalogue
from chargehand.compose.findings import Findings
from chargehand.errors import did_you_mean
from chargehand.host import Host
from chargehand.inventory import Inventory
from chargehand.search import compile_query
from chargehand.targeting import Targeting, TargetingType, Within, is_visible, query_for
from chargehand.taxonomy import Taxonomies, Taxonomy

HOST_RULE = "host"
_TARGETS = (
    ("job_invocation", "search_query"),
    ("job_invocation", "bookmark_id"),
    ("job_invocation", "host_ids"),
)
_LISTED = "`chargehand hosts -o json` lists names and ids"
_MOST_SUGGESTIONS = 3  # looking for a near name takes its time
_MOST_NAMES = 2000


def compose_taxonomies(findings: Findings, taxonomies: Taxonomies) -> tuple[Taxonomy | None, Taxonomy | None]:
    """The location and the organization that the job is limited to."""
    return (
        _taxonomy(findings, "location_id", taxonomies.find_location),
        _taxonomy(findings, "organization_id", taxonomies.find_organization),
    )


def within(location: Taxonomy | None, organization: Taxonomy | None) -> Within:
    """The part of the inventory that such a job sees."""
    return Within(
        location=location.name if location else None, organization=organization.name if organization else None
    )


def compose_targeting(
    findings: Findings,
    catalogue: Catalogue,
    seen: Within,
    zone: tzinfo,
    now: datetime,
) -> Targeting | None:
    """The targeting of a job that sees a part of the inventory; dates in its query are read in `zone`.

    Source:
        design §2.2; Foreman's precedence of bookmark, query and host ids, with every silent choice
        made an error.
    """
    targeting_type = _targeting_type(findings)
    findings.check_only_one(*_TARGETS, why="a job has one targeting")
    bookmark = _bookmark(findings, catalogue)
    queries = (
        _search_query(findings, zone, now),
        bookmark.query if bookmark else None,
        _query_for_hosts(findings, catalogue.inventory, seen),
    )
    query = next((query for query in queries if query is not None), None)
    if query is None or targeting_type is None:
        return None
    return Targeting(
        targeting_type=targeting_type,
        search_query=query,
        bookmark_id=bookmark.id if bookmark else None,
        randomized_ordering=findings.job.flag("job_invocation", "randomized_ordering"),
        within=seen,
        time_zone=zone,
    )


def _taxonomy(findings: Findings, key: str, find: Callable[[str | int], Taxonomy]) -> Taxonomy | None:
    wanted = findings.id_or_name(key)
    return None if wanted is None else findings.attempt(lambda: find(wanted), key)


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
    if given is None and feature:
        return "static_query"
    return given if given == "static_query" or given == "dynamic_query" else None  # noqa: PLR1714 - narrows the type


def _search_query(findings: Findings, zone: tzinfo, now: datetime) -> str | None:
    path = ("job_invocation", "search_query")
    query = findings.job.text(*path)
    if not query:
        return None
    if query.isspace():
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
    wanted = findings.id_or_name(*path)
    return None if wanted is None else findings.attempt(lambda: catalogue.bookmarks.find(wanted), *path)


def _query_for_hosts(findings: Findings, inventory: Inventory, part: Within) -> str | None:
    """The query that means the hosts of ``host_ids``; each one that is not there is told."""
    names: dict[str, None] = {}
    missing = 0
    for number, called in enumerate(findings.job.items("job_invocation", "host_ids")):
        if not isinstance(called, int | str):
            continue
        host = inventory.find(called)
        if host is not None and is_visible(host, part):
            names[host.name] = None
            continue
        if host is not None:
            message = f"host `{host.name}` is not of the job's location and organization"
            hint = f"it is of {_whereabouts(host)}"
        else:
            missing += 1
            message = f"no host with the {'id' if isinstance(called, int) else 'name or id'} `{called}`"
            hint = _nearest(called, inventory) if missing <= _MOST_SUGGESTIONS else _LISTED
        findings.add(message, "job_invocation", "host_ids", number, hint=hint, rule=HOST_RULE)
    return query_for(list(names)) if names else None


def _nearest(called: int | str, inventory: Inventory) -> str:
    """What may have been meant, looked for among the first of very many hosts."""
    names = [host.name for host in inventory.hosts[:_MOST_NAMES]]
    return did_you_mean(str(called), names) or _LISTED


def _whereabouts(host: Host) -> str:
    location, organization = host.location or "no location", host.organization or "no organization"
    return f"{location} and {organization}"
