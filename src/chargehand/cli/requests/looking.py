"""``hosts``, ``templates``, ``features``, ``bookmarks`` and ``schema``."""

from dataclasses import dataclass
from typing import Literal

from chargehand.cli.requests.shared import InventoryRequest


@dataclass(frozen=True, kw_only=True)
class HostsRequest(InventoryRequest):
    """``chargehand hosts``; the words are a query, or ``explain HOST VAR``."""

    words: tuple[str, ...]
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """``chargehand features`` and ``bookmarks``."""

    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class TemplatesRequest(ListRequest):
    """``chargehand templates``."""

    name: str | None


@dataclass(frozen=True, kw_only=True)
class SchemaRequest:
    """``chargehand schema``, and ``schema build``."""

    action: Literal["build"] | None
    check: bool
