"""Jobs of one command that follow each other use the same connections."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.connection import ConnectionSettings
from chargehand.provider import NotStarted, Unreachable
from chargehand.ssh import SshProvider, ThreadedSshProvider
from heard import run
from repository import LINES, Repository, job, reached
from sshd import Sshd, wait_until
from strands import in_strand

ADDRESSES = tuple(f"127.0.7.{number}" for number in range(1, 6))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """One server whose log this test alone writes."""
    with Sshd(tmp_path / "sshd", addresses=ADDRESSES, lines=LINES) as server:
        yield server


def logins(server: Sshd) -> int:
    return server.log().count("Accepted publickey")


@pytest.fixture
def fleet(repository: Repository, server: Sshd) -> Repository:
    repository.settings(known_hosts_files=[str(server.known_hosts)])
    repository.hosts({f"web{n}": reached(server, ansible_host=each) for n, each in enumerate(ADDRESSES)})
    return repository


@pytest.mark.parametrize("provider", ["ssh", "ssh-processes", "ssh-threads"])
def test_five_jobs_on_the_same_hosts_log_in_once(fleet: Repository, server: Sshd, provider: str) -> None:
    fleet.settings(known_hosts_files=[str(server.known_hosts)], ssh_provider=provider)
    answer = fleet.run(fleet.jobs([job(f"echo {number}", name=f"job {number}") for number in range(5)]))
    assert answer.code == 0, answer.stderr
    said = [[each["stdout"] for each in document["results"]] for document in answer.document]
    assert said == [[f"{number}\n"] * len(ADDRESSES) for number in range(5)]
    assert logins(server) == len(ADDRESSES)
    assert not server.sessions()
    assert fleet.left() == []


def test_a_job_with_hosts_of_another_kind_comes_in_between(fleet: Repository, server: Sshd) -> None:
    """Hosts of `local` have threads of their own, beside the strands: those have their connections on."""
    hosts = {f"web{n}": reached(server, each) for n, each in enumerate(ADDRESSES)}
    fleet.hosts(hosts | {"here": {"ansible_connection": "local"}})
    remote, mixed = "name ^ (web0, web1)", "name ^ (web0, web1, here)"
    queries = [remote, mixed, remote, mixed]
    jobs = [job("echo hello", name=f"job {n}", query=query) for n, query in enumerate(queries)]
    answer = fleet.run(fleet.jobs(jobs))
    assert answer.code == 0, answer.stderr
    assert [len(document["results"]) for document in answer.document] == [2, 3, 2, 3]
    assert logins(server) == 2


@pytest.fixture(params=[SshProvider, ThreadedSshProvider])
def keeper(request: pytest.FixtureRequest) -> Iterator[SshProvider]:
    provider: SshProvider = request.param()
    provider.keeps = 2
    return provider


def both(keeper: SshProvider, work) -> None:
    """Do work where the provider's sessions can wait."""

    def do() -> None:
        with closing(keeper):
            work()

    in_strand(do) if keeper.strands else do()


def test_a_kept_connection_that_died_is_made_anew(keeper: SshProvider, server: Sshd) -> None:
    settings = server.settings()

    def work() -> None:
        assert run(keeper, settings, "echo one\n")[1].stdout == b"one\n"
        for session in server.sessions():
            os.kill(session, signal.SIGKILL)
        assert run(keeper, settings, "echo two\n")[1].stdout == b"two\n"

    both(keeper, work)
    assert logins(server) == 2


def test_what_is_kept_is_limited_and_ends_with_the_provider(keeper: SshProvider, server: Sshd) -> None:
    def at(address: str) -> ConnectionSettings:
        return replace(server.settings(), address=address)

    def work() -> None:
        for address in ADDRESSES[:3]:
            run(keeper, at(address), "true\n")
        wait_until(lambda: len(server.sessions()) == 2)
        for address in ADDRESSES[:3]:
            run(keeper, at(address), "true\n")

    both(keeper, work)
    assert logins(server) == 4
    wait_until(lambda: not server.sessions())


def test_a_connection_whose_script_went_wrong_is_not_kept(keeper: SshProvider, server: Sshd) -> None:
    def work() -> None:
        with pytest.raises(NotStarted, match="no program"):
            run(keeper, server.settings(), "#!/no/such/interpreter\n")
        run(keeper, server.settings(), "true\n")

    both(keeper, work)
    assert logins(server) == 2


def test_whoever_logs_in_otherwise_gets_a_connection_of_their_own(keeper: SshProvider, server: Sshd) -> None:
    def work() -> None:
        run(keeper, server.settings(), "true\n")
        with pytest.raises(Unreachable, match="nobody-here"):
            run(keeper, server.settings(user="nobody-here"), "true\n")

    both(keeper, work)
