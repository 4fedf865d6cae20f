"""Foreman Remote Execution's job invocations as YAML files in git.

The Python API begins at `Project`; see docs/python.md. Its names are imported when they are first asked
for, so that a command line that only shows its help stays light.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "compose": ("Overrides",),
    "connection": ("ConnectionSettings",),
    "errors": (
        "ChargehandError",
        "InvalidError",
        "NoHostMatchedError",
        "Place",
        "PolicyError",
        "Problem",
        "UsageError",
    ),
    "event": (
        "Event",
        "HostConnecting",
        "HostFinished",
        "HostOutput",
        "HostStarted",
        "Notice",
        "Observer",
        "RunFinished",
        "RunStarted",
    ),
    "execution": ("Execution",),
    "host": ("Host",),
    "inventory": ("Inventory",),
    "invocation": ("JobInvocation",),
    "job": ("Job",),
    "plan": ("Access", "Plan", "Selection"),
    "project": ("Project",),
    "rerun": ("Wish",),
    "result": ("CapturedOutput", "HostResult", "JobResult", "Status"),
    "secret": ("Secret",),
    "settings": ("Settings",),
    "validation": ("Validation",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604 - texts, every one of them
    "__version__",
    *sorted(_HOME_OF),
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
