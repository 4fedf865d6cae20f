"""Canaries: secrets of every kind go through real runs, and are looked for everywhere afterwards."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from canaries import Watch, found_below, found_in
from repository import Answer, Repository, job
from sshd import Account, Sshd, make_key

pytestmark = [pytest.mark.sshd, pytest.mark.root]

INPUT = [{"name": "token", "hidden_value": True, "required": True}]
# Tells where it ran, and prints its secret straight, in pieces, encoded and often enough to fill memory.
LOUD = """#!/bin/sh
token={{ input('token') | quote }}
id -un
dirname "$0"
echo "token: $token"; echo "error: $token" >&2
for part in 1 2 3; do printf '%.9s' "$token"; sleep 0.05; printf '%s\\n' "${token#?????????}"; done
printf %s "$token" | base64
i=0; while [ $i -lt 9 ]; do i=$((i + 1)); printf '%s %0300000d\\n' "$token" 0; done
"""


def canary(kind: str) -> str:
    """A secret nobody else has, with characters that shells, URLs and JSON treat as special."""
    return f"{kind}-{secrets.token_hex(8)}$'\"\\ &/%\u00fc"


@dataclass
class Vault:
    """Secrets in files that only their owner may read."""

    folder: Path
    values: list[str] = field(default_factory=list)

    def keep(self, kind: str) -> tuple[str, dict[str, str]]:
        """A new secret and the reference to it."""
        value = canary(kind)
        self.values.append(value)
        return value, self.put(kind, value)

    def put(self, name: str, value: str) -> dict[str, str]:
        """A reference to a file that holds `value`."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
        return {"file": str(path)}


@pytest.fixture
def vault(repository: Repository) -> Vault:
    folder = repository.root / "vault"
    folder.mkdir(mode=0o700)
    scratch = repository.root / "scratch"
    scratch.mkdir()
    repository.environ["TMPDIR"] = str(scratch)
    return Vault(folder)


@dataclass
class Fleet:
    """A host that takes a password and one that takes an encrypted key, sudo on both, and their secrets."""

    repository: Repository
    vault: Vault
    logins: dict[str, dict[str, Any]]
    token: dict[str, str]

    def jobs(self, script: str = LOUD, **changes: object) -> Path:
        """A job for each host; `changes` replace what its login says."""
        return self.repository.jobs(
            [
                job(
                    script,
                    name=host,
                    query=f"name = {host}",
                    template_inputs=INPUT,
                    continue_on_failure=True,
                    parameters={"inputs": {"token": self.token}} | login | changes,
                )
                for host, login in self.logins.items()
            ]
        )


@pytest.fixture
def fleet(repository: Repository, vault: Vault, tmp_path: Path) -> Iterator[Fleet]:
    password, password_at = vault.keep("login")
    sudo, sudo_at = vault.keep("sudo")
    passphrase, passphrase_at = vault.keep("passphrase")
    _, token_at = vault.keep("token")
    (tmp_path / "sshd").mkdir()
    make_key(tmp_path / "sshd" / "client_key", passphrase=passphrase)
    with (
        Sshd(tmp_path / "sshd") as sshd,
        Account(password=password) as by_password,
        Account(password=sudo) as by_key,
    ):
        for account in (by_password, by_key):
            account.may_sudo("(ALL) ALL")
        repository.settings(known_hosts_files=[str(sshd.known_hosts)], remote_working_dir=None)
        place = {"ansible_host": "127.0.0.1", "ansible_port": sshd.port}
        key = {"ansible_user": by_key.name, "ansible_ssh_private_key_file": str(sshd.client_key)}
        repository.hosts({"bypassword": place | {"ansible_user": by_password.name}, "bykey": place | key})

        def become(reference: object) -> dict[str, object]:
            return {"effective_user": "root", "effective_user_password": reference}

        logins = {
            "bypassword": {"password": password_at, "ssh": become(password_at)},
            "bykey": {"key_passphrase": passphrase_at, "ssh": become(sudo_at)},
        }
        yield Fleet(repository, vault, logins, token_at)


def hold(fleet: Fleet, answer: Answer, watch: Watch) -> None:
    """No secret in what was said, in any process while it ran, nor in any file it left."""
    values = fleet.vault.values
    assert watch.rounds > 1
    assert any("sshd" in program for program in watch.programs), "the watch saw nobody"
    assert watch.leaks == set()
    assert found_in(answer.stdout, values) == []
    assert found_in(answer.stderr, values) == []
    assert found_below(fleet.repository.root, values, besides=fleet.vault.folder) == []
    assert list((fleet.repository.root / "scratch").iterdir()) == []


def run(fleet: Fleet, file: Path, *words: str) -> Answer:
    """Run a job file, watched, and hold everything against the canaries."""
    with Watch(fleet.vault.values, fleet.repository.root / "scratch") as watch:
        answer = fleet.repository.chargehand("run", file, *words)
    hold(fleet, answer, watch)
    return answer


@pytest.mark.parametrize("form", ["json", "ndjson", "text"])
def test_a_run_that_succeeds_shows_its_secrets_nowhere(fleet: Fleet, form: str) -> None:
    answer = run(fleet, fleet.jobs(), "-vvv", "-o", form)
    assert answer.code == 0, answer.stderr
    assert "token: ***" in answer.stdout + answer.stderr
    if form == "json":
        for document in answer.document:
            (result,) = document["results"]
            user, folder, *_ = result["stdout"].splitlines()
            assert user == "root"
            assert not Path(folder).exists(), "the host keeps nothing"
            assert result["stderr"] == "error: ***\n"
            assert result["stdout_size_bytes"] > 2_700_000


@pytest.mark.parametrize(
    ("changes", "hosts", "said"),
    [
        ({"ssh": "wrong"}, {"bypassword": "not_started", "bykey": "not_started"}, "password"),
        ({"password": "wrong"}, {"bypassword": "unreachable", "bykey": "succeeded"}, ""),
        ({"key_passphrase": "wrong"}, {"bypassword": "succeeded", "bykey": "unreachable"}, "passphrase"),
        ({"inputs": "fails"}, {"bypassword": "not_started", "bykey": "not_started"}, "refused"),
    ],
    ids=["sudo_password", "login_password", "key_passphrase", "template"],
)
def test_a_run_that_fails_shows_its_secrets_nowhere(
    fleet: Fleet, changes: dict[str, str], hosts: dict[str, str], said: str
) -> None:
    (what,) = changes
    _, wrong = fleet.vault.keep("wrong")
    script, values = LOUD, {what: wrong}
    if what == "ssh":
        values = {"ssh": {"effective_user": "root", "effective_user_password": wrong}}
    elif what == "inputs":
        script, values = "{{ render_error('refused: ' ~ input('token')) }}", {}
    answer = run(fleet, fleet.jobs(script, **values), "-vvv", "-o", "json")
    results = {result["host"]: result for document in answer.document for result in document["results"]}
    assert {host: result["status"] for host, result in results.items()} == hosts
    assert said in " ".join(result["reason"] for result in results.values())


def test_a_host_that_is_down_and_a_bad_template_show_no_secret(fleet: Fleet) -> None:
    fleet.repository.hosts({"bypassword": {"ansible_host": "127.0.0.1", "ansible_port": 1}})
    del fleet.logins["bykey"]
    assert run(fleet, fleet.jobs(), "-vvv", "-o", "json").code == 6
    bad = run(fleet, fleet.jobs("{{ input('token').nothing.at_all }}"), "-vvv", "-o", "json")
    assert bad.document["results"][0]["status"] == "not_started"


@pytest.mark.parametrize("command", ["plan", "render", "validate"])
def test_looking_at_a_job_never_looks_its_secrets_up(fleet: Fleet, command: str) -> None:
    del fleet.logins["bykey"]
    file = fleet.jobs()
    (fleet.repository.root / "vault" / "token").unlink()
    limit = [] if command == "validate" else ["-l", "bypassword"]
    with Watch(fleet.vault.values, fleet.repository.root / "scratch") as watch:
        answer = fleet.repository.chargehand(command, file, *limit)
    assert answer.code == 0, answer.stderr
    assert watch.leaks == set()
    assert ("***" in answer.stdout) == (command != "validate")


def test_a_secret_of_our_environment_reaches_no_other_process(fleet: Fleet) -> None:
    """A variable stands in the environment of the command that was given it, and of no program it starts."""
    del fleet.logins["bykey"]
    value = canary("variable")
    with Watch([value], fleet.repository.root / "scratch") as watch:
        answer = fleet.repository.run(
            fleet.jobs(LOUD + "env\n", inputs={"token": {"env": "TOKEN"}}),
            environ={"TOKEN": value},
            program=True,
        )
    assert answer.code == 0, answer.stderr
    assert found_in(answer.stdout + answer.stderr, [value]) == []
    strangers = [where for where, _ in watch.leaks if "chargehand" not in where]
    assert strangers == []
    assert any(where.startswith("environment") for where, _ in watch.leaks), "the watch saw nothing"
    assert not any(where.startswith("arguments") for where, _ in watch.leaks)
