"""A repository for every acceptance test, and servers that stand for its hosts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repository import LINES, Repository, reached
from sshd import Sshd

pytestmark = pytest.mark.sshd


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One server for all tests of this process; a test that changes a server makes its own."""
    with Sshd(tmp_path_factory.mktemp("acceptance"), lines=LINES) as server:
        yield server


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def hosts(repository: Repository, sshd: Sshd) -> Callable[..., Repository]:
    """A repository whose hosts, by these names, all stand on one server."""

    def of(*names: str, **variables: object) -> Repository:
        repository.settings(known_hosts_files=[str(sshd.known_hosts)])
        repository.hosts({name: reached(sshd, **variables) for name in names})
        return repository

    return of
