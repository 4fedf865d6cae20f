"""The past: reading a store without what it takes to write one."""

import sqlite3
from datetime import UTC, datetime

import pytest
from sqlalchemy import JSON, Boolean

from chargehand.errors import StoreError
from chargehand.past import open_past
from chargehand.past.columns import microseconds_of, told
from chargehand.store import open_store, tables
from invocations import create, printed, result, share_ids, story

NOW = datetime(2026, 11, 24, 12, 30, 0, 7, tzinfo=UTC)
KEPT = {
    tables.Moment: (microseconds_of(NOW), NOW),
    Boolean: (1, True),
    JSON: ('[["web1", 1]]', [["web1", 1]]),
}
COLUMNS = [column for table in tables.metadata.sorted_tables for column in table.columns]


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_every_column_is_read_as_what_the_table_says_that_it_is(column):
    kept, meant = KEPT.get(type(column.type), ("5", "5"))
    row = told({column.name: kept})
    assert row == {column.name: meant}
    assert type(row[column.name]) is type(meant)
    assert told({column.name: None}) == {column.name: None}


def past(state, url=""):
    return open_past(url, state=state, clock=lambda: NOW)


def test_only_what_is_there_and_the_newest_is_opened_to_be_read(tmp_path):
    state = tmp_path / ".chargehand"
    assert past(state) is None
    open_store("", state=state, clock=lambda: NOW).close()
    with past(state) as read:
        assert read.history.page(limit=1).total == 0
    with sqlite3.connect(state / "history.db") as driver:
        driver.execute("UPDATE alembic_version SET version_num = '0000'")
    assert past(state) is None
    (state / "history.db").write_bytes(b"")
    assert past(state) is None
    assert past(state, "postgresql://ann@db/chargehand") is None


def test_both_ways_to_read_a_store_find_the_same(tmp_path):
    state = tmp_path / ".chargehand"
    store = open_store("", state=state, clock=lambda: NOW)
    numbers = [create(store, "web1", "web2"), create(store, "db1")]
    entries = story(share_ids(store, numbers[0])[0], result("web1", stdout=printed(b"one\n")))
    assert all(store.invocations.record(entries))
    with store, past(state) as read:
        assert read.history.page(limit=9) == store.history.page(limit=9)
        assert [read.history.find(each) for each in numbers] == [store.history.find(each) for each in numbers]
        assert read.history.unfinished() == store.history.unfinished()
        assert read.history.last_sign(numbers[0]) == store.history.last_sign(numbers[0])


def test_what_is_read_is_read_as_it_is_at_one_moment(tmp_path):
    state = tmp_path / ".chargehand"
    with open_store("", state=state, clock=lambda: NOW) as store, past(state) as read:

        def step(reader):
            before = reader.rows("SELECT count(*) AS runs FROM job_invocation")
            create(store, "web1")
            return before, reader.rows("SELECT count(*) AS runs FROM job_invocation")

        before, after = read.source.read(step)
        assert before == after == [{"runs": 0}]
        assert read.history.page(limit=1).total == 1


def test_a_file_that_was_damaged_is_refused_with_its_name_and_what_to_do(tmp_path):
    state = tmp_path / ".chargehand"
    with open_store("", state=state, clock=lambda: NOW) as store:
        number = create(store, "web1")
    file = state / "history.db"
    with sqlite3.connect(file) as driver:
        driver.execute("UPDATE job_invocation SET inputs = '[{'")
    with past(state) as read, pytest.raises(StoreError, match=f"{file}: holds what Chargehand never wrote"):
        read.history.find(number)
    with past(state) as read:
        file.write_bytes(file.read_bytes()[:4096] + b"x" * (file.stat().st_size - 4096))
        with pytest.raises(StoreError, match=f"{file}: the file is damaged or no history"):
            read.history.find(number)


def test_a_file_into_which_others_may_write_is_refused(tmp_path):
    state = tmp_path / ".chargehand"
    open_store("", state=state, clock=lambda: NOW).close()
    (state / "history.db").chmod(0o666)
    with pytest.raises(StoreError, match="others may write to it"):
        past(state)
