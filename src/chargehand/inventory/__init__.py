"""Ansible inventories without Ansible: INI, YAML, JSON, TOML, programs, ``group_vars/``, host patterns.

The way of a source: `source` recognises it, `ini`, `tree` or `listing` adds it to a `Draft`, `groups`
settles who belongs where, `variables` folds what each host is told, `check` looks at the whole.
"""

from chargehand.inventory.connection import HostBecome, HostConnection, connection_settings
from chargehand.inventory.load import load
from chargehand.inventory.model import Inventory, Origin
from chargehand.inventory.program import PROGRAM_RULE, Programs

__all__ = [
    "PROGRAM_RULE",
    "HostBecome",
    "HostConnection",
    "Inventory",
    "Origin",
    "Programs",
    "connection_settings",
    "load",
]
