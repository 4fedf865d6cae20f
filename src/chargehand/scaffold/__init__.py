"""Scaffold: the small working project that ``chargehand init`` writes.

Its files lie in ``project/`` beside this module, exactly as they are written.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from chargehand.errors import UsageError
from chargehand.frozen import frozen

_PROJECT = Path(__file__).parent / "project"


@frozen(kw_only=False)
class Written:
    """One file of the scaffold.

    Attributes:
        path: Relative to the project.
        new: Whether it was written; a file that is there already is left as it is.
    """

    path: Path
    new: bool


def write_project(folder: Path, schema: Path) -> list[Written]:
    """Write the scaffold into `folder`, which may exist; no file that exists is touched.

    Args:
        folder: The project to be.
        schema: The job file's JSON Schema, copied for editors.

    Raises:
        UsageError: The folder cannot be written.
    """
    sources = [*_files(), (schema, Path("schemas") / schema.name)]
    try:
        return [_write(source, folder, path) for source, path in sorted(sources, key=lambda pair: pair[1])]
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None


def _files() -> Iterator[tuple[Path, Path]]:
    for source in _PROJECT.rglob("*"):
        if source.is_file():
            yield source, source.relative_to(_PROJECT)


def _write(source: Path, folder: Path, path: Path) -> Written:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open("rb") as content, target.open("xb") as file:
            shutil.copyfileobj(content, file)
    except FileExistsError:
        return Written(path, new=False)
    return Written(path, new=True)
