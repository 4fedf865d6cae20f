"""Bookmarks: saved searches, read from ``inventory/bookmarks.yml``."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from chargehand.document import load
from chargehand.errors import Problem, SearchError
from chargehand.frozen import frozen
from chargehand.register import find_numbered, read_register
from chargehand.search import compile_query


@frozen(kw_only=False)
class Bookmark:
    """A saved search.

    Attributes:
        id: As written, else its position in the file, from 1.
        name: Unique.
        query: In the search language; understood when the file was read.
        public: Whether everybody sees it, or its author only.
    """

    id: int
    name: str
    query: str
    public: bool = True


@frozen(kw_only=False)
class Bookmarks:
    """All bookmarks of a project, in the order of the file.

    Attributes:
        bookmarks: In that order.
        warnings: What their queries may not have been meant to say.
    """

    bookmarks: tuple[Bookmark, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def __iter__(self) -> Iterator[Bookmark]:
        return iter(self.bookmarks)

    def __len__(self) -> int:
        return len(self.bookmarks)

    def find(self, wanted: int | str) -> Bookmark:
        """The bookmark with this id or name.

        Raises:
            InvocationError: There is none; names the nearest.
        """
        return find_numbered(self.bookmarks, wanted, "bookmark")


def load_bookmarks(path: Path, *, now: datetime, time_zone: tzinfo = UTC) -> Bookmarks:
    """Read a bookmarks file: a list of ``{name, query, id, public}``, or a mapping of name to query.

    Args:
        path: No file means no bookmarks.
        now: For the relative dates of the queries, aware.
        time_zone: For their dates without an offset.

    Raises:
        DocumentError: The file is not YAML.
        SearchError: An entry or its query is refused; all of them are told.
    """
    if not path.exists():
        return Bookmarks()
    document = load(path)
    keys = {"id": int, "query": str, "public": bool}
    entries, problems = read_register(document, (), short="query", keys=keys, rule="bookmark")
    bookmarks: list[Bookmark] = []
    warnings: list[Problem] = []
    for entry in entries:
        query, place = entry.values.get("query"), document.place((*entry.path, "query"))
        if not isinstance(query, str):
            problems.append(Problem(f"the bookmark `{entry.name}` has no `query`", place, rule="bookmark"))
            continue
        try:
            warnings += compile_query(query, now=now, time_zone=time_zone, place=place).warnings
        except SearchError as error:
            problems += error.problems
        bookmarks.append(Bookmark(entry.id, entry.name, query, entry.values.get("public") is not False))
    if problems:
        raise SearchError(problems)
    return Bookmarks(tuple(bookmarks), tuple(warnings))
