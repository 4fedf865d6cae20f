"""The project that a command works on, to be run."""

from chargehand.cli.planning import given_vault_passwords
from chargehand.cli.requests.shared import InventoryRequest
from chargehand.inventory import Programs
from chargehand.project import Project


def open_project(request: InventoryRequest, programs: Programs = "run") -> Project:
    """The project of the current folder.

    Raises:
        InvalidError: Its settings or a vault password file are refused.
        UsageError: A password is to be asked for and there is no terminal.
    """
    return Project.load(
        ".",
        inventory=request.inventory,
        programs=programs,
        vault_passwords=given_vault_passwords(request),
    )
