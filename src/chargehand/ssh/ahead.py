"""Ahead of Fabric: spares what Invoke loads for tests of its users, `unittest.mock` with asyncio and ssl.

Invoke is loaded while something of that name is there already, whose `Mock` loads the real one when used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_NAME: Final = "unittest.mock"


def _mock(*arguments: object, **named: object) -> Any:  # noqa: ANN401 - as the real one
    return import_module(_NAME).Mock(*arguments, **named)


if _NAME not in sys.modules:
    stand_in: Any = ModuleType(_NAME)
    stand_in.Mock = _mock
    sys.modules[_NAME] = stand_in
    try:
        import_module("invoke")
    finally:
        del sys.modules[_NAME]
