"""Which inventory, and which of its hosts."""

from chargehand.frozen import frozen


@frozen(slots=False)
class InventoryRequest:
    """Which inventory to look at: ``-i`` sources, else the project's; and what opens its vaults."""

    inventory: tuple[str, ...]
    ask_vault_pass: bool
    vault_password_files: tuple[str, ...]


@frozen(slots=False)
class SelectionRequest(InventoryRequest):
    """Which hosts of a job's targeting, and with which input values."""

    limit: str | None
    exclude: str | None
    inputs: tuple[str, ...]
