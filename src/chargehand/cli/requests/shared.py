"""Which inventory, and which of its hosts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InventoryRequest:
    """Which inventory to look at: ``-i`` sources, else the project's; and what opens its vaults."""

    inventory: tuple[str, ...]
    ask_vault_pass: bool
    vault_password_files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SelectionRequest(InventoryRequest):
    """Which hosts of a job's targeting, and with which input values."""

    limit: str | None
    exclude: str | None
    inputs: tuple[str, ...]
