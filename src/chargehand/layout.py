"""Layout: where the parts of a user's repository lie."""

import os
from pathlib import Path

from chargehand.settings import FILE_NAME

PLAYBOOKS = "playbooks"
INVENTORY = "inventory"
JOB_SUFFIXES = (".yml", ".yaml", ".json")
_MARKS = (FILE_NAME, PLAYBOOKS, INVENTORY)


def find_root(path: Path) -> Path:
    """The nearest folder, from `path` upwards, that looks like a project; `path` when none does.

    A project has a ``chargehand.toml``, a ``playbooks/`` or an ``inventory/``. Found from a relative path
    it is relative as well, so that messages name files as people see them.
    """
    begin = path.resolve()
    for folder in (begin, *begin.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder if path.is_absolute() else Path(os.path.relpath(folder))
    return path


def state_folder(root: Path) -> Path:
    """Where a project keeps what was run; no part of what git keeps."""
    return root.resolve() / ".chargehand"


def job_files(root: Path) -> tuple[Path, ...]:
    """Every job file of a project, by name."""
    found = (path for suffix in JOB_SUFFIXES for path in (root / PLAYBOOKS).glob(f"*{suffix}"))
    return tuple(sorted(path for path in found if not path.name.startswith(".")))
