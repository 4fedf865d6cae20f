"""Search over runs: SQL on both databases against the predicate that says what a query means."""

import sys
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text

import databases
from chargehand.past.runsearch import (
    MAX_CONDITIONS,
    MAX_LEVELS,
    MAX_PATTERN,
    MAX_VALUES,
    _foldings,
    search_runs,
)
from chargehand.search import QueryError, compile_with
from chargehand.search.runfields import STATUSES, TRIGGERS, Run, RunShare, run_fields
from chargehand.store.tables import job_invocation, recurring_logic, template_invocation
from laws import tried

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
FIELDS = run_fields("ann").fields
LETTERS = "aAbBsSkK1_%*\\' .ßẞſKİıéÉσςΣŉʼnﬁfiΐ\u0345ιͅῼ🦊"  # noqa: RUF001 - folded in ways of their own

texts = st.text(LETTERS, max_size=5)
names = st.sampled_from(["web1", "WEB1", "web_2", "db%", "straße", "STRASSE"])
moments = st.sampled_from(
    [
        NOW,
        NOW - timedelta(hours=2),
        NOW - timedelta(hours=2) + timedelta(seconds=59, microseconds=999_999),
        datetime(2026, 11, 23, tzinfo=UTC),
        datetime(2026, 11, 22, 23, tzinfo=UTC),
        datetime(2026, 11, 23, 23, 0, 0, 1, tzinfo=UTC),
        datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
    ]
)
maybe = st.none
shares = st.builds(
    RunShare, host=names, host_id=st.integers(1, 4), status=st.sampled_from(("failed", "succeeded"))
)
runs = st.builds(
    Run,
    id=st.just(0),
    description=texts,
    status=st.sampled_from([status for status in STATUSES if status != "pending"]),
    job_category=texts,
    template=maybe() | texts,
    job=texts,
    playbook=maybe() | texts,
    user=st.sampled_from(["ann", "bob", "Ann"]),
    trigger=st.sampled_from(TRIGGERS),
    commit=maybe() | st.sampled_from(["abc123", "ABC123", "abd"]),
    dirty=maybe() | st.booleans(),
    code=st.sampled_from(["", "overlap", "missed"]),
    exit_code=maybe() | st.integers(0, 14),
    start_at=maybe() | moments,
    started_at=maybe() | moments,
    ended_at=maybe() | moments,
    rerun_of=maybe() | st.sampled_from([1, 2, 2**40]),
    recurring_logic_id=maybe() | st.sampled_from([1, 2, 3]),
    shares=st.lists(shares, max_size=3).map(tuple),
)
PURPOSES = {1: "weekly patching", 2: None, 3: ""}

DATES = ["today", "yesterday", "2 hours ago", "1 month ago", "2026-11-23", "2026-11-24T10:30Z", "2026-11",
         "2026-11-24T10:30:59Z", "2024-03-31T03:30", "9999-12-30"]  # fmt: skip
NUMBERS = ["0", "1", "2", "-5", "9.0", "1099511627776", "9" * 18, "9" * 19, "-" + "9" * 30, "2147483648"]
COMPARED = {
    "integer": ("=", "!=", ">", ">=", "<", "<="),
    "date": ("=", "!=", ">", ">=", "<", "<="),
    "boolean": ("=", "!="),
    "text": ("=", "!=", "~", "!~", ">", ">=", "<", "<="),
}
VALUES = {
    "integer": st.sampled_from(NUMBERS),
    "date": st.sampled_from(DATES),
    "boolean": st.sampled_from(["yes", "false", "1"]),
    "text": texts | names | st.sampled_from(["ann", "abc*", "ABC", "weekly", "SS", "%SS", "fi", "*"]),
}


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def conditions(draw):
    """One condition that fits its field."""
    name = draw(st.sampled_from(sorted(FIELDS)))
    field = FIELDS[name]
    values = st.sampled_from(field.choices) if field.choices else VALUES[field.kind]
    form = draw(st.integers(0, 5))
    if form == 0:
        return f"{draw(st.sampled_from(['has', 'null?']))} {name}"
    if form == 1:
        members = ", ".join(map(quoted, draw(st.lists(values, max_size=3))))
        return f"{name} {draw(st.sampled_from(['^', '!^']))} ({members})"
    if form == 2:
        return draw(st.sampled_from(["recurring", "dirty", "web1", "owner", "= web1", "~ SS", "^ (ß, a)"]))
    if form == 3 and name in ("user", "owner"):
        return f"{name} = current_user"
    return f"{name} {draw(st.sampled_from(COMPARED[field.kind]))} {quoted(draw(values))}"


queries = st.recursive(
    conditions(),
    lambda inner: (
        inner.map(lambda one: f"not ({one})")
        | st.tuples(inner, st.sampled_from(["and", "or", ","]), inner).map(
            lambda parts: "({} {} {})".format(*parts)
        )
    ),
    max_leaves=5,
)


@pytest.fixture
def engine(store):
    with databases.engine(store) as made:
        yield made


def numbered(found):
    return [
        Run(
            **{name: getattr(run, name) for name in Run.__slots__}
            | {"id": number, "recurring_logic_purpose": PURPOSES.get(run.recurring_logic_id)}
        )
        for number, run in enumerate(found, 1)
    ]


def fill(connection, known):
    connection.execute(delete(job_invocation))
    connection.execute(delete(recurring_logic))
    connection.execute(insert(recurring_logic), [logic(number, PURPOSES[number]) for number in PURPOSES])
    if known:
        connection.execute(insert(job_invocation), list(map(invocation, known)))
    told = [
        {
            "job_invocation_id": run.id,
            "position": position,
            "host_name": share.host,
            "host_id": share.host_id,
            "state": "stopped",
            "status": share.status,
        }
        for run in known
        for position, share in enumerate(run.shares)
    ]
    if told:
        connection.execute(insert(template_invocation), told)


def invocation(run):
    plain = ("id", "description", "job_category", "playbook", "user", "trigger", "commit", "dirty", "code",
             "exit_code", "start_at", "started_at", "ended_at", "rerun_of", "recurring_logic_id")  # fmt: skip
    return {name: getattr(run, name) for name in plain} | {
        "task_id": str(uuid.uuid4()),
        "state": "stopped",
        "status_label": run.status,
        "template_name": run.template,
        "job_name": run.job,
        "created_at": NOW,
        "targeting_type": "static_query",
        "inputs": [],
        "launch": {},
    }


def logic(number, purpose):
    return {
        "id": number, "key": str(number), "playbook": "p", "job_number": 0, "job_name": "j",
        "state": "active", "fingerprint": "f", "cron_line": "@daily", "time_zone": "UTC",
        "purpose": purpose, "overlap": "skip", "catch_up_runs": "one", "catch_up_window_s": 1.0,
        "jitter_s": 0.0, "since": NOW, "seen_until": NOW,
    }  # fmt: skip


def selected(connection, query, zone=UTC):
    search = search_runs(query, caller="ann", now=NOW, time_zone=zone, dialect=connection.dialect.name)
    statement = text(f"SELECT id FROM job_invocation WHERE {search.clause.sql} ORDER BY id")
    return list(connection.scalars(statement, dict(search.clause.values)))


def meant(known, query, zone=UTC):
    search = compile_with(run_fields("ann"), query, now=NOW, time_zone=zone)
    return [run.id for run in search.select(known)]


STRANGE = [
    Run(id=0, description=text, status="failed")
    for text in ("straße", "STRASSE", "\u017fTRA\u017fSE", "a_b", "a%b", "axb", "K1")
]


@tried(50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(runs, max_size=6),
    asked=st.lists(queries, min_size=1, max_size=6),
    zone=st.sampled_from([UTC, BERLIN]),
)
@example(
    found=STRANGE,
    asked=["description ~ STRASSE", 'description ~ "a_b"', r'description ~ "a\\%b"', "k1"],
    zone=UTC,
)
def test_sql_selects_exactly_what_the_predicate_selects(engine, found, asked, zone):
    known = numbered(found)
    with engine.connect() as connection:
        fill(connection, known)
        for query in ["", *asked]:
            assert selected(connection, query, zone) == meant(known, query, zone), query
        connection.rollback()


LARGE = [
    " or ".join(f'description = "{number}"' for number in range(MAX_CONDITIONS)),
    " and ".join(["not host ~ x"] * MAX_CONDITIONS),
    f"host ^ ({', '.join(map(str, range(MAX_VALUES - 1)))})",
    "not " * 501 + "description = a",
    "(" * 500 + "description = a" + ")" * 500,
    "id = 1 and (id = 2 or (" * (MAX_LEVELS // 2) + "has host" + "))" * (MAX_LEVELS // 2),
    "id = 2 and description ~ b or " * (MAX_LEVELS // 2) + "host_status.failed !~ a",
    f"description ~ {quoted('%' * MAX_PATTERN)}",
    f"description ~ {quoted(chr(92) * 2 + '%' + 'ΐ' * (MAX_PATTERN - 3))}",
    f"description ~ {''.join(map(chr, range(0x370, 0x400)))}",
]


@pytest.mark.parametrize("query", LARGE, ids=lambda query: query[:30])
def test_what_is_taken_is_not_too_large_for_a_database(engine, query):
    known = numbered([Run(id=0, description="a", status="failed")])
    with engine.connect() as connection:
        fill(connection, known)
        assert selected(connection, query) == meant(known, query)
        connection.rollback()


REFUSED = [
    ("status = faild", 10, "`status` is never `faild`", "did you mean `failed`?"),
    ("host = a and hosst = b", 14, "there is no field `hosst`", "did you mean `host`?"),
    ("nonsense_of_mine = 1", 1, "there is no field", "runs have id, status"),
    ("host_status = dead", 15, "is never `dead`", "known: "),
    ("started_at > 2 hours ago", 14, "must be quoted", '"2 hours ago"'),
    ("started_at ~ 2026", 1, "does not fit `started_at`", "`started_at` takes"),
    ("id = web", 6, "is not a whole number", ""),
    ("description = a\udcffb", 15, "no run holds the character U+DCFF", ""),
    ("description ~ a\0", 15, "no run holds the character U+0000", ""),
    (f"id = 1, {'a' * (MAX_PATTERN + 1)}", 9, "a part of a text may be 2000 characters", ""),
    ("a," * (MAX_CONDITIONS + 1), 1001, "at most 500 conditions", ""),
    (f"id ^ ({'1,' * MAX_VALUES} 2)", 1, "with 20000 values", ""),
    ("id = 1 and (id = 2 or (" * 30 + "id = 3" + "))" * 30, 691, "are nested 60 times", "fewer parentheses"),
]


@pytest.mark.parametrize(("query", "column", "message", "hint"), REFUSED, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_what_cannot_be_asked_is_refused_where_it_stands(query, column, message, hint, dialect):
    with pytest.raises(QueryError) as caught:
        search_runs(query, caller="ann", now=NOW, dialect=dialect)
    assert caught.value.column == column
    assert message in caught.value.message
    assert hint in (caught.value.problems[0].hint or "")


def test_every_letter_that_folds_is_known_and_folds_to_what_folds_no_further():
    known = dict(_foldings())
    assert known == {
        letter: letter.casefold()
        for letter in map(chr, range(sys.maxunicode + 1))
        if letter.casefold() != letter
    }
    assert not known.keys() & set("".join(known.values()))
    assert "'" not in known


def test_a_query_of_runs_warns_as_one_of_hosts_does():
    search = search_runs("id = 1 and id = 2 or id = 3", caller="ann", now=NOW, dialect="sqlite")
    assert [problem.severity for problem in search.warnings] == ["warning"]
