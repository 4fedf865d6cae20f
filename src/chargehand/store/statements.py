"""Statements: rows put in and changed by the names of their columns; a condition is plain SQL."""

from collections.abc import Iterable, Mapping
from typing import Final

from chargehand.past.reading import Dialect

LOCKED: Final[Mapping[Dialect, str]] = {"sqlite": "", "postgresql": " FOR UPDATE"}
"""Ends a statement whose rows nobody else changes before the transaction ends; SQLite locks all of them."""


def inserting(table: str, names: Iterable[str]) -> str:
    """Insert a row with a value for every name."""
    names = tuple(names)
    columns, values = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({columns}) VALUES ({values})"  # noqa: S608 - names of ours


def updating(table: str, names: Iterable[str], where: str) -> str:
    """Change every row that meets a condition, to a value for every name."""
    values = ", ".join(f'"{name}" = :{name}' for name in names)
    return f"UPDATE {table} SET {values} WHERE {where}"  # noqa: S608 - names of ours
