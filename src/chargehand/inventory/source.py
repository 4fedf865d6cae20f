"""One inventory source, recognised as Ansible recognises it: list of hosts, folder, program or file."""

import os
import tomllib
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

from chargehand.document import YAML_11, Document, parse
from chargehand.errors import InvalidError, Place, Problem, Severity, did_you_mean
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.inventory.address import split_port
from chargehand.inventory.draft import UNGROUPED, Draft
from chargehand.inventory.files import Files, locate_in
from chargehand.inventory.ini import begins_as_ini, read_ini
from chargehand.inventory.listing import looks_like_listing, read_listing
from chargehand.inventory.program import (
    PROGRAM_RULE,
    Program,
    ProgramLimits,
    Programs,
    is_program,
)
from chargehand.inventory.tree import Tree, read_tree
from chargehand.program import ProgramError

_MAPPING = expression(r":(\s|\Z)|\{|\$ANSIBLE_VAULT;")  # without these a text is no YAML or JSON mapping
_OUR_FILES = frozenset({"bookmarks.yml", "taxonomies.yml"})
_SKIPPED_NAMES = frozenset({"host_vars", "group_vars", "vars_plugins"})
_SKIPPED_ENDING = expression(r"(\.(pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry)|~)\Z")
_TREE_ENDINGS = ("", ".yml", ".yaml", ".json")
_BRIDGE = "ansible-inventory"


@frozen
class SourceReader:
    """Adds sources to a draft.

    Attributes:
        draft: What is added to; takes the problems too.
        files: Reads them.
        programs: What becomes of executable inventories.
        program_limits: For each of them.
    """

    draft: Draft
    files: Files
    programs: Programs
    program_limits: ProgramLimits

    def read(self, source: str) -> Path | None:
        """Read one source; gives the folder whose ``group_vars/`` and ``host_vars/`` belong to it."""
        path = self.files.base / Path(source).expanduser()
        if "," in source and not _exists(path):
            self._read_host_list(source)
            return None
        if not _exists(path):
            self._refuse_missing(source, path)
            return None
        if not path.is_dir():
            self._read_file(path)
            return path.parent
        if not self._read_folder(path, frozenset()):
            self.draft.refuse("the folder holds no inventory file", Place(self.files.shown(path)))
        return path

    def _read_host_list(self, source: str) -> None:
        place = Place("<host list>")
        for word in filter(None, map(str.strip, source.split(","))):
            name, port = (word, None) if word.find("[") > 0 else split_port(word)
            self.draft.add_host(name, UNGROUPED, lambda: place, port)

    def _refuse_missing(self, source: str, path: Path) -> None:
        beside = [entry.name for entry in path.parent.iterdir()] if _exists(path.parent) else []
        hint = did_you_mean(path.name, beside) or f"looked in {path.parent}"
        self.draft.refuse(f"inventory source `{source}` does not exist", Place(source), hint)

    def _read_folder(self, folder: Path, above: frozenset[Path]) -> bool:
        """Read a folder's files by name, folders in it included; whether there was any file."""
        above |= {folder.resolve()}
        found = False
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            if _is_skipped(path.name) or (len(above) == 1 and path.name in _OUR_FILES):
                continue
            if not path.is_dir():
                self._read_file(path)
                found = True
            elif path.resolve() not in above:
                found |= self._read_folder(path, above)
        return found

    def _read_file(self, path: Path) -> None:
        try:
            if path.is_file() and is_program(path):
                self._read_program(path)
            elif path.suffix == ".toml":
                self._read_toml(path)
            elif path.suffix in _TREE_ENDINGS:
                self._read_tree_or_ini(path)
            else:
                read_ini(self.draft, self.files.read_source(path), self.files.shown(path))
        except InvalidError as error:
            self.draft.problems.extend(error.problems)

    def _read_program(self, path: Path) -> None:
        if self.programs != "run":
            self._leave("the inventory program", Place(self.files.shown(path)))
            return
        program = Program([os.path.abspath(path)], self.program_limits)  # noqa: PTH100  # resolve() would follow links
        self._ask(program, ["--list"], path)

    def _leave(self, what: str, place: Place) -> None:
        """Tell of what is not run."""
        severity: Severity = "warning" if self.programs == "skip" else "error"
        message = f"{what} was not run, so its hosts are missing here"
        hint = "if you trust it, --run-programs or the setting `run_programs` lets it run"
        self.draft.problems.append(Problem(message, place, hint, PROGRAM_RULE, severity))

    def _ask(self, program: Program, arguments: list[str], path: Path) -> None:
        place = Place(self.files.shown(path))
        try:
            read_listing(self.draft, program.ask(*arguments), place, partial(program.ask, "--host"))
        except ProgramError as error:
            self.draft.refuse(f"the inventory program {error}", place)

    def _read_toml(self, path: Path) -> None:
        place = Place(self.files.shown(path))
        try:
            root = tomllib.loads(self.files.read_source(path))
        except tomllib.TOMLDecodeError as error:
            self.draft.refuse(f"not valid TOML: {error}", place)
            return
        read_tree(self.draft, {name: _with_children(group) for name, group in root.items()}, lambda _: place)

    def _read_tree_or_ini(self, path: Path) -> None:
        """Read YAML or JSON when it is a mapping, INI when that makes sense of it, as Ansible would."""
        text, shown = self.files.read_source(path), self.files.shown(path)
        if begins_as_ini(text) or not _MAPPING.search(text):
            read_ini(self.draft, text, shown)
            return
        try:
            document = parse(text, shown, dialect=YAML_11)
        except InvalidError as error:
            if not self._read_if_ini(text, shown):
                self.draft.problems.extend(error.problems)
            return
        if isinstance(document.data, Mapping) and document.data:
            self._read_document(path, document)
        elif not self._read_if_ini(text, shown):
            message = "expected an inventory: a mapping of groups (YAML), or lines of hosts (INI)"
            self.draft.refuse(message, Place(shown, 1))

    def _read_if_ini(self, text: str, shown: str) -> bool:
        trial = Draft(self.draft.max_hosts)
        for name in self.draft.groups:
            trial.add_group(name)
        read_ini(trial, text, shown)
        if any(problem.severity == "error" for problem in trial.problems):
            return False
        read_ini(self.draft, text, shown)
        return True

    def _read_document(self, path: Path, document: Document) -> None:
        self.draft.problems.extend(document.warnings)
        root = self.files.open_vaults(document.data, lambda: Place(document.file))
        if not isinstance(root, Mapping):
            return
        if root.get("plugin"):
            self._bridge_plugin(path, str(root["plugin"]))
        elif path.suffix == ".json" and looks_like_listing(root):
            read_listing(self.draft, _text_keys(root), Place(document.file))
        else:
            read_tree(self.draft, root, locate_in(document))

    def _bridge_plugin(self, path: Path, plugin: str) -> None:
        """Let Ansible run one of its inventory plugins."""
        place = Place(self.files.shown(path), 1)
        if self.programs != "run":
            self._leave(f"the inventory plugin `{plugin}`", place)
            return
        program = import_module("shutil").which(_BRIDGE)
        if program is None or plugin.rpartition(".")[2] == "constructed":
            reason = (
                "works on other sources, which is not supported"
                if program
                else f"needs `{_BRIDGE}`, which is not installed"
            )
            self.draft.refuse(f"the inventory plugin `{plugin}` {reason}", place)
            return
        bridge = Program(
            [program, "-i", str(path), "--export"],
            self.program_limits,
            {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
        )
        self._ask(bridge, ["--list"], path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a long list of hosts is too long for a file name
        return False


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED_NAMES or _SKIPPED_ENDING.search(name) is not None


def _with_children(group: object) -> object:
    """A TOML group with its list of children as the mapping that YAML has."""
    if isinstance(group, Mapping) and isinstance(group.get("children"), list):
        return {**group, "children": dict.fromkeys(map(str, group["children"]))}
    return group


def _text_keys(root: Tree) -> dict[str, object]:
    return {str(name): group for name, group in root.items()}
