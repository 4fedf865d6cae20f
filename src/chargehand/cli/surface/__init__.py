"""The surface: every command, its parameters and its help. Light on purpose; see `command`."""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "run": "running:RUN",
    "exec": "running:EXEC",
    "list": "history:LIST",
    "show": "history:SHOW",
    "output": "history:OUTPUT",
    "diff": "history:DIFF",
    "cancel": "history:CANCEL",
    "rerun": "history:RERUN",
    "resume": "history:RESUME",
    "prune": "history:PRUNE",
    "sync": "following:SYNC",
    "status": "following:STATUS",
    "tick": "scheduling:TICK",
    "serve": "scheduling:SERVE",
    "schedule": "scheduling:SCHEDULE",
    "validate": "checking:VALIDATE",
    "plan": "checking:PLAN",
    "render": "checking:RENDER",
    "hosts": "looking:HOSTS",
    "templates": "looking:TEMPLATES",
    "features": "looking:FEATURES",
    "bookmarks": "looking:BOOKMARKS",
    "schema": "looking:SCHEMA",
    "init": "setup:INIT",
    "lab": "setup:LAB",
    "doctor": "setup:DOCTOR",
    "completion": "setup:COMPLETION",
}
"""Where each is declared, ``module:NAME``; one that is run loads no declaration but its own."""
