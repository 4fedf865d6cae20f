"""What a composition looks names up in, and what the command line says in place of the job."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from chargehand.blackout import Calendars
from chargehand.bookmark import Bookmarks
from chargehand.errors import Problem
from chargehand.frozen import frozen
from chargehand.inventory import Inventory
from chargehand.settings import Settings
from chargehand.taxonomy import Taxonomies
from chargehand.template import Templates


@frozen
class Catalogue:
    """Everything that a job may refer to by name, and the settings that hold when it does not say."""

    templates: Templates
    bookmarks: Bookmarks
    taxonomies: Taxonomies
    inventory: Inventory
    settings: Settings
    calendars: Calendars = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calendars", Calendars(Path(self.settings.file).parent))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is allowed in any part of it and yet hardly meant."""
        return (*self.inventory.warnings, *self.bookmarks.warnings)


@frozen
class Overrides:
    """What the command line says in place of the job file.

    Attributes:
        inputs: Input values by name; that of a hidden input is a secret from here on.
        ssh_user: In place of the job's ``ssh_user``.
        concurrency_level: In place of the job's.
        start_now: Whether the job's ``scheduling`` does not count.
        once: Whether neither that nor its ``recurrence`` counts.
        submitted: Whether the job was handed in before, so that its times may lie in the past by now.
    """

    inputs: Mapping[str, str] = field(default_factory=dict, repr=False)
    ssh_user: str | None = None
    concurrency_level: int | None = None
    start_now: bool = False
    once: bool = False
    submitted: bool = False


NO_OVERRIDES = Overrides()
