"""What every test may ask for: a clean environment, a real sshd, root."""

import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import laws  # noqa: F401 - how often laws are tried
import migrated
import workers
from chargehand.ssh import SshProvider, StockSshProvider
from chargehand.workers import WorkersProvider
from databases import _server, database_url, postgres, state, store  # noqa: F401 - fixtures
from npm import NODE
from sshd import PROGRAM, ROOT, Sshd
from strands import in_strand

LIBSSH = shutil.which("cc") and Path("/usr/include/libssh/server.h").exists()
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "CI", "VIRTUAL_ENV", "HYPOTHESIS_PROFILE")


# Ignored signals are inherited, and no shell can take them back: scripts would not die of a HUP.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.SIG_DFL)

workers.use()
migrated.remember()


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders, none of them made yet."""
    folder = tmp_path_factory.mktemp("caches")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, _caches: Iterator[Path]) -> None:
    """Tests see no variable of whoever runs them, save what programs need to be found, nor their caches."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(("PYTEST_", "COVERAGE_", "COV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(next(_caches)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, unless it is a CI machine, which must be able to."""
    missing = [
        reason
        for marker, available, reason in (
            ("libssh", LIBSSH, "no C compiler, or no libssh to compile with"),
            ("sshd", PROGRAM, "sshd is not installed"),
            ("root", ROOT, "not root"),
            ("node", NODE, "Node.js, or `npm install` in tests/node, is missing"),
        )
        if item.get_closest_marker(marker) and not available
    ]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(", ".join(missing))


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One sshd for all tests of this process; a test that changes a server makes its own."""
    folder: Path = tmp_path_factory.mktemp("sshd")
    with Sshd(folder) as server:
        yield server


@pytest.fixture(params=["thread", "strand", "stock"])
def runs_in(request: pytest.FixtureRequest) -> str:
    """What runs a test of a module that uses this, and with it every session it opens.

    In ``stock``, a thread, paramiko's transport is used as it is.
    """
    return request.param


@pytest.fixture
def kind(runs_in: str) -> type[SshProvider]:
    """The provider for that."""
    return StockSshProvider if runs_in == "stock" else SshProvider


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test in a strand when it is to be."""
    if pyfuncitem.funcargs.get("runs_in") != "strand":
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    def test() -> None:
        try:
            pyfuncitem.obj(**arguments)
        finally:  # what hosts shared was made by strands of this hub
            for value in pyfuncitem.funcargs.values():
                provider = getattr(value, "provider", value)
                if isinstance(provider, SshProvider | WorkersProvider):
                    provider.close()

    in_strand(test)
    return True
