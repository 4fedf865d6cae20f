"""``hosts``, ``templates``, ``features``, ``bookmarks`` and ``schema``."""

from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest
from chargehand.frozen import frozen


@frozen(slots=False)
class HostsRequest(InventoryRequest):
    """``chargehand hosts``; the words are a query, or ``explain HOST VAR``."""

    words: tuple[str, ...]
    output: Literal["text", "json"]


@frozen(slots=False)
class ListRequest:
    """``chargehand features`` and ``bookmarks``."""

    output: Literal["text", "json"]


@frozen(slots=False)
class TemplatesRequest(ListRequest):
    """``chargehand templates``."""

    name: str | None


@frozen(slots=False)
class SchemaRequest:
    """``chargehand schema``, and ``schema build``."""

    action: Literal["build"] | None
    check: bool
