import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import Place
from chargehand.host import Host
from chargehand.search import Field, FieldTable, Query, QueryError, compile_query, compile_with
from chargehand.search.lexer import read_tokens
from chargehand.search.parse import parse
from chargehand.search.tree import Condition, Group, Not, Word, group, notation, spelled
from chargehand.secret import Secret
from laws import tried

CASES = Path(__file__).parent / "cases" / "search"
NOW = datetime(2024, 3, 15, 12, 30, tzinfo=UTC)


def cases(name):
    return yaml.load((CASES / name).read_text(), yaml.BaseLoader)


MATCHES = yaml.safe_load(
    # the dates of the file stay text, as they do in an inventory
    re.sub(r"(?<=: )(\d{4}-\d\d-\d\d[T\d:Z]*)", r'"\1"', (CASES / "matches.yml").read_text())
)
HOSTS = [
    Host(name=name, id=told["id"], groups=tuple(sorted(told.get("groups", ()))), vars=told["vars"])
    for name, told in MATCHES["hosts"].items()
]


def found(query, hosts=HOSTS, zone=UTC):
    return [host.name for host in compile_query(query, now=NOW, time_zone=zone).select(hosts)]


def refusal(query, **options):
    with pytest.raises(QueryError) as caught:
        compile_query(query, now=NOW, **options)
    return caught.value


@pytest.mark.parametrize("case", cases("trees.yml") + cases("odd.yml"), ids=lambda case: case["query"])
def test_a_query_reads_as_its_tree_or_is_refused_at_its_column(case):
    if "tree" in case:
        assert notation(parse(Query(case["query"])).tree) == case["tree"]
        return
    with pytest.raises(QueryError) as caught:
        parse(Query(case["query"]))
    assert (caught.value.message, str(caught.value.column)) == (case["refused"], case["column"])


@pytest.mark.parametrize("case", cases("tokens.yml"), ids=lambda case: case["query"])
def test_a_query_splits_into_its_tokens(case):
    if "refused" in case:
        with pytest.raises(QueryError, match=case["refused"]):
            read_tokens(Query(case["query"]))
        return
    tokens = read_tokens(Query(case["query"]))
    assert [token.text if token.kind == "word" else token.kind.upper() for token in tokens] == case["tokens"]


@pytest.mark.parametrize("case", MATCHES["cases"], ids=lambda case: case["query"])
def test_a_query_finds_its_hosts(case):
    assert found(case["query"]) == case["names"]


@pytest.mark.parametrize("case", cases("refused.yml"), ids=lambda case: case["query"])
def test_what_does_not_fit_a_host_is_refused_where_it_stands(case):
    error = refusal(case["query"])
    assert (error.line, error.column) == (int(case.get("line", 1)), int(case["column"]))
    assert case["refused"] in error.message
    assert case.get("hint", "") in (error.problems[0].hint or "")


def test_an_error_shows_the_line_with_a_caret():
    assert str(refusal("name = host137) or id = 3")).splitlines()[:3] == [
        "search error at line 1, column 15: closing parenthesis without an opening one",
        "  name = host137) or id = 3",
        "                ^",
    ]


def test_the_caret_counts_wide_characters_twice():
    assert str(refusal("日本 x) y")).splitlines()[1:3] == ["  日本 x) y", "        ^"]


def test_all_faults_of_the_fields_are_told_at_once():
    error = refusal("nme = x or id = abc or last_report > foo")
    assert [problem.place.column for problem in error.problems] == [1, 17, 38]


def test_a_query_in_a_file_is_refused_at_the_column_of_the_file():
    place = Place("playbooks/x.yml", 4, 17, '  search_query: "hostgroup = web and nme = x"')
    problem = refusal("hostgroup = web and nme = x", place=place).problems[0]
    assert str(problem.place) == "playbooks/x.yml:4:38"


def test_a_folded_query_in_a_file_is_refused_at_the_value_with_its_own_column():
    place = Place("playbooks/x.yml", 4, 17, "  search_query: >-")
    problem = refusal("hostgroup = web and nme = x", place=place).problems[0]
    assert str(problem.place) == "playbooks/x.yml:4:17"
    assert "column 21 of the query" in problem.message


@pytest.mark.parametrize(
    ("query", "column", "said"),
    [
        ("name = a and name = b or name = c", 23, "a and (b or c)"),
        ("name = x (a and b or c) d", 19, "a and (b or c)"),
        ("all", 1, "every host is `*`"),
        ("name in (a, b)", 1, "`name` is a field"),
        ("params.old", 1, "`params.old` is a field"),
    ],
)
def test_what_other_languages_read_otherwise_is_warned_of(query, column, said):
    (warning,) = compile_query(query, now=NOW).warnings
    assert (warning.severity, warning.place.column) == ("warning", column)
    assert said in warning.message


@pytest.mark.parametrize(
    "query", ["a or b and c", "(a and b) or c", "name", "managed b", '"name" x', "a b or c"]
)
def test_a_plain_query_is_not_warned_of(query):
    assert compile_query(query, now=NOW).warnings == ()


def test_days_begin_at_midnight_of_the_time_zone():
    hosts = [Host(name="late", id=1, vars={"at": "2024-03-15T23:30:00Z"})]
    assert found("params.at = 2024-03-15", hosts) == ["late"]
    assert found("params.at = 2024-03-16", hosts, ZoneInfo("Europe/Berlin")) == ["late"]


def test_a_secret_is_present_and_matches_nothing():
    hosts = [Host(name="h", id=1, vars={"pw": Secret("hunter2"), "deep": {"pw": Secret("hunter2")}})]
    assert found("has params.pw", hosts) == ["h"]
    for query in (
        "params.pw = hunter2",
        "params.pw ~ *",
        'params.pw ~ ""',
        "params.pw > a",
        "params.deep ~ hunter2",
    ):
        assert found(query, hosts) == []


def test_other_records_are_searched_with_their_own_fields():
    table = FieldTable(
        fields={"size": Field("size", "integer", len), "text": Field("text", "text", str)}, free=("text",)
    )
    search = compile_with(table, "size > 2 or b", now=NOW)
    assert search.select(["a", "ab", "abc"]) == ["ab", "abc"]


@pytest.mark.parametrize(
    "query",
    [
        "(" * 500 + "name = web1" + ")" * 500,
        "not " * 500 + "name = web1",
        "not (" * 500 + "name = web1" + ")" * 500,
        " or ".join(["name = x"] * 999 + ["name = web1"]),
        " or name = y and ".join(["name = web1"] * 500),
        "(name = web1 or (name = web1 and " * 250 + "name = web1" + "))" * 250,
        f"name ^ ({', '.join(f'h{number}' for number in range(10_000))}, web1)",
    ],
    ids=["parentheses", "nots", "nested nots", "chain", "mixed chain", "nested groups", "list"],
)
def test_no_query_is_too_deep_or_too_long(query):
    before = sys.getrecursionlimit()
    search = compile_query(query, now=NOW)
    assert search.select(HOSTS) == [HOSTS[0]]
    assert notation(parse(Query(search.canonical)).tree) == search.tree
    assert sys.getrecursionlimit() == before


def test_a_hundred_thousand_hosts_are_asked():
    hosts = [
        Host(name=f"web{number}", id=number, groups=("web",), vars={"port": number})
        for number in range(100_000)
    ]
    for query in ("name ^ (web7, web8)", "hostgroup = web and params.port < 9"):
        assert 0 < len(compile_query(query, now=NOW).select(hosts)) < 10


texts = st.text(max_size=6) | st.sampled_from(["and", "has", "-5", "a,b", "*", "today", "x y", "ü"])
words = texts.map(Word)
names = st.sampled_from(
    [Word("name"), Word("groups"), Word("params.port"), Word("params.roles"), Word("params.patched")]
)
leaves = st.one_of(
    words.map(lambda word: Condition("text", None, (word,))),
    st.builds(Condition, st.sampled_from(["notnull", "null"]), names),
    st.builds(
        lambda kind, name, word: Condition(kind, name, (word,)),
        st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "like", "unlike"]),
        names,
        words,
    ),
    st.builds(
        lambda kind, name, members: Condition(kind, name, tuple(members)),
        st.sampled_from(["in", "notin"]),
        names,
        st.lists(words, max_size=3),
    ),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.builds(group, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


@given(trees)
def test_a_tree_written_as_a_query_reads_as_the_same_tree(tree):
    assert parse(Query(spelled(tree))).tree == tree


@given(trees)
def test_not_is_the_exact_complement(tree):
    query = spelled(tree)
    assert set(found(f"not ({query})")) == {host.name for host in HOSTS} - set(found(query))


def answer(tree, host):
    """The plain recursive meaning of a tree, against which the flat program is held."""
    if isinstance(tree, Not):
        return not answer(tree.child, host)
    if isinstance(tree, Group):
        return (all if tree.operator == "and" else any)(answer(child, host) for child in tree.children)
    return host.name in found(spelled(tree))


@tried(25)
@given(trees)
def test_and_or_not_mean_what_they_say(tree):
    assert set(found(spelled(tree))) == {host.name for host in HOSTS if answer(tree, host)}


@tried(100)
@given(st.text(alphabet="ab (),\"'\\=~^!<>&|-*%:and not has or null?1\n", max_size=25))
def test_any_text_is_understood_or_refused_with_a_place_inside_it(query):
    try:
        search = compile_query(query, now=NOW)
    except QueryError as refused:
        error = refused
    else:
        assert notation(parse(Query(search.canonical)).tree) == search.tree
        return
    assert 0 <= error.start <= error.end <= len(query)
    assert str(error)
