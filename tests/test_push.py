"""Push: patterns of paths mean what they mean to git, those of branches what they mean to people."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chargehand.errors import InvalidError
from chargehand.push import Push, check_pattern
from laws import tried
from test_git import ENVIRON, Work

PATHS = (
    "a.yml",
    "b.yml",
    "ab",
    "a b",
    "[a]",
    "*",
    "playbooks/a.yml",
    "playbooks/web/a.yml",
    "playbooks/web/ab/c.yml",
    "playbooks/webs/a.yml",
    "inventory/group_vars/web.yml",
    "inventory/hosts.ini",
    "web/web/web",
    "ab.d/.hidden",
)
STEPS = st.sampled_from(
    [
        "*",
        "**",
        "?",
        "??",
        "*.yml",
        "a*",
        "[ab]",
        "[!a]*",
        "[a-c]?",
        "[*]",
        "[]a]",
        "[[]a]",
        "web",
        "playbooks",
        "inventory",
        "ab.d",
        ".*",
        "a.yml",
        "*b*",
        "w?b",
        "",
        "x",
    ]
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    work = Work(tmp_path_factory.mktemp("push"))
    for path in PATHS:
        work.write(path)
    work.commit()
    return work


def listed(root: Path, pattern: str) -> set[str]:
    """The files that git takes by a pattern."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--", f":(glob){pattern}"],
        cwd=root,
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(filter(None, done.stdout.split("\0")))


def is_taken(pattern: str) -> bool:
    try:
        check_pattern(pattern, first=True)
    except InvalidError:
        return False
    return True


@tried(60)
@given(st.lists(STEPS, min_size=1, max_size=4).map("/".join))
def test_a_pattern_that_is_taken_means_the_files_that_it_means_to_git(work: Work, pattern: str) -> None:
    assume(is_taken(pattern))
    push = Push(paths=(pattern,))
    assert {path for path in PATHS if push.concerns("main", [path])} == listed(work.root, pattern)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("!web", "only takes back"),
        ("**.yml", "`**` in `**.yml` is no step of its own"),
        ("a\\*", "holds a backslash"),
        ("[^a]", "`[!a]`"),
        ("[a", "bracket without its partner"),
        ("[!]", "bracket without its partner"),
        ("/a", "no path below the project"),
        ("../a", "no path below the project"),
        ("a//b", "no path below the project"),
        ("/", "no path below the project"),
        ("web*/", "write `web*/**`"),
    ],
)
def test_a_pattern_that_means_nothing_is_refused_with_what_to_write(pattern: str, told: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_pattern(pattern, first=True)
    assert told in str(refused.value)


def test_a_push_of_another_branch_or_of_other_files_is_not_meant() -> None:
    push = Push(branches=("main", "release/*", "!release/old"), paths=("playbooks", "!**/*.md"))
    changed = ["README.md", "playbooks/a.yml"]
    assert push.concerns("main", changed)
    assert push.concerns("release/1", changed)
    assert not push.concerns("release/1/x", changed)
    assert not push.concerns("release/old", changed)
    assert not push.concerns("main/x", changed)
    assert not push.concerns("main", ["README.md", "playbooks/README.md"])
    assert not push.concerns("main", [])
    assert Push().concerns("anything", [])


def test_a_pattern_of_many_stars_is_held_against_a_long_name_at_once() -> None:
    assert not Push(paths=("*a" * 200 + "b",)).concerns("main", ["a" * 4000])
    assert not Push(paths=("**/a/" * 200 + "b",)).concerns("main", ["a/" * 1000 + "c"])
