import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import SearchError
from chargehand.hostset import expand, fold, natural_key

numbered = st.from_regex(r"(web|db|10\.0\.0\.|)[0-9]{1,3}(-rack[0-9]{1,2})?(\.example)?", fullmatch=True)
anything = st.text(max_size=12)


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["db1", *(f"web{number:02d}" for number in range(1, 98))], "db1,web[01-97]"),
        (["web1", "web2", "web3", "web5"], "web[1-3,5]"),
        (["web08", "web09", "web10", "web11"], "web[08-11]"),
        ([f"web{number:02d}" for number in range(97, 102)], "web[97-101]"),
        (["web1", "web01"], "web[01,1]"),
        (["rack1-web1", "rack1-web2", "rack1-web3", "rack2-web1"], "rack1-web[1-3],rack2-web1"),
        (["rack1-web7", "rack2-web7", "rack3-web7"], "rack[1-3]-web7"),
        (["10.0.0.9", "10.0.0.10", "10.0.0.11"], "10.0.0.[9-11]"),
        (["a", "a", "b"], "a,b"),
        (["a,b", 'c"d'], '"a,b","c\\"d"'),
        ([], ""),
    ],
)
def test_names_fold_to(names, folded):
    assert fold(names) == folded


@given(st.lists(st.one_of(numbered, anything)))
def test_expanding_a_folded_set_gives_the_names_in_natural_order(names):
    assert expand(fold(names)) == sorted(set(names), key=natural_key)


def test_two_brackets_stand_for_every_pair():
    assert expand("r[1-2]w[01-02]") == ["r1w01", "r1w02", "r2w01", "r2w02"]


def test_blanks_and_commas_part_items():
    assert expand(" web1, web2 web3\n") == ["web1", "web2", "web3"]


@pytest.mark.parametrize(
    "text",
    [
        "web[1-3",
        "web]",
        "web[]",
        "web[a-c]",
        "web[3-1]",
        "web[1:3]",
        '"a',
        '"a"b',
        "web[1-9999999]",
        "a[1-999]b[1-999]",
    ],
)
def test_a_malformed_or_huge_set_is_refused(text):
    with pytest.raises(SearchError, match="host"):
        expand(text)


def test_ten_thousand_names_fold_and_expand():
    names = [f"rack{number % 40}-web{number:05d}.example" for number in range(10_000)]
    assert expand(fold(names)) == sorted(names, key=natural_key)
