"""Taxonomies: locations and organizations, by the variables of hosts and ``inventory/taxonomies.yml``."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from chargehand.document import Document, load
from chargehand.errors import InventoryError, Problem, did_you_mean
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.register import find_numbered, read_register

_SECTIONS = ("locations", "organizations")


@frozen(kw_only=False)
class Taxonomy:
    """A location or an organization.

    Attributes:
        id: From the file; None for one that only hosts name.
        name: The whole title, ``Europe/Berlin`` for one that is nested.
    """

    id: int | None
    name: str


@frozen(kw_only=False)
class Taxonomies:
    """All locations and organizations of a project: those of the file first, then those of hosts."""

    locations: tuple[Taxonomy, ...] = ()
    organizations: tuple[Taxonomy, ...] = ()

    def find_location(self, wanted: int | str) -> Taxonomy:
        """The location with this id or name.

        Raises:
            InvocationError: There is none; names the nearest.
        """
        return find_numbered(self.locations, wanted, "location")

    def find_organization(self, wanted: int | str) -> Taxonomy:
        """The organization with this id or name.

        Raises:
            InvocationError: There is none; names the nearest.
        """
        return find_numbered(self.organizations, wanted, "organization")


def load_taxonomies(path: Path, hosts: Iterable[Host]) -> Taxonomies:
    """Read a taxonomies file and add what hosts name beside it.

    Args:
        path: ``locations`` and ``organizations``, each a list of ``{name, id}`` or a mapping of name to id.
            No file means none has an id.
        hosts: All of the inventory.

    Raises:
        DocumentError: The file is not YAML.
        InventoryError: An entry is refused; all of them are told.
    """
    named: dict[str, list[Taxonomy]] = _read(load(path)) if path.exists() else {}
    used = [(host.location, host.organization) for host in hosts]
    return Taxonomies(
        locations=_with_used(named.get("locations", []), (location for location, _ in used)),
        organizations=_with_used(named.get("organizations", []), (organization for _, organization in used)),
    )


def _read(document: Document) -> dict[str, list[Taxonomy]]:
    problems: list[Problem] = []
    sections = document.data if isinstance(document.data, Mapping) else {}
    if document.data is not None and not isinstance(document.data, Mapping):
        problems.append(_problem(document, "expected a mapping with `locations` and `organizations`"))
    problems += [
        _problem(document, f"unknown key `{key}`", key, did_you_mean(str(key), _SECTIONS))
        for key in sections
        if key not in _SECTIONS
    ]
    named: dict[str, list[Taxonomy]] = {}
    for section in _SECTIONS:
        entries, faults = read_register(document, (section,), short="id", keys={"id": int}, rule="taxonomy")
        problems += faults
        named[section] = [Taxonomy(entry.id, entry.name) for entry in entries]
    if problems:
        raise InventoryError(problems)
    return named


def _with_used(named: list[Taxonomy], used: Iterable[str | None]) -> tuple[Taxonomy, ...]:
    """Add the titles hosts use and those they are nested in."""
    titles = {
        "/".join(parts[:depth])
        for title in set(used)
        if title
        for parts in [title.split("/")]
        for depth in range(1, len(parts) + 1)
    }
    unlisted = sorted(titles - {taxonomy.name for taxonomy in named} - {""})
    return (*named, *(Taxonomy(None, title) for title in unlisted))


def _problem(document: Document, message: str, key: str | None = None, hint: str | None = None) -> Problem:
    place = document.place() if key is None else document.place((key,), key=True)
    return Problem(message, place, hint, "taxonomy")
