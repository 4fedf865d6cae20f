"""Ahead of Fabric and paramiko: loads both, spared what they load and hardly ever use."""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from chargehand.standin import real, spared


def _mock(*arguments: object, **named: object) -> Any:  # noqa: ANN401 - as the real one
    return real("unittest.mock").Mock(*arguments, **named)


def _version(package: str) -> str:
    """The version of an installed package, as the name of the folder beside it says."""
    found = next(filter(None, ([*Path(each).glob(f"{package}[-.]*-info")] for each in sys.path)), [])
    if len(found) == 1 and found[0].suffix == ".dist-info":
        return found[0].stem.removeprefix(f"{package}-")
    version: str = real("importlib.metadata").version(package)
    return version


_SPARED: Final[Mapping[str, Mapping[str, object]]] = {
    "unittest.mock": {"Mock": _mock},  # of Invoke, for tests of its users; brings asyncio and ssl
    "invoke.vendor.yaml": {},  # of Invoke, for its settings; beside the yaml that we have anyway
    "importlib.metadata": {"version": _version},  # of paramiko, for its own; brings email and zipfile
}

with spared(_SPARED):
    for _library in ("invoke", "paramiko"):
        import_module(_library)
