"""Address: where a project's runs are recorded."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from chargehand.errors import Place, UsageError
from chargehand.secret import Secret
from chargehand.settings import NO_STORE, Settings

STORE_VARIABLE: Final = "CHARGEHAND_STORE"
"""The environment's word about the store is stronger than the setting's."""


def store_address(settings: Settings, root: Path, environ: Mapping[str, str]) -> str:
    """The URL of the store, with its password if it has one; empty for a file of the project's.

    Args:
        settings: Of the project.
        root: Its folder.
        environ: Variables of the environment.

    Raises:
        UsageError: Nothing is to be recorded.
        SecretError: It is a reference that cannot be resolved.
    """
    asked = environ.get(STORE_VARIABLE) or settings.store
    if asked == NO_STORE:
        raise UsageError(f'nothing is recorded here: the setting `store` is "{NO_STORE}"')
    if asked is None or isinstance(asked, str):
        return asked or ""
    # Imported here alone: hardly anybody has one, and a list of what ran is to come at once.
    references = import_module("chargehand.reference")
    reference = references.read_reference(asked, Place(settings.file), question="store: ")
    found: Secret = references.resolve(reference, environ=environ, prompt=references.refuse_prompt, base=root)
    return found.reveal()
