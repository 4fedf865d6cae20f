"""Targeting: who is meant, in what order, and what a limit keeps."""

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import SearchError, UnknownHostError
from chargehand.host import Host
from chargehand.inventory import Inventory
from chargehand.inventory.address import name_fault
from chargehand.search import compile_query
from chargehand.targeting import Targeting, Within, exclude, is_visible, narrow, pick, query_for, resolve
from laws import tried

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


def inventory(*hosts: Host, **groups: tuple[str, ...]) -> Inventory:
    everybody = tuple(host.name for host in hosts)
    return Inventory(hosts=hosts, groups={"all": everybody, "ungrouped": (), **groups}, levels=lambda _: ())


def host(name: str, number: int = 0, **values: object) -> Host:
    return Host(name=name, id=number, vars=values)


FLEET = inventory(
    *(host(f"web{number}", number, role="web", rank=number) for number in (3, 1, 2)),
    host("db1", 11, role="db", seen="2027-01-15 08:30"),
    host("and", 12),
    web=("web3", "web1", "web2"),
    db=("db1",),
)
EVERYBODY = tuple(FLEET)


def names(hosts) -> list[str]:
    return [each.name for each in hosts]


def resolved(query: str, fleet: Inventory = FLEET, *, seed: int = 0, **own: object) -> list[str]:
    targeting = Targeting(targeting_type="dynamic_query", search_query=query, **own)
    return names(resolve(targeting, fleet, now=NOW, shuffle=random.Random(seed)))


# -- order ----------------------------------------------------------------------------------------------


def test_hosts_come_by_name_whatever_the_order_of_the_inventory():
    assert resolved("vars.role = web") == ["web1", "web2", "web3"]


def test_two_hosts_of_one_name_would_come_by_id():
    twins = inventory(host("twin", 9), host("twin", 2))
    targeting = Targeting(targeting_type="static_query", search_query="*")
    assert [each.id for each in resolve(targeting, twins, now=NOW, shuffle=random.Random())] == [2, 9]


def test_random_order_comes_from_the_given_source_and_loses_nobody():
    many = inventory(*(host(f"h{number:02}", number) for number in range(40)))
    first, again, other = (resolved("*", many, seed=seed, randomized_ordering=True) for seed in (1, 1, 2))
    assert first == again != other
    assert first != sorted(first)
    assert sorted(first) == names(many)


@pytest.mark.parametrize("flag", [None, False])
def test_without_random_order_the_source_is_not_asked(flag):
    assert resolved("*", seed=1, randomized_ordering=flag) == sorted(names(FLEET))


def test_static_and_dynamic_targeting_mean_the_same_hosts_at_one_moment():
    both = [
        resolve(
            Targeting(targeting_type=kind, search_query="vars.rank > 1"),
            FLEET,
            now=NOW,
            shuffle=random.Random(),
        )
        for kind in ("static_query", "dynamic_query")
    ]
    assert names(both[0]) == names(both[1]) == ["web2", "web3"]


@pytest.mark.parametrize(("zone", "found"), [("UTC", []), ("Asia/Tokyo", ["late"])])
def test_dates_are_read_in_the_zone_of_the_targeting(zone, found):
    fleet = inventory(host("late", 1, last_report="2027-01-14T20:00:00Z"))
    query, zone = 'last_report > "2027-01-15 00:00"', ZoneInfo(zone)
    assert resolved(query, fleet, time_zone=zone) == found
    assert names(narrow(fleet, query, fleet, now=NOW, time_zone=zone)) == found


def test_a_query_that_is_not_understood_selects_nobody():
    with pytest.raises(SearchError):
        resolved("name = web1) or name = db1")


# -- locations and organizations ------------------------------------------------------------------------

SPREAD = inventory(
    host("berlin", 1, location="Europe/Berlin", organization="Acme"),
    host("europe", 2, location="Europe", organization="Acme/Shop"),
    host("other", 3, location="Europe2", organization="Acme2"),
    host("nowhere", 4),
)


@pytest.mark.parametrize(
    ("within", "seen"),
    [
        (Within(), ["berlin", "europe", "other", "nowhere"]),
        (Within(location="Europe"), ["berlin", "europe"]),
        (Within(location="Europe/Berlin"), ["berlin"]),
        (Within(organization="Acme"), ["berlin", "europe"]),
        (Within(location="Europe", organization="Acme/Shop"), ["europe"]),
        (Within(location="europe"), []),
    ],
)
def test_a_location_is_itself_and_what_is_nested_in_it_and_no_namesake(within, seen):
    assert [each.name for each in SPREAD if is_visible(each, within)] == seen
    assert resolved("*", SPREAD, within=within) == sorted(seen)


# -- limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        ("web1", ["web1"]),
        ("web", ["web3", "web1", "web2"]),
        ("web:!web3", ["web1", "web2"]),
        ("web,db1", ["web3", "web1", "web2", "db1"]),
        ("web[0]", ["web3"]),
        ("~web[12]", ["web1", "web2"]),
        ("web:&~.*3", ["web3"]),
        ("web:!~.*3", ["web1", "web2"]),
        ("web*", ["web3", "web1", "web2"]),
        ("and", ["and"]),
        ("*", ["web3", "web1", "web2", "db1", "and"]),
        ("all", ["web3", "web1", "web2", "db1", "and"]),
        ("name = web1", ["web1"]),
        ("name=web1", ["web1"]),
        ("name ~ web and vars.rank > 1", ["web3", "web2"]),
        ("name!~web", ["db1", "and"]),
        ("not name ~ web", ["db1", "and"]),
        ("has vars.seen", ["db1"]),
        ("name ^ (web1, db1)", ["web1", "db1"]),
    ],
)
def test_a_limit_is_a_query_or_a_pattern_and_keeps_the_order(limit, kept):
    assert names(narrow(EVERYBODY, limit, FLEET, now=NOW)) == kept
    left = [name for name in names(EVERYBODY) if name not in kept]
    assert names(exclude(EVERYBODY, limit, FLEET, now=NOW)) == left


def test_hosts_are_picked_by_name_in_the_order_of_the_names():
    hosts, missing = pick(["db1", "gone", "web1", "db1"], FLEET, Within())
    assert (names(hosts), missing) == (["db1", "web1"], ("gone",))


def test_a_host_of_another_location_is_not_picked():
    fleet = inventory(host("here", location="Berlin"), host("there", location="Paris"))
    hosts, missing = pick(["here", "there"], fleet, Within(location="Berlin"))
    assert (names(hosts), missing) == (["here"], ("there",))


def test_a_limit_adds_nobody():
    assert names(narrow(EVERYBODY[:1], "web", FLEET, now=NOW)) == ["web3"]


def test_a_limit_may_be_a_file_of_hosts(tmp_path):
    listed = tmp_path / "failed"
    listed.write_text("# from the last run\nweb2\ndb1\n")
    assert names(narrow(EVERYBODY, f"@{listed}", FLEET, now=NOW)) == ["web2", "db1"]


@pytest.mark.parametrize("use", [narrow, exclude])
@pytest.mark.parametrize("limit", ["web4", "wbe", "web:!web4", "we", "linux"])
def test_a_word_that_names_nobody_is_refused_with_exit_code_4_and_never_searched_for(use, limit):
    with pytest.raises(UnknownHostError) as refused:
        use(EVERYBODY, limit, FLEET, now=NOW)
    assert refused.value.exit_code == 4
    (problem,) = refused.value.problems
    assert problem.hint is not None


@pytest.mark.parametrize("limit", ["name =", "name = web1)", "", "  ", "web[", "nosuchfield = 1"])
def test_a_limit_that_is_not_understood_is_refused_as_such(limit):
    with pytest.raises(SearchError) as refused:
        narrow(EVERYBODY, limit, FLEET, now=NOW)
    assert refused.value.exit_code == 3


# -- queries for hosts ----------------------------------------------------------------------------------


def test_a_query_for_hosts_is_written_as_foreman_writes_it():
    assert query_for(["host137", "host138"]) == "name ^ (host137, host138)"


ODD = [
    "and",
    "NOT",
    "null?",
    "set?",
    "a,b",
    "a b",
    'qu"ote',
    "back\\slash",
    "(x)",
    "-x",
    "x)",
    "*",
    "a*",
    "~a",
    "é",
    "a%b",
]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_quoted_so_that_it_means_itself(name):
    fleet = inventory(*(host(each, number) for number, each in enumerate(ODD)))
    assert resolved(query_for([name]), fleet) == [name]


HOST_NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name_fault(name) is None)
ANY_TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029"),
    min_size=1,
    max_size=12,
)


@given(st.lists(HOST_NAMES | ANY_TEXT, min_size=2, max_size=6, unique=True), st.randoms())
@tried(50)
def test_a_query_for_a_host_selects_that_host_and_no_other(found, choice):
    fleet = inventory(*(host(name, number) for number, name in enumerate(found)))
    chosen = choice.sample(found, choice.randint(1, len(found)))
    selected = compile_query(query_for(chosen), now=NOW).select(fleet)
    assert sorted(names(selected)) == sorted(chosen)
