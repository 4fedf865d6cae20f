"""What tests take from npm; `.ci/run` installs it, and so does ``npm install`` in this folder's ``node``."""

import shutil
from pathlib import Path

_MODULES = Path(__file__).with_name("node") / "node_modules"
NODE = shutil.which("node") if _MODULES.is_dir() else None


def node_file(name: str) -> Path:
    """A file of an installed package."""
    return _MODULES / name
