import pytest

from chargehand.errors import InventoryError, InvocationError
from chargehand.host import Host
from chargehand.taxonomy import Taxonomies, Taxonomy, load_taxonomies

HOSTS = [
    Host(name="a", id=1, vars={"location": "Europe/Berlin", "organization": "Example"}),
    Host(name="b", id=2, vars={"location": "Europe/Berlin"}),
    Host(name="c", id=3),
]


def taxonomies(tmp_path, text, hosts=HOSTS):
    path = tmp_path / "taxonomies.yml"
    path.write_text(text)
    return load_taxonomies(path, hosts)


def test_a_list_and_a_mapping_say_the_same(tmp_path):
    listed = taxonomies(tmp_path, "locations:\n- {id: 4, name: Europe}\n- {id: 5, name: Asia}\n")
    assert listed == taxonomies(tmp_path, "locations: {Europe: 4, Asia: 5}\n")
    assert (
        listed.find_location(4)
        == listed.find_location("4")
        == listed.find_location("Europe")
        == Taxonomy(4, "Europe")
    )


def test_what_only_hosts_name_is_known_by_name_with_all_it_is_nested_in(tmp_path):
    found = load_taxonomies(tmp_path / "none.yml", HOSTS)
    assert found == Taxonomies(
        locations=(Taxonomy(None, "Europe"), Taxonomy(None, "Europe/Berlin")),
        organizations=(Taxonomy(None, "Example"),),
    )


def test_an_unknown_one_is_refused_with_the_nearest(tmp_path):
    found = taxonomies(tmp_path, "locations: {Munich: 4}\n")
    with pytest.raises(InvocationError, match="no location `Munch`"):
        found.find_location("Munch")
    with pytest.raises(InvocationError, match=r"no organization `4`\n.*Example"):
        found.find_organization(4)


def test_everything_wrong_with_the_file_is_told(tmp_path):
    with pytest.raises(InventoryError) as caught:
        taxonomies(
            tmp_path, "location: {A: 1}\nlocations: {A: 1, B: 1}\norganizations: [{name: X, id: many}]\n"
        )
    assert [(problem.place.line, problem.message) for problem in caught.value.problems] == [
        (1, "unknown key `location`"),
        (2, "`B` has the id 1, which is that of `A`"),
        (3, "`id` is a whole number"),
    ]
    assert caught.value.problems[0].hint == "did you mean `locations`?"
