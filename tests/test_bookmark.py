from datetime import UTC, datetime

import pytest

from chargehand.bookmark import Bookmark, load_bookmarks
from chargehand.errors import InvocationError, SearchError

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def bookmarks(tmp_path, text):
    path = tmp_path / "bookmarks.yml"
    path.write_text(text)
    return load_bookmarks(path, now=NOW)


def problems(tmp_path, text):
    with pytest.raises(SearchError) as caught:
        bookmarks(tmp_path, text)
    return [(problem.place.line, problem.place.column, problem.message) for problem in caught.value.problems]


def test_a_list_of_bookmarks_is_numbered_by_position(tmp_path):
    found = bookmarks(
        tmp_path,
        "- {name: web, query: hostgroup = web}\n"
        "- {id: 7, name: late, query: name ~ x, public: false}\n"
        "- {name: db, query: '*'}\n",
    )
    assert list(found) == [
        Bookmark(1, "web", "hostgroup = web"),
        Bookmark(7, "late", "name ~ x", public=False),
        Bookmark(3, "db", "*"),
    ]
    assert found.find(7).name == found.find("7").name == found.find("late").name == "late"


def test_a_mapping_of_name_to_query_is_short_for_a_list(tmp_path):
    assert list(bookmarks(tmp_path, "web: hostgroup = web\n'1': name = a\n")) == [
        Bookmark(1, "web", "hostgroup = web"),
        Bookmark(2, "1", "name = a"),
    ]


def test_a_name_of_digits_wins_over_an_id(tmp_path):
    found = bookmarks(tmp_path, "web: hostgroup = web\n'1': name = a\n")
    assert (found.find("1").query, found.find(1).query) == ("name = a", "hostgroup = web")


def test_no_file_and_an_empty_file_are_no_bookmarks(tmp_path):
    assert len(load_bookmarks(tmp_path / "none.yml", now=NOW)) == 0
    assert len(bookmarks(tmp_path, "# none yet\n")) == 0


def test_an_unknown_bookmark_is_refused_with_the_nearest(tmp_path):
    found = bookmarks(tmp_path, "web tier: hostgroup = web\n")
    with pytest.raises(InvocationError, match="`web tier`"):
        found.find("web teir")
    with pytest.raises(InvocationError, match="known: 1 web tier"):
        found.find(2)


def test_a_query_that_is_not_understood_is_refused_where_it_stands(tmp_path):
    text = "- name: a\n  query: nme = x\n- name: b\n  query: 'name = x and hostgrup = y'\n"
    assert problems(tmp_path, text) == [
        (2, 10, "there is no field `nme`"),
        (4, 24, "there is no field `hostgrup`"),
    ]
    assert problems(tmp_path, "b: name = x)\n") == [(1, 12, "closing parenthesis without an opening one")]


def test_everything_that_is_wrong_with_the_entries_is_told(tmp_path):
    told = problems(
        tmp_path,
        "- {name: a, query: x, colour: red}\n- {query: x}\n- {name: 5, query: x}\n- {name: b}\n"
        "- {name: c, query: x}\n- {name: c, query: y, id: 5}\n- web\n- {name: d, query: x, id: 0}\n",
    )
    assert [(line, message) for line, _, message in told] == [
        (1, "unknown key `colour`"),
        (2, "`name` is missing"),
        (3, "`name` is text"),
        (6, "the name `c` is used twice"),
        (6, "`c` has the id 5, which is that of `c`"),
        (7, "expected a mapping with name, id, query, public"),
        (8, "`id` counts from 1"),
        (4, "the bookmark `b` has no `query`"),
    ]


def test_a_file_that_is_neither_a_list_nor_a_mapping_is_refused(tmp_path):
    assert problems(tmp_path, "hello\n") == [
        (1, 1, "expected a list of mappings or a mapping of name to query")
    ]


def test_a_doubtful_query_is_warned_of_where_it_stands(tmp_path):
    (warning,) = bookmarks(tmp_path, "a: name = x and name = y or name = z\n").warnings
    assert (warning.place.line, warning.place.column) == (1, 26)
