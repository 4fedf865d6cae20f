"""Host: one machine of the inventory, as everything above the inventory sees it."""

from collections.abc import Mapping
from dataclasses import field
from typing import cast

from chargehand.frozen import frozen


@frozen
class Host:
    """One machine of the inventory.

    Attributes:
        name: As the inventory spells it; what users and results call the host.
        id: Variable ``id`` or ``foreman_id``, else the position in the inventory, from 1.
        groups: Every group of the host, inherited ones included, sorted, without ``all``
            (Ansible's ``group_names``).
        vars: Ansible's effective variables, without magic names. Values are plain data:
            text, numbers, booleans, None, lists and mappings with text keys; a vault scalar is a
            `Secret`.
    """

    name: str
    id: int
    groups: tuple[str, ...] = ()
    vars: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def facts(self) -> Mapping[str, object]:
        """Variable ``facts``, else ``ansible_facts``, else nothing."""
        for name in ("facts", "ansible_facts"):
            value = self.vars.get(name)
            if isinstance(value, Mapping):
                return cast("Mapping[str, object]", value)
        return {}

    @property
    def location(self) -> str | None:
        """Variable ``location``: the one this host belongs to."""
        return _text(self.vars.get("location"))

    @property
    def organization(self) -> str | None:
        """Variable ``organization``: the one this host belongs to."""
        return _text(self.vars.get("organization"))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
