"""Ask Ansible itself what inventories mean: ``python inventory_oracle.py FOLDER…`` prints JSON.

Run as a program of its own, for Ansible is a tool of the tests and never part of the product.
Every folder holds the files of one inventory, and `case.json`:
``{"sources": [...], "playbook_dir": "...", "patterns": [...]}``, all optional.
"""

import json
import os
import sys
from datetime import date
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret, VaultSecretsContext
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.manager import VariableManager

MAGIC = {
    "ansible_check_mode", "ansible_config_file", "ansible_diff_mode", "ansible_facts", "ansible_forks",
    "ansible_inventory_sources", "ansible_limit", "ansible_playbook_python", "ansible_run_tags",
    "ansible_skip_tags", "ansible_verbosity", "ansible_version", "group_names", "groups", "inventory_dir",
    "inventory_file", "inventory_hostname", "inventory_hostname_short", "omit", "playbook_dir",
}  # fmt: skip


def describe(folder: Path) -> dict[str, object]:
    os.chdir(folder)
    case = json.loads((folder / "case.json").read_text()) if (folder / "case.json").exists() else {}
    loader = DataLoader()
    loader.set_vault_secrets(VaultSecretsContext.current().secrets)
    sources = [source if "," in source else str(folder / source) for source in case.get("sources", ["hosts"])]
    try:
        inventory = InventoryManager(loader=loader, sources=sources)
        variables = VariableManager(loader=loader, inventory=inventory)
        if "playbook_dir" in case:
            loader.set_basedir(str(folder / case["playbook_dir"]))
        else:
            loader.set_basedir("/nonexistent")
        return {
            "hosts": {host.name: describe_host(host, variables) for host in inventory.get_hosts()},
            "groups": {
                name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()
            },
            "patterns": {pattern: choose(pattern, inventory) for pattern in case.get("patterns", [])},
        }
    except (AnsibleError, ValueError, TypeError) as error:
        return {"error": type(error).__name__}


def choose(pattern: str, inventory: InventoryManager) -> list[str]:
    try:
        return [host.name for host in inventory.get_hosts(pattern)]
    except AnsibleError:  # a subscript out of range; the command line tells of no host
        return []


def describe_host(host, variables: VariableManager) -> dict[str, object]:
    found = variables.get_vars(host=host, include_hostvars=False, stage="all")
    return {
        "groups": found["group_names"],
        "vars": {str(name): value for name, value in found.items() if name not in MAGIC},
    }


def as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else str(value)


def main() -> None:
    init_plugin_loader([])
    VaultSecretsContext.initialize(VaultSecretsContext(secrets=[("default", VaultSecret(b"vault-password"))]))
    stdout = os.dup(1)
    os.dup2(2, 1)  # Ansible prints its warnings where it likes
    folders = [Path(folder).absolute() for folder in sys.argv[1:]]
    answers = {folder.name: describe(folder) for folder in folders}
    with os.fdopen(stdout, "w") as output:
        json.dump(answers, output, default=as_json, sort_keys=False)


if __name__ == "__main__":
    main()
