"""The history of the project of the current folder, opened to be changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chargehand.cli.remembered import Remembered, find_place, now
from chargehand.frozen import frozen
from chargehand.store import Store, open_store


@frozen
class Writable(Remembered):
    """A history that can be changed.

    Attributes:
        store: Open.
        state: The folder of what this machine keeps.
    """

    store: Store
    state: Path


@contextmanager
def writable() -> Iterator[Writable]:
    """The history of the project of the current folder.

    Raises:
        StoreError: It cannot be opened.
        SettingsError: The project's chargehand.toml is refused.
    """
    place = find_place()
    with open_store(place.address, state=place.state, clock=now) as store:
        yield Writable(
            history=store.history, source=store.source, zone=place.zone, store=store, state=place.state
        )
