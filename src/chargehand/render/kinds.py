"""Kinds: hosts that a template cannot tell apart, which have one script."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from chargehand.host import Host
from chargehand.template import JobTemplate, Templates

_MOST_REMEMBERED: Final = 200_000


class Kinds:
    """Tells hosts apart by what templates can read of them; remembers it, since many jobs ask for the same.

    Args:
        templates: Every template that may be named by another.
    """

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._reading: Any = None
        self._known: dict[object, dict[str, tuple[Host, object]]] = {}
        self._remembered = 0

    def of(self, template: JobTemplate, hosts: Sequence[Host]) -> list[object]:
        """The kind of every host: what is equal for hosts that the template has one script for."""
        reads = self._reads_of(template) if len(hosts) > 1 else None
        if reads is None:
            return [object() for _ in hosts]
        if not reads.paths:
            return [None] * len(hosts)
        if self._remembered > _MOST_REMEMBERED:
            self._known.clear()
            self._remembered = 0
        known = self._known.setdefault(reads, {})
        return [self._kind(known, reads, host) for host in hosts]

    def _kind(self, known: dict[str, tuple[Host, object]], reads: Any, host: Host) -> object:  # noqa: ANN401
        remembered = known.get(host.name)
        if remembered is not None and remembered[0] is host:
            return remembered[1]
        values = reads.of(host)
        kind = object() if values is None else values
        known[host.name] = host, kind
        self._remembered += 1
        return kind

    def _reads_of(self, template: JobTemplate) -> Any:  # noqa: ANN401 - of a module that is loaded late
        """What a template can read; None when that cannot be told. That takes Jinja, which loads slowly."""
        if self._reading is None:
            self._reading = import_module("chargehand.render.reads").Reading(self._templates)
        return self._reading.of(template)
