"""Ahead of Fabric and paramiko: spares what these load and hardly ever use.

They are loaded while a stand-in is where such a module would be. It answers with what the real one has, which
is loaded when it is first asked; whoever imports the module later finds the real one.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final


class _StandIn(ModuleType):
    """What stands where a module would be.

    Args:
        name: The module's.
        known: What of it can be had without loading it.
    """

    def __init__(self, name: str, known: Mapping[str, object]) -> None:
        super().__init__(name)
        vars(self).update(known)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # `import` asks for some
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _real(name: str) -> Any:  # noqa: ANN401 - a module
    _dismiss(name)
    return import_module(name)


def _dismiss(name: str) -> None:
    if isinstance(sys.modules.get(name), _StandIn):
        del sys.modules[name]


def _mock(*arguments: object, **named: object) -> Any:  # noqa: ANN401 - as the real one
    return _real("unittest.mock").Mock(*arguments, **named)


def _version(package: str) -> str:
    """The version of an installed package, as the name of the folder beside it says."""
    found = next(filter(None, ([*Path(each).glob(f"{package}[-.]*-info")] for each in sys.path)), [])
    if len(found) == 1 and found[0].suffix == ".dist-info":
        return found[0].stem.removeprefix(f"{package}-")
    version: str = _real("importlib.metadata").version(package)
    return version


_SPARED: Final[Mapping[str, Mapping[str, object]]] = {
    "unittest.mock": {"Mock": _mock},  # of Invoke, for tests of its users; brings asyncio and ssl
    "invoke.vendor.yaml": {},  # of Invoke, for its settings; beside the yaml that we have anyway
    "importlib.metadata": {"version": _version},  # of paramiko, for its own; brings email and zipfile
}

sys.modules.update(
    {name: _StandIn(name, known) for name, known in _SPARED.items() if name not in sys.modules}
)
try:
    for _library in ("invoke", "paramiko"):
        import_module(_library)
finally:
    for _name in _SPARED:
        _dismiss(_name)
