"""Job: one job of a job file, with the place of every value it holds.

A job knows what was written and where, and nothing of what it means: `compose` decides that. Its readers
give None for a value that is absent or not of the asked type - the schema has complained about the type
by then - so that every other rule can still be checked and every problem told at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import cast

from chargehand.document import Document
from chargehand.errors import Place, Problem
from chargehand.frozen import frozen

Path = tuple[str | int, ...]


@frozen
class Job:
    """One job of a job file.

    Attributes:
        document: The file it stands in.
        root: Where in the document it begins: ``()``, or ``(n,)`` in a list of jobs.
    """

    document: Document = field(repr=False)
    root: Path = ()

    @property
    def label(self) -> str:
        """The job's ``name``, else its file and number."""
        number = f"#{int(self.root[0]) + 1}" if self.root else ""
        return self.text("name") or f"{self.document.file}{number}"

    def value(self, *path: str | int) -> object:
        """The value at `path`, or None."""
        found: object = self.document.data
        for step in (*self.root, *path):
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return None
        return found

    def has(self, *path: str | int) -> bool:
        """Whether something other than null stands at `path`."""
        return self.value(*path) is not None

    def text(self, *path: str | int) -> str | None:
        """The text at `path`."""
        found = self.value(*path)
        return found if isinstance(found, str) else None

    def number(self, *path: str | int) -> int | None:
        """The whole number at `path`."""
        found = self.value(*path)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def flag(self, *path: str | int) -> bool | None:
        """The truth value at `path`: true, false, 1 or 0."""
        found = self.value(*path)
        return bool(found) if isinstance(found, int) and found in (0, 1) else None

    def mapping(self, *path: str | int) -> Mapping[str, object]:
        """The mapping at `path`, or an empty one."""
        found = self.value(*path)
        return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}

    def items(self, *path: str | int) -> list[object]:
        """The list at `path`, or an empty one."""
        found = self.value(*path)
        return found if isinstance(found, list) else []

    def written(self, *path: str | int) -> str:
        """The scalar at `path` as its author wrote it: ``22:30``, ``0755``, ``1.10``."""
        return self.document.written((*self.root, *path))

    def place(self, *path: str | int, key: bool = False) -> Place:
        """Where the value at `path` stands, or its key."""
        return self.document.place((*self.root, *path), key=key)

    def calendars(self, of_all: Iterable[str], named_in: str) -> dict[str, Place]:
        """The calendars that hold for the job, relative to the project, each with the place that names it.

        Args:
            of_all: Those that hold for every job.
            named_in: The file that says so.
        """
        own = self.text("blackout")
        files = [own] if own else [each for each in self.items("blackout") if isinstance(each, str)]
        named = dict.fromkeys(of_all, Place(named_in))
        return named | {file: self.place("blackout") for file in files if file not in named}

    def problem(self, message: str, *path: str | int, hint: str | None = None, rule: str = "job") -> Problem:
        """A problem with the value at `path`."""
        return Problem(message, self.place(*path), hint, rule)


def read_jobs(document: Document) -> tuple[Job, ...]:
    """The jobs of a job file, in order: a file holds one, or a list of them."""
    if isinstance(document.data, list):
        return tuple(Job(document=document, root=(number,)) for number in range(len(document.data)))
    return (Job(document=document),)
