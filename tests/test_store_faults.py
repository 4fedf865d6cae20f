"""What goes wrong with a database, and that nothing of it is silent, lost, or done twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from chargehand.errors import StoreError
from chargehand.past.folder import check_local
from chargehand.store import Store, Waits, open_store, tables
from chargehand.store.engine import Database
from chargehand.store.migrations import HEAD
from chargehand.store.migrations.upgrade import configured
from databases import QUICK, Postgres, engine, programs
from invocations import NOW, create, intent, outcome, share_ids
from sshd import wait_until


def clock() -> datetime:
    return datetime.now(UTC)


def opened(state: Path, url: str = "", waits: Waits = QUICK) -> Store:
    return open_store(url, state=state, clock=clock, waits=waits)


@pytest.fixture
def file(state: Path) -> Path:
    """A history with one invocation in it."""
    with opened(state) as store:
        create(store, "web1")
    return state / "history.db"


# --- the file -------------------------------------------------------------------------------------------


def test_a_new_history_is_its_owners_alone_and_none_of_gits_business(file):
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (file.parent / ".gitignore").read_text() == "*\n"
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_every_connection_keeps_what_it_wrote_through_a_loss_of_power(file):
    with opened(file.parent) as store:
        ask = {
            name: store._database.read(lambda c, name=name: c.rows(f"PRAGMA {name}")[0][name])
            for name in ("synchronous", "foreign_keys")
        }
    assert ask == {"synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.write_bytes(b""), "damaged"),
        (lambda file: file.write_bytes(b"not a database" * 1000), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "damaged"),
        (lambda file: file.chmod(0o666), "chmod go-w"),
        (lambda file: file.parent.chmod(0o777), "chmod go-w"),
        (lambda file: (file.with_name("history.db-wal").write_bytes(b"x"), file.unlink()), "is gone, but"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be"),
    ],
)
def test_a_history_that_cannot_be_trusted_is_refused_and_left_as_it_is(file, spoil, words):
    spoil(file)
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(StoreError, match=words) as caught, opened(file.parent) as store:
        store.history.find(1)
    assert str(file.parent) in str(caught.value)
    assert (file.read_bytes() if file.is_file() else None) == before


def test_another_programs_database_is_refused(state):
    state.mkdir(mode=0o700)
    connection = sqlite3.connect(state / "history.db")
    connection.execute("CREATE TABLE job_invocation (id)")
    connection.commit()
    connection.close()
    (state / "history.db").chmod(0o600)
    with pytest.raises(StoreError, match="another program's"):
        opened(state)


def test_flipped_bytes_are_an_error_in_words_or_nothing_at_all(file):
    sound = file.read_bytes()
    chance = random.Random(4)
    told = 0
    for _ in range(100):
        spoilt = bytearray(sound)
        spoilt[chance.randrange(len(sound))] ^= 0xFF
        file.write_bytes(spoilt)
        try:
            with opened(file.parent) as store:
                store.history.find(1)
                store.history.page(limit=9)
                create(store, "web2")
        except StoreError:
            told += 1
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
    assert told


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_goes_away_meanwhile_is_noticed_at_the_next_write(file, replaced):
    with opened(file.parent) as store:
        copy = file.read_bytes()
        file.unlink()
        if replaced:
            file.write_bytes(copy)
        with pytest.raises(StoreError, match="removed or replaced"):
            create(store, "web2")
        assert file.exists() is replaced, "not made again"


def test_a_file_that_goes_away_during_a_write_takes_nothing_that_was_confirmed(file):
    with opened(file.parent) as store, pytest.raises(StoreError, match="removed or replaced"):
        store._database.write(lambda connection: (connection.rows("SELECT 1"), file.unlink()))


def test_somebody_else_who_writes_is_waited_for_and_then_named(file):
    with opened(file.parent) as store:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program has been writing"):
            create(store, "web2")
        assert store.history.find(1), "who only reads does not wait"
        other.execute("ROLLBACK")
        other.close()
        assert create(store, "web2") == 2


def test_a_thread_of_ours_that_writes_for_too_long_is_no_deadlock(file):
    with opened(file.parent) as store:
        with pytest.raises(StoreError, match="too long"):
            store._database.write(lambda _: create(store, "web2"))
        assert create(store, "web2") == 2


def test_a_full_database_takes_nothing_more_and_loses_nothing(file):
    with opened(file.parent) as store:
        pages = store._database.read(lambda c: c.rows("PRAGMA page_count")[0]["page_count"])

        def limit(connection, wanted=pages) -> None:
            connection.rows(f"PRAGMA max_page_count={wanted}")

        store._database.read(limit)
        with pytest.raises(StoreError, match="disk is full"):
            create(store, *(f"web{number}" for number in range(5000)))
        store._database.read(lambda connection: limit(connection, 1 << 30))
        assert create(store, "web2") == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.root
def test_a_full_disk_is_told_and_what_was_confirmed_is_there(small_disk):
    with opened(small_disk) as store:
        number = create(store, *(f"web{each}" for each in range(50)))
        ids = share_ids(store, number)
        (small_disk / "ballast").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * 4096 - 65536))
        confirmed = []

        def write_on() -> None:
            for share_id in ids * 500:
                store.invocations.record([intent(share_id)])
                confirmed.append(share_id)
                store.invocations.requeue([share_id])

        with pytest.raises(StoreError, match="disk is full"):
            write_on()
        (small_disk / "ballast").unlink()
        assert {share.token for share in store.history.find(number).shares if share.id in confirmed[:1]} == {
            "t"
        }
        assert store.invocations.record([intent(confirmed[-1])]) == [True]
    with sqlite3.connect(small_disk / "history.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


AS_NOBODY = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from chargehand.errors import StoreError
from chargehand.store import open_store
os.setgid(65534); os.setuid(65534)  # who may not be allowed to read where Python lies
try:
    open_store("", state=Path(sys.argv[1]), clock=lambda: datetime.now(UTC))
except StoreError as error:
    print(error)
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("owner", "mode", "words"),
    [(65534, 0o500, "cannot be made"), (0, 0o755, "belongs to user 0")],
)
def test_a_folder_that_is_not_ours_is_refused(small_disk, owner, mode, words):
    small_disk.chmod(0o755)
    folder = small_disk / "state"
    folder.mkdir(mode)
    os.chown(folder, owner, owner)
    program = small_disk / "program.py"
    program.write_text(AS_NOBODY)
    for parent in folder.parents[1:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run([sys.executable, program, folder], capture_output=True, text=True, check=False)
    if "ermission" in done.stderr and "StoreError" not in done.stderr:
        pytest.skip("nobody may not run this Python")
    assert words in done.stdout, done.stderr


MOUNTS = """\
22 1 {device} / / rw,relatime shared:1 - ext4 /dev/vda rw
36 22 {device} / /home rw - {kind} server:/home rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "ext4"])
def test_a_network_file_system_is_refused(tmp_path, kind):
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(device=f"{os.major(device)}:{os.minor(device)}", kind=kind))
    if kind == "ext4":
        check_local(tmp_path, mounts)
    else:
        with pytest.raises(StoreError, match=f"network file system .{kind}"):
            check_local(tmp_path, mounts)


def test_space_that_is_given_free_is_given_back_to_the_disk(file):
    with opened(file.parent) as store:
        for _ in range(20):
            number = create(store, *(f"web{each}" for each in range(500)))
            store.invocations.fail(number, code="x", reason="y", exit_code=1, ended_at=NOW)
        before = store.history.size_bytes()
        assert store.invocations.prune(keep=0) == 20
        assert store.history.size_bytes() < before / 4
        assert file.stat().st_size < before / 4


# --- the URL --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann:c4nary@host/db", "not understood"),
        ("postgresql://ann:c4nary@host:port/db", "not understood"),
        ("c4nary", "not understood"),
        ("sqlite:///c4nary.db", "whole path"),
        ("sqlite://", "whole path"),
        ("postgresql://ann:c4nary@127.0.0.1:1/db", r"postgresql://127.0.0.1:1/db: the server is gone"),
        ("postgresql://127.0.0.1:1/db?password=c4nary", "the server is gone"),
        ("postgresql://ann:c4nary@127.0.0.1:1/db?nonsense=1", "127.0.0.1"),
    ],
)
def test_a_url_that_does_not_work_is_told_without_its_password(state, url, words):
    with pytest.raises(StoreError, match=words) as caught:
        opened(state, url)
    assert "c4nary" not in str(caught.value).replace("c4nary.db", "")


def test_a_file_elsewhere_is_named_by_a_url(state, tmp_path):
    with opened(state, f"sqlite:///{tmp_path}/other.db") as store:
        assert create(store, "web1") == 1
    assert (tmp_path / "other.db").exists()


def test_a_missing_driver_is_named(state, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'chargehand\[postgresql\]'"):
        opened(state, "postgresql://host/db")


# --- migrations -----------------------------------------------------------------------------------------


def test_the_newest_version_is_that_of_the_files():
    assert ScriptDirectory.from_config(configured()).get_current_head() == HEAD


def test_the_migrations_make_the_tables_as_they_are(store):
    def differences(connection):
        return compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": False}), tables.metadata
        )

    with engine(store) as made, made.begin() as connection:
        assert differences(connection) == []


def test_a_history_of_a_newer_version_is_refused(database_url, state):
    with opened(state, database_url) as store:
        store._database.write(lambda c: c.change("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(StoreError, match=f"have version 0999, this Chargehand knows up to {HEAD}; update"):
        opened(state, database_url)


def test_a_history_of_the_first_version_is_brought_to_the_newest_and_keeps_what_it_has(state):
    with opened(state) as store:
        create(store, "web1")
    first = state / "first.db"
    with sqlite3.connect(state / "history.db") as new, sqlite3.connect(first) as old:
        new.backup(old)
        for statement in (
            "DROP TABLE revision",
            "DROP INDEX job_invocation_push_key",
            "ALTER TABLE job_invocation DROP COLUMN push_key",
            "ALTER TABLE job_invocation DROP COLUMN signer",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            old.execute(statement)
    new.close()
    old.close()
    first.chmod(0o600)
    with opened(state, f"sqlite:///{first}") as store:
        assert store.history.find(1).shares[0].host_name == "web1"
        assert create(store, "web2") == 2
        assert store.revisions.all() == ()


KILLED = """
import os, signal, sys
from pathlib import Path
from alembic import op
from chargehand.store import open_store
real = getattr(op, sys.argv[3])
def die(*arguments, **options):
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(op, sys.argv[3], die)
open_store(sys.argv[1], state=Path(sys.argv[2]), clock=None)
"""


@pytest.mark.parametrize("step", ["create_table", "create_index"])
def test_a_migration_that_is_killed_is_done_by_the_next_start(database_url, state, step):
    done = subprocess.run([sys.executable, "-c", KILLED, database_url, state, step], check=False)
    assert done.returncode == -signal.SIGKILL
    with opened(state, database_url) as store:
        assert create(store, "web1") == 1


OPEN = """
import sys
from pathlib import Path
from chargehand.store import open_store
sys.stdin.read()
open_store(sys.argv[1], state=Path(sys.argv[2]), clock=None).close()
print("alembic" in sys.modules)
"""


def test_of_many_starters_one_makes_the_tables(database_url, state):
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, database_url, state],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert sorted(starter.communicate()[0] for starter in starters) == ["False\n"] * 3 + ["True\n"]


# --- PostgreSQL -----------------------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    if programs() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PostgreSQL is not installed")
    server = Postgres()
    yield server
    server.close()


class Writer(threading.Thread):
    """Writes intents and outcomes of host after host, and keeps count of what was confirmed."""

    def __init__(self, store: Store, ids: list[int]) -> None:
        super().__init__()
        self.confirmed: list[int] = []
        self.trouble: Exception | None = None
        self._store = store
        self._ids = ids
        self.start()

    def run(self) -> None:
        try:
            for share_id in self._ids:
                assert self._store.invocations.record([intent(share_id)]) == [True]
                assert self._store.invocations.record([outcome(share_id)]) == [True]
                self.confirmed.append(share_id)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.trouble = error


def survives(store: Store, disturb) -> None:
    """Write while somebody disturbs: nothing is lost, nothing refused."""
    number = create(store, *(f"web{each}" for each in range(200)))
    writer = Writer(store, share_ids(store, number))
    wait_until(lambda: len(writer.confirmed) > 50 or writer.trouble)
    disturb()
    writer.join()
    assert writer.trouble is None
    assert {share.status for share in store.history.find(number).shares} == {"succeeded"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_restarted_in_mid_write_loses_nothing(own_server, state, how):
    with opened(state, own_server.create()) as store:
        survives(store, lambda: (own_server.stop(how), own_server.start()))


def test_sessions_that_are_ended_in_mid_write_lose_nothing(postgres, state):
    url = postgres.create()
    name = url.partition("?")[0].rpartition("/")[2]
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    def disturb() -> None:
        for _ in range(20):
            postgres.execute(end)

    with opened(state, url) as store:
        survives(store, disturb)


def test_a_server_that_does_not_come_back_is_told(own_server, state):
    with opened(state, own_server.create(), Waits(lost_s=0.3)) as store:
        own_server.stop()
        for ask in (lambda: create(store, "web1"), lambda: store.history.page(limit=1)):
            with pytest.raises(StoreError, match="the server is gone"):
                ask()
        own_server.start()
        assert create(store, "web1") == 1


class Deaf:
    """Loses the answers of a database to the steps it did: they are done again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, step):
        answers = [self._database.write(step), self._database.write(step)]
        return answers[-1]


def test_what_was_done_is_said_to_be_done_when_its_answer_was_lost(store):
    number = create(store, "web1", runner_id=None, record={"state": "scheduled", "begun": False})
    store.invocations._database = Deaf(store._database)  # type: ignore[assignment]
    assert create(store, "web2") == 2
    assert store.invocations.claim(number, "a", instead_of=None)
    assert not store.invocations.claim(number, "b", instead_of=None)
    assert store.invocations.fail(number, code="x", reason="y", exit_code=1, ended_at=NOW)
    assert store.history.page(limit=9).total == 2
