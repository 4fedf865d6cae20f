"""Load an inventory: read all sources, settle the groups, fold the variables, check the whole."""

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from chargehand.errors import InventoryError, Place, Problem
from chargehand.host import Host
from chargehand.inventory.check import check_hosts
from chargehand.inventory.draft import EVERYBODY, Draft
from chargehand.inventory.files import Files
from chargehand.inventory.groups import GroupGraph, settle
from chargehand.inventory.model import Inventory
from chargehand.inventory.program import ProgramLimits, Programs
from chargehand.inventory.source import SourceReader
from chargehand.inventory.varfiles import VarFiles
from chargehand.inventory.variables import Variables
from chargehand.secret import Secret

MAX_HOSTS = 100_000
_ID_NAMES = ("id", "foreman_id")


def load(
    sources: Sequence[str],
    *,
    base: Path,
    playbook_dir: Path | None = None,
    programs: Programs = "run",
    vault_passwords: Sequence[Secret] = (),
    program_timeout_s: float = 30.0,
    max_hosts: int = MAX_HOSTS,
) -> Inventory:
    """Load an inventory from Ansible's sources, read left to right; later variables override.

    Args:
        sources: Files, folders, programs, or host lists such as ``web1,web2``.
        base: What relative sources are relative to.
        playbook_dir: Its ``group_vars/`` and ``host_vars/`` override those beside the sources.
        programs: What becomes of executable sources and inventory plugins.
        vault_passwords: Without any, ``!vault`` values stay `chargehand.document.Vaulted`.
        program_timeout_s: For each program.
        max_hosts: More are refused, before memory is spent on them.

    Raises:
        InventoryError: With every problem found. Unlike Ansible, a source that is missing or cannot be
            read is one: a run against half an inventory is no run.

    Source:
        ansible-core 2.19; ``VARIABLE_PRECEDENCE`` and all other settings as by default.
    """
    with _without_collecting():
        return _load(
            sources,
            Files(base=base, vault_passwords=vault_passwords),
            Draft(max_hosts),
            programs,
            ProgramLimits(timeout_s=program_timeout_s),
            playbook_dir,
        )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep the garbage collector out: it would walk all that was read again and again, and find nothing.

    In the end it counts as old, so that it is not walked as soon as there is a collector again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _load(
    sources: Sequence[str],
    files: Files,
    draft: Draft,
    programs: Programs,
    limits: ProgramLimits,
    playbook_dir: Path | None,
) -> Inventory:
    reader = SourceReader(draft=draft, files=files, programs=programs, program_limits=limits)
    try:
        folders = [folder for source in sources if (folder := reader.read(source)) is not None]
        graph = settle(draft)
        folders = [*_last_of_each(folders), *([playbook_dir] if playbook_dir else ())]
        beside = [VarFiles(folder, files, draft) for folder in folders]
        variables = Variables(draft, graph, beside)
    except OSError as error:
        draft.refuse(f"cannot be read: {error.strerror}", Place(str(error.filename)))
        raise InventoryError(draft.problems) from error
    if not sources:
        draft.refuse("no inventory source is given", None)
    if any(problem.severity == "error" for problem in draft.problems):
        raise InventoryError(draft.problems)
    return _compose(graph, variables, draft.problems)


def _last_of_each(folders: Sequence[Path]) -> list[Path]:
    """Each folder once, at its last position: there its variables would override anyway."""
    return list(dict.fromkeys(reversed(folders)))[::-1]


def _compose(graph: GroupGraph, variables: Variables, found: Sequence[Problem]) -> Inventory:
    """The inventory with its warnings.

    Raises:
        InventoryError: It has errors.
    """
    hosts, declared = [], {}
    for position, name in enumerate(graph.members[EVERYBODY], start=1):
        values, number = variables.values(name), position
        if (id_name := _declared_id(values)) is not None:
            declared[name], number = id_name, int(str(values[id_name]))
        hosts.append(Host(name=name, id=number, groups=variables.groups(name), vars=values))
    inventory = Inventory(
        hosts=tuple(hosts),
        groups=graph.members,
        levels=variables.levels,
        everybody=variables.everybody(),
    )
    problems = (*found, *check_hosts(hosts, inventory.groups, declared, inventory.place))
    if any(problem.severity == "error" for problem in problems):
        raise InventoryError(problems)
    return replace(inventory, warnings=problems) if problems else inventory


def _declared_id(values: Mapping[str, object]) -> str | None:
    """The variable that gives a host its id: a whole number, or text made of digits."""
    for name in _ID_NAMES:
        value = values.get(name)
        if (
            isinstance(value, (int, str))
            and not isinstance(value, bool)
            and re.fullmatch(r"[0-9]{1,18}", str(value))
        ):
            return name
    return None
