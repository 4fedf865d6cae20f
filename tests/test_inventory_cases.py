"""Every inventory under `cases/inventory/` against what Ansible itself says of it.

`expected.json` of a case is Ansible's answer, kept so that the cases need no Ansible; one test asks
the real program for all of them again. `cases/inventory_differences.json` lists where we differ on purpose.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.document import Vaulted
from chargehand.errors import InventoryError, SearchError
from chargehand.inventory import Inventory, load
from chargehand.secret import Secret

HERE = Path(__file__).parent
CASES = HERE / "cases" / "inventory"
DIFFERENCES = json.loads((HERE / "cases" / "inventory_differences.json").read_text())
NAMES = sorted(folder.name for folder in CASES.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_an_inventory_means_what_ansible_says(name):
    expected = json.loads((CASES / name / "expected.json").read_text())
    difference = DIFFERENCES.get(name, {})
    if "error" in difference or ("error" in expected and "hosts" not in difference):
        with pytest.raises(InventoryError) as caught:
            read_case(name)
        assert difference.get("error", "") in str(caught.value)
        assert all(problem.place for problem in caught.value.problems)
        return
    inventory = read_case(name)
    if "hosts" in difference:
        assert [host.name for host in inventory] == difference["hosts"]
        return
    assert describe(inventory) == (expected["hosts"], expected["groups"])
    assert [host.name for host in inventory] == list(expected["hosts"])
    assert [host.id for host in inventory] == list(range(1, len(inventory) + 1))
    for pattern, names in {**expected["patterns"], **difference.get("patterns", {})}.items():
        assert choose(inventory, pattern) == names or names in choose(inventory, pattern), pattern


def test_ansible_still_says_what_the_cases_expect():
    answers = ask_ansible([CASES / name for name in NAMES])
    assert answers == {name: json.loads((CASES / name / "expected.json").read_text()) for name in NAMES}


def test_every_difference_is_one_and_has_a_reason():
    assert set(DIFFERENCES) <= set(NAMES)
    assert all(difference["reason"] for difference in DIFFERENCES.values())


def test_every_value_can_be_explained():
    for name in NAMES:
        expected = json.loads((CASES / name / "expected.json").read_text())
        if "error" in expected or "error" in DIFFERENCES.get(name, {}):
            continue
        inventory = read_case(name)
        for host in inventory:
            for variable, value in inventory.shown_vars(host.name).items():
                origins = inventory.explain(host.name, variable)
                assert [origin.wins for origin in origins] == [False] * (len(origins) - 1) + [True]
                assert repr(origins[-1].value) == repr(value)


def read_case(name: str) -> Inventory:
    folder = CASES / name
    settings = folder / "case.json"
    case = json.loads(settings.read_text()) if settings.exists() else {}
    return load(
        case.get("sources", ["hosts"]),
        base=folder,
        playbook_dir=folder / case["playbook_dir"] if "playbook_dir" in case else None,
        vault_passwords=[Secret(case["vault_password"])] if "vault_password" in case else [],
    )


def choose(inventory: Inventory, pattern: str) -> list[str] | str:
    try:
        return [host.name for host in inventory.match(pattern)]
    except SearchError as error:
        return str(error)


def describe(inventory: Inventory) -> tuple[object, object]:
    hosts = {host.name: {"groups": list(host.groups), "vars": as_json(host.vars)} for host in inventory}
    return hosts, {name: list(hosts) for name, hosts in inventory.groups.items()}


def as_json(value: object) -> object:
    """Plain data as it comes back from JSON, secrets revealed."""
    return json.loads(json.dumps(value, default=reveal))


def reveal(value: Secret | Vaulted) -> str:
    return value.reveal() if isinstance(value, Secret) else "<encrypted>"


def ask_ansible(folders: list[Path]) -> dict[str, object]:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": "/nonexistent/ansible.cfg",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    }
    command = [sys.executable, HERE / "inventory_oracle.py", *folders]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=50, check=True)
    return json.loads(done.stdout)
