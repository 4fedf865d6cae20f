"""Stamps: whether a project's files are still those that were read, without reading them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from chargehand.layout import INVENTORY, PLAYBOOKS
from chargehand.project import Project
from chargehand.settings import FILE_NAME

Stamps = frozenset[tuple[str, int, int, int, int]]
"""Of every file: path, inode, size, and when it and its entry changed, in nanoseconds."""


def stamps_of(project: Project) -> Stamps:
    """The stamps of everything that jobs are made of: settings, job files, templates, inventory."""
    root = project.root
    own = (root / FILE_NAME, root / PLAYBOOKS, root / INVENTORY, root / project.settings.templates)
    return frozenset(_stamps({*own, *map(Path, project.sources)}))


def _stamps(paths: Iterable[Path]) -> Iterator[tuple[str, int, int, int, int]]:
    for path in paths:
        try:
            found = path.stat()
        except OSError:  # no file, or one that is gone by now
            continue
        yield str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        if path.is_dir() and not path.is_symlink():
            yield from _stamps(_entries(path))


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry) for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []
