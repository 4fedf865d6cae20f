"""Who a script runs as, with nothing in the job but the usual `effective_user: root`."""

from collections.abc import Iterator

import pytest

from repository import Repository, reached
from sshd import Account, Sshd

pytestmark = [pytest.mark.sshd, pytest.mark.root]

SCRIPT = 'echo "$(id -un) ${SUDO_USER-by login}"'


@pytest.fixture
def account() -> Iterator[Account]:
    with Account() as made:
        yield made


def told(repository: Repository, **ssh: str) -> str:
    """What the one host says about who it runs as."""
    answer = repository.run(repository.job(SCRIPT, parameters={"ssh": ssh} if ssh else {}))
    (result,) = answer.results.values()
    return str(result["stdout"].strip() or result["code"])


def test_no_switch_to_who_is_logged_in_anyway(repository: Repository, sshd: Sshd) -> None:
    """Nobody names the ssh user here, so it is who runs the command; the host may well have no sudo."""
    variables = reached(sshd)
    del variables["ansible_user"]
    repository.settings(known_hosts_files=[str(sshd.known_hosts)], effective_user=None)
    repository.hosts({"web1": variables})
    assert told(repository) == "root by login"


def test_no_switch_when_ssh_config_names_the_effective_user(
    repository: Repository, sshd: Sshd, account: Account
) -> None:
    config = repository.root / "ssh_config"
    config.write_text(f"Host 127.0.0.1\n  User {account.name}\n")
    variables = reached(sshd)
    del variables["ansible_user"]
    repository.settings(known_hosts_files=[str(sshd.known_hosts)], ssh_config_file=str(config))
    repository.hosts({"web1": variables})
    assert told(repository, effective_user=account.name) == f"{account.name} by login"
    account.may_sudo("(ALL) NOPASSWD: ALL")
    assert told(repository, effective_user="root") == f"root {account.name}"


def test_no_switch_on_this_machine_either(repository: Repository) -> None:
    repository.settings(effective_user=None)
    repository.hosts({"here": {"ansible_connection": "local"}})
    assert told(repository) == "root by login"


def test_a_login_that_is_not_the_effective_user_switches_or_says_why_not(
    repository: Repository, sshd: Sshd, account: Account
) -> None:
    repository.settings(known_hosts_files=[str(sshd.known_hosts)], effective_user=None)
    repository.hosts({"web1": reached(sshd, ansible_user=account.name)})
    assert told(repository) == "become-password-required"
    account.may_sudo("(ALL) NOPASSWD: ALL")
    assert told(repository) == f"root {account.name}"
    assert told(repository, effective_user=account.name) == f"{account.name} by login"
