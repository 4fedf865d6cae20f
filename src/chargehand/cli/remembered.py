"""The history of the project of the current folder, read without loading the rest of the project."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from importlib import import_module
from pathlib import Path

from chargehand.address import store_address
from chargehand.errors import UsageError
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.layout import find_root, state_folder
from chargehand.moment import find_zone
from chargehand.past import History, Source, Stored, StoredShare, open_past
from chargehand.past.runners import KnownRunners
from chargehand.report.history import Account
from chargehand.result import HostResult, Status
from chargehand.settings import load_settings

_LAST = expression(r"last(?:-(\d{1,9}))?", re.ASCII)
_NUMBER = expression(r"\d{1,18}", re.ASCII)


@frozen
class Remembered:
    """A history, and how its times are told.

    Attributes:
        history: To be read.
        source: Where it is read from.
        zone: The project's time zone, or UTC.
    """

    history: History
    source: Source
    zone: tzinfo

    def find_id(self, word: str) -> int:
        """The id that a word of the command line means: a number, ``last``, ``last-1``.

        Raises:
            UsageError: It is none, or there are not so many invocations.
        """
        if _NUMBER.fullmatch(word):
            return int(word)
        back = _LAST.fullmatch(word)
        if back is None:
            raise UsageError(f"`{word}` is no id of an invocation: give a number, `last`, -1, -2, ...")
        found = self.history.page(None, limit=1, offset=int(back[1] or 0)).records
        if not found:
            raise UsageError(f"there is no invocation `{word}`: `chargehand list` shows those there are")
        return found[0].id

    def account(self, stored: Stored) -> Account:
        """What is told of an invocation."""
        return Account(
            record=stored.record,
            exit_code=stored.exit_code,
            states={share.host_name: share.state for share in stored.shares if share.state != "stopped"},
            alive=stored.record.state in ("planned", "running")
            and KnownRunners(self.source).is_alive(stored.runner_id),
            cancelling=stored.cancel_requested,
            now=now(),
            zone=self.zone,
        )


@contextmanager
def remembered() -> Iterator[Remembered]:
    """The history of the project of the current folder.

    Raises:
        StoreError: It cannot be opened.
        SettingsError: The project's chargehand.toml is refused.
    """
    place = find_place()
    past = open_past(place.address, state=place.state, clock=now)
    with ExitStack() as stack:
        if past is None:
            yield stack.enter_context(import_module("chargehand.cli.writable").writable())
        else:
            stack.enter_context(past)
            yield Remembered(history=past.history, source=past.source, zone=place.zone)


@frozen
class HistoryPlace:
    """Where the history of the project of the current folder is.

    Attributes:
        address: As `open_store` takes it.
        state: The folder of what this machine keeps.
        zone: The project's time zone, or UTC.
    """

    address: str
    state: Path
    zone: tzinfo


def find_place() -> HistoryPlace:
    """Where it is.

    Raises:
        SettingsError: The project's chargehand.toml is refused.
        UsageError: Nothing is recorded.
    """
    root = find_root(Path())
    settings = load_settings(root)
    return HistoryPlace(
        address=store_address(settings, root, os.environ),
        state=state_folder(root),
        zone=find_zone(settings.time_zone) if settings.time_zone else UTC,
    )


def result_of(share: StoredShare) -> HostResult:
    """What came of a host, which is ``pending`` as long as nothing did."""
    waiting = HostResult(host=share.host_name, host_id=share.host_id, status=Status.PENDING, attempts=0)
    return share.result or waiting


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)
