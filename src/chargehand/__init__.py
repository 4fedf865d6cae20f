"""Foreman Remote Execution's job invocations as YAML files in git.

The Python API is `Project`; it is imported when it is first asked for, so that a command line that only
shows its help stays light.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Project", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Project":
        return import_module("chargehand.project").Project
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
