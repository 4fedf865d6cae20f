"""The project that a command works on, with the inventory and the vault passwords it asks for."""

import os
from pathlib import Path

from chargehand.cli.overrides import ask
from chargehand.cli.requests import InventoryRequest
from chargehand.inventory import Programs
from chargehand.project import Project
from chargehand.reference import read_reference, refuse_prompt, resolve
from chargehand.secret import Secret


def open_project(request: InventoryRequest, programs: Programs = "run") -> Project:
    """The project of the current folder.

    Raises:
        InvalidError: Its settings or a vault password file are refused.
        UsageError: A password is to be asked for and there is no terminal.
    """
    asked = [Secret(ask("Vault password: "))] if request.ask_vault_pass else []
    read = [_read(name) for name in request.vault_password_files]
    return Project.load(".", inventory=request.inventory, programs=programs, vault_passwords=(*asked, *read))


def _read(name: str) -> Secret:
    return resolve(read_reference({"file": name}), environ=os.environ, prompt=refuse_prompt, base=Path())
