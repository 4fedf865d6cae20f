"""``group_vars/`` and ``host_vars/``: files with the variables of one group or host."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from chargehand.errors import InvalidError
from chargehand.inventory.draft import GROUP_PRIORITY, Draft, Layer
from chargehand.inventory.files import Files

_ENDINGS = ("", ".yml", ".yaml", ".json")


class VarFiles:
    """The ``group_vars/`` and ``host_vars/`` beside one inventory source or playbook."""

    def __init__(self, folder: Path, files: Files, draft: Draft) -> None:
        self._groups = _list(folder / "group_vars")
        self._hosts = _list(folder / "host_vars")
        self._files = files
        self._draft = draft

    def group_layers(self, name: str) -> list[Layer]:
        """Variables of a group, lowest precedence first."""
        layers = self._load(self._groups, name)
        for layer in layers:
            if GROUP_PRIORITY in layer.values:
                message = f"{GROUP_PRIORITY} has no effect in group_vars"
                self._draft.warn(message, layer.where(GROUP_PRIORITY), "set it in the inventory itself")
        return layers

    def host_layers(self, name: str) -> list[Layer]:
        """Variables of a host, lowest precedence first."""
        return self._load(self._hosts, name)

    def _load(self, entries: Mapping[str, Path], name: str) -> list[Layer]:
        if name not in entries:
            return []
        found = entries[name]
        paths = _walk(found) if found.is_dir() else [found]
        return [layer for path in paths if (layer := self._load_file(path)) is not None]

    def _load_file(self, path: Path) -> Layer | None:
        """The variables of one file; None when it is refused, with its problems noted."""
        try:
            layer, warnings = self._files.load_vars(path)
        except InvalidError as error:
            self._draft.problems.extend(error.problems)
            return None
        self._draft.problems.extend(warnings)
        return layer


def _list(folder: Path) -> dict[str, Path]:
    """What belongs to a name: `name`, a folder or a file, hides `name.yml`, `name.yaml` and `name.json`."""
    found = {entry.name: entry for entry in folder.iterdir()} if folder.is_dir() else {}
    return {
        name.removesuffix(ending): found[name]
        for ending in reversed(_ENDINGS)
        for name in found
        if name.endswith(ending)
    }


def _walk(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Files of a folder and of those in it, by name; hidden ones, backups and link loops are left out."""
    above |= {folder.resolve()}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name.endswith("~"):
            continue
        if entry.is_dir():
            if not entry.suffix and entry.resolve() not in above:
                yield from _walk(entry, above)
        elif entry.suffix in _ENDINGS:
            yield entry
