"""Stand-in: what is where a module would be while something loads that hardly ever uses it.

It answers with what the real one has, which is loaded when it is first asked; whoever imports the module
later finds the real one.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def spared(modules: Mapping[str, Mapping[str, object]]) -> Iterator[None]:
    """What is loaded in the block is spared these modules, unless they are there already.

    Args:
        modules: By name, what of each can be had without loading it.
    """
    sys.modules.update(
        {name: _StandIn(name, known) for name, known in modules.items() if name not in sys.modules}
    )
    try:
        yield
    finally:
        for name in modules:
            _dismiss(name)


def real(name: str) -> Any:  # noqa: ANN401 - a module
    """The module itself, loaded if need be."""
    _dismiss(name)
    return import_module(name)


class _StandIn(ModuleType):
    def __init__(self, name: str, known: Mapping[str, object]) -> None:
        super().__init__(name)
        vars(self).update(known)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # `import` asks for some
            raise AttributeError(name)
        return getattr(real(self.__name__), name)


def _dismiss(name: str) -> None:
    if isinstance(sys.modules.get(name), _StandIn):
        del sys.modules[name]
