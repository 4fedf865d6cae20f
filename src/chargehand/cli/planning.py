"""The project that a command only reads, with the inventory and the vault passwords it asks for.

Nothing that runs scripts or writes them down is loaded.
"""

import os
from pathlib import Path

from chargehand.cli.overrides import ask
from chargehand.cli.requests.shared import InventoryRequest
from chargehand.inventory import Programs
from chargehand.planner import Planner
from chargehand.reference import read_reference, refuse_prompt, resolve
from chargehand.secret import Secret


def open_planner(request: InventoryRequest, programs: Programs = "run") -> Planner:
    """The project of the current folder.

    Raises:
        InvalidError: Its settings or a vault password file are refused.
        UsageError: A password is to be asked for and there is no terminal.
    """
    return Planner.load(
        ".",
        inventory=request.inventory,
        programs=programs,
        vault_passwords=given_vault_passwords(request),
    )


def given_vault_passwords(request: InventoryRequest) -> tuple[Secret, ...]:
    """Those that the command line asks for or names."""
    asked = [Secret(ask("Vault password: "))] if request.ask_vault_pass else []
    return (*asked, *(_read(name) for name in request.vault_password_files))


def _read(name: str) -> Secret:
    return resolve(read_reference({"file": name}), environ=os.environ, prompt=refuse_prompt, base=Path())
