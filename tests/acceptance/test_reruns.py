"""A run again, on real hosts: exactly those that are asked for, with the files of now or of then."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repository import Answer, Repository, reached
from sshd import Sshd, wait_until

pytestmark = pytest.mark.sshd

Hosts = Callable[..., Repository]
REFUSING = {"ansible_port": 1}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


def noting(ledger: Path, then: str = "true") -> str:
    return f"echo {{{{ host.name }}}} >> {ledger}\n{then}\n"


def took(ledger: Path) -> list[str]:
    """The hosts that ran a script since the last look."""
    found = sorted(ledger.read_text().split())
    ledger.write_text("")
    return found


def number(answer: Answer) -> str:
    return str(answer.document["id"])


def git(repository: Repository, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", *who, *words], cwd=repository.root, capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout.strip()


def commit(repository: Repository) -> str:
    if not (repository.root / ".git").exists():
        git(repository, "init", "--quiet")
        (repository.root / ".gitignore").write_text(".*\nwork/\nstdout\nstderr\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "m")
    return git(repository, "rev-parse", "HEAD")


def rerun(repository: Repository, *words: str) -> Answer:
    return repository.chargehand("rerun", *words, "-o", "json")


def mixed(repository: Repository, sshd: Sshd, ledger: Path, **own: Any) -> Answer:
    """A run of which web1 succeeded, web2 and web3 failed, and web4 was not reached."""
    there = {name: reached(sshd) for name in ("web1", "web2", "web3")}
    repository.hosts(there | {"web4": reached(sshd, **REFUSING)})
    answer = repository.run(repository.job(noting(ledger, "[ {{ host.name }} = web1 ]"), **own))
    assert answer.statuses == {
        "web1": "succeeded",
        "web2": "failed",
        "web3": "failed",
        "web4": "unreachable",
    }
    assert took(ledger) == ["web1", "web2", "web3"]
    return answer


@pytest.mark.parametrize("targeting_type", ["static_query", "dynamic_query"])
@pytest.mark.parametrize(
    ("flags", "ran"),
    [
        (["--failed"], ["web2", "web3"]),
        (["--unreached"], ["web4"]),
        (["--succeeded"], ["web1"]),
        (["--failed", "--unreached"], ["web2", "web3", "web4"]),
        ([], ["web1", "web2", "web3", "web4"]),
    ],
)
def test_a_part_of_the_hosts_is_that_part_on_static_and_dynamic_jobs(
    hosts: Hosts, sshd: Sshd, ledger: Path, flags: list[str], ran: list[str], targeting_type: str
) -> None:
    repository = hosts()
    first = mixed(repository, sshd, ledger, parameters={"targeting_type": targeting_type})
    repository.hosts({f"web{each}": reached(sshd) for each in range(1, 6)})  # another one matches now
    again = rerun(repository, number(first), *flags)
    assert list(again.statuses) == ran == took(ledger)
    provenance = again.document["provenance"]
    assert (provenance["trigger"], provenance["rerun_of"]) == ("rerun", first.document["id"])
    assert [each["name"] for each in again.document["targeting"]["hosts"]] == ran


def test_nobody_is_nobody(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1", "web2")
    first = repository.run(repository.job(noting(ledger)))
    assert took(ledger) == ["web1", "web2"]
    again = rerun(repository, number(first), "--failed")
    assert (again.code, took(ledger)) == (4, [])
    assert "no host of invocation" in again.stderr
    assert "nothing is run" in again.stderr


def test_the_command_that_a_failed_run_tells_repeats_what_failed(
    hosts: Hosts, sshd: Sshd, ledger: Path
) -> None:
    repository = hosts()
    mixed(repository, sshd, ledger)
    answer = repository.chargehand("run", "playbooks/job.json")
    took(ledger)
    told = answer.stdout.splitlines()[-1].split()
    assert told[:2] == ["chargehand", "rerun"]
    assert told[3:] == ["--failed", "--unreached"]
    again = repository.chargehand(*told[1:], "--list-hosts")
    assert again.stdout.split() == ["web2", "web3", "web4"]
    assert took(ledger) == []


def test_the_command_asks_for_a_hidden_input_and_never_tells_it(hosts: Hosts) -> None:
    repository = hosts("web1")
    declared = [{"name": "token", "hidden_value": True}]
    file = repository.job("exit 1", template_inputs=declared)
    told = repository.chargehand("run", file, "-e", "token=t0ken-canary").stdout.splitlines()[-1]
    assert told.endswith("--failed -e 'token=***'")


def test_where_nothing_is_recorded_the_command_names_the_hosts(hosts: Hosts, sshd: Sshd) -> None:
    repository = hosts("web1", "web2")
    repository.settings(known_hosts_files=[str(sshd.known_hosts)], store="off")
    answer = repository.chargehand("run", repository.job("exit 1"), "-f", "1")
    assert answer.stdout.endswith("/job.json -f 1 -l web1,web2\n")


def test_the_random_order_of_a_run_is_kept(hosts: Hosts) -> None:
    names = [f"web{number}" for number in range(12)]
    repository = hosts(*names)
    first = repository.run(repository.job("exit 1", parameters={"randomized_ordering": True}))
    again = rerun(repository, number(first), "--failed")
    assert list(again.results) == list(first.results)
    assert sorted(again.results) == sorted(names)


def test_a_host_that_is_gone_stops_the_rerun_unless_it_may_be_left_out(
    hosts: Hosts, sshd: Sshd, ledger: Path
) -> None:
    repository = hosts("web1", "web2", "web3")
    first = repository.run(repository.job(noting(ledger)))
    repository.hosts({"web1": reached(sshd), "web9": reached(sshd)})
    took(ledger)
    refused = rerun(repository, number(first))
    assert (refused.code, took(ledger)) == (4, [])
    assert "`web2`, `web3`" in refused.stderr
    assert "--skip-missing" in refused.stderr
    again = rerun(repository, number(first), "--skip-missing")
    assert (again.code, took(ledger)) == (0, ["web1"])
    assert again.document["missing"] == 2
    assert "left out, not in the inventory any more: `web2`, `web3`" in again.stderr
    shown = repository.chargehand("show", "last", "-o", "json")
    assert shown.document["missing"] == 2


TEMPLATE = "{# \nname: Note\njob_category: Tests\nprovider_type: script\n#}\n"


def test_a_run_is_repeated_at_its_commit_after_job_template_and_inventory_changed(
    hosts: Hosts, sshd: Sshd, ledger: Path
) -> None:
    repository = hosts()
    template = repository.root / "playbooks" / "templates" / "note.j2"
    template.parent.mkdir()
    template.write_text(
        TEMPLATE + f"echo {{{{ host.name }}}}-{{{{ host_param('kind') }}}}-then >> {ledger}\n"
    )
    repository.hosts({name: reached(sshd, kind="then") for name in ("web1", "web2")})
    body = {"job_template_id": "Note", "targeting_type": "static_query", "search_query": "*"}
    file = repository.jobs({"name": "Note", "job_invocation": body})
    then = commit(repository)
    first = repository.run(file)
    assert first.document["provenance"]["commit"] == then
    assert first.document["provenance"]["dirty"] is False
    assert took(ledger) == ["web1-then-then", "web2-then-then"]

    template.write_text(TEMPLATE + f"echo {{{{ host.name }}}}-{{{{ host_param('kind') }}}}-now >> {ledger}\n")
    repository.hosts({name: reached(sshd, kind="now") for name in ("web1", "web2")})
    commit(repository)
    again = rerun(repository, number(first))
    assert took(ledger) == ["web1-now-now", "web2-now-now"]
    assert f"those of invocation {number(first)} were of commit {then[:12]}" in again.stderr

    template.unlink()
    file.unlink()
    repository.hosts({"db1": reached(sshd)})
    commit(repository)
    assert "--recorded" in rerun(repository, number(first)).stderr
    recorded = rerun(repository, number(first), "--recorded")
    assert took(ledger) == ["web1-then-then", "web2-then-then"]
    assert recorded.document["provenance"]["commit"] == then
    assert recorded.document["provenance"]["playbook"] == "playbooks/job.json"
    listed = repository.chargehand("list", "-o", "json").document
    assert json.dumps(listed).count(f'"rerun_of": {number(first)}') == 2


@pytest.mark.parametrize("state", ["outside of git", "changed", "commit gone"])
def test_recorded_files_that_cannot_be_had_are_refused(hosts: Hosts, ledger: Path, state: str) -> None:
    repository = hosts("web1")
    file = repository.job(noting(ledger))
    if state != "outside of git":
        commit(repository)
    if state == "changed":
        repository.job(noting(ledger, "true # changed"))
    first = repository.run(file)
    if state == "commit gone":
        subprocess.run(["rm", "-rf", ".git"], cwd=repository.root, check=True)
        (repository.root / "another").write_text("commit, though it is made in the same second\n")
        commit(repository)
    took(ledger)
    refused = rerun(repository, number(first), "--recorded")
    assert (refused.code, took(ledger)) == (2, [])
    assert "leave out --recorded" in refused.stderr


def test_what_the_command_line_said_holds_again_and_secrets_must_be_given_again(
    hosts: Hosts, ledger: Path
) -> None:
    repository = hosts("web1")
    declared = [{"name": "greeting", "default": "hello"}, {"name": "token", "hidden_value": True}]
    script = f"echo {{{{ input('greeting') }}}}-{{{{ input('token') }}}} >> {ledger}"
    file = repository.job(script, template_inputs=declared)
    first = repository.run(file, "-e", "greeting=bye", "-e", "token=t0ken-canary", "-f", "1")
    assert took(ledger) == ["bye-t0ken-canary"]
    refused = rerun(repository, number(first))
    assert (refused.code, took(ledger)) == (2, [])
    assert "give again: -e token=VALUE" in refused.stderr
    again = rerun(repository, number(first), "-e", "token=another")
    assert took(ledger) == ["bye-another"]
    assert again.document["concurrency_level"] == 1
    kept = b"".join(
        path.read_bytes() for path in (repository.root / ".chargehand").rglob("*") if path.is_file()
    )
    assert b"t0ken-canary" not in kept


def test_a_schedule_is_never_repeated(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1")
    recurrence = {"cron_line": "0 3 * * *", "purpose": "nightly"}
    file = repository.job(noting(ledger), parameters={"recurrence": recurrence})
    first = repository.run(file)
    again = rerun(repository, number(first))
    assert took(ledger) == ["web1", "web1"]
    assert "recurrence" not in again.document


def test_a_command_is_repeated_without_a_file(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1", "web2")
    first = repository.chargehand("exec", "web2", "-o", "json", "--", f"echo $(whoami) >> {ledger}; exit 3")
    (user,) = took(ledger)
    again = rerun(repository, number(first), "--failed")
    assert (list(again.statuses), took(ledger)) == (["web2"], [user])


def test_what_still_runs_is_not_repeated(hosts: Hosts, ledger: Path) -> None:
    repository = hosts("web1")
    file = repository.job(noting(ledger, "sleep 60"))
    with repository.start("run", file):
        wait_until(ledger.read_text, 60, "it runs")
        refused = rerun(repository, "last")
    assert refused.code == 2
    assert "still runs" in refused.stderr
