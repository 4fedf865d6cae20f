"""Pushing: real commits, and exactly the jobs that each of them starts."""

import json
import logging
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.effective import Effects
from chargehand.errors import InvalidError
from chargehand.project import Project
from chargehand.pushing import pushed_jobs
from laws import tried
from test_git import Work

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)

FILES = {
    "playbooks/web.yml": """\
# the web tier
- name: Deploy
  job_invocation:
    job_template_id: Deploy
    targeting_type: dynamic_query
    search_query: hostgroup = web
    inputs: {version: "1.0", token: {env: TOKEN}}
    concurrency_control: {concurrency_level: 2}
  on: {push: {}}
- script: echo {{ host.name }} {{ hostvars['db1'].role }}
  job_invocation: {targeting_type: dynamic_query, search_query: hostgroup = web, randomized_ordering: true}
  on: {push: {}}
""",
    "playbooks/db.yml": """\
name: Back up
script: "dump {{ snippet('Head') }}"
job_invocation: {targeting_type: static_query, bookmark_id: 1}
location_id: Berlin
on: {push: {branches: [main, "release/*"], paths: [playbooks, inventory]}}
""",
    "playbooks/nightly.yml": """\
name: Nightly
script: "{{ render_template('Tell') }}"
job_invocation:
  targeting_type: dynamic_query
  search_query: params.tier = gold
  recurrence: {cron_line: "0 3 * * *"}
on: {push: {}}
""",
    "playbooks/hand.yml": """\
name: By hand
script: uptime
job_invocation: {targeting_type: dynamic_query, search_query: "*"}
""",
    "playbooks/templates/deploy.j2": """\
{#
name: Deploy
job_category: Web
template_inputs:
  - {name: version, required: true}
  - {name: token, hidden_value: true}
foreign_input_sets: [{template: Greet}]
#}
{{ snippet('Head') }}deploy {{ input('version') }} to {{ host_param('port') }} {{ input('token') }}
{{ render_template('Greet') }}
""",
    "playbooks/templates/head.j2": "{#\nname: Head\njob_category: Web\nsnippet: true\n#}\n# head\n",
    "playbooks/templates/greet.j2": """\
{#
name: Greet
job_category: Web
template_inputs: [{name: greeting, default: hello}]
#}
echo {{ input('greeting') }}
""",
    "playbooks/templates/tell.j2": """\
{#
name: Tell
job_category: Web
template_inputs: [{name: words, default: all is well}]
#}
echo {{ input('words') | quote }}
""",
    "inventory/hosts.yml": """\
web:
  hosts:
    web1: {port: 80, location: Berlin, tier: gold}
    web2: {port: 80, unread: 1}
db:
  hosts:
    db1: {role: primary, location: Berlin}
    db2: {role: replica, location: Munich}
""",
    "inventory/bookmarks.yml": "- {id: 1, name: databases, query: hostgroup = db}\n",
    "chargehand.toml": 'ssh_user = "ops"\n',
}

Edit = tuple[str, str, str]
UNNAMED = "playbooks/web.yml#2"


def edited(*edits: Edit) -> dict[str, str]:
    """The files after some replacements, each of which is surely one."""
    files = dict(FILES)
    for path, old, new in edits:
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new)
    return files


class Pushes:
    """Commits of one repository, and what is started from one to the next."""

    def __init__(self, folder: Path) -> None:
        self._work = Work(folder / "work")
        self._folder = folder
        self._commits: dict[str, str] = {}

    def commit(self, files: Mapping[str, str]) -> str:
        """A commit of exactly these files."""
        if (known := json.dumps(files)) in self._commits:
            return self._commits[known]
        self._work("rm", "-r", "-f", "-q", "--ignore-unmatch", ".")
        for path, text in files.items():
            self._work.write(path, text)
        self._commits[known] = self._work.commit()
        return self._commits[known]

    def project(self, commit: str, now: datetime = NOW) -> Project:
        """The project as it is in a commit."""
        folder = self._folder / commit
        if not folder.exists():
            self._work("worktree", "add", "-q", "--detach", str(folder), commit)
        return Project.load(folder, clock=lambda: now)

    def changed(self, before: str, after: str) -> frozenset[str]:
        return frozenset(self._work("diff", "--name-only", "--no-renames", before, after).splitlines())

    def started(self, before: Mapping[str, str], after: Mapping[str, str], branch: str = "main") -> list[str]:
        """What a push from the one to the other starts."""
        old, new = self.commit(before), self.commit(after)
        then = self.project(old, NOW - timedelta(days=1))
        jobs = pushed_jobs(then, self.project(new), branch=branch, paths=self.changed(old, new))
        return [label(job.text("name"), job.document.file, job.root) for job in jobs]


def label(name: str | None, file: str, root: tuple[str | int, ...]) -> str:
    return name or f"playbooks/{Path(file).name}#{int(root[0]) + 1 if root else 1}"


@pytest.fixture(scope="module")
def pushes(tmp_path_factory: pytest.TempPathFactory) -> Pushes:
    return Pushes(tmp_path_factory.mktemp("pushes"))


QUIET: Mapping[str, Mapping[str, str]] = {
    "a comment": edited(("playbooks/web.yml", "# the web tier", "# the other tier\n# of it all")),
    "a comment of a template": edited(
        ("playbooks/templates/deploy.j2", "\n{{ snip", "\n{# a comment #}{{ snip")
    ),
    "a comment of what none of them runs": edited(("playbooks/hand.yml", "script", "# x\nscript")),
    "what describes a template": edited(("playbooks/templates/deploy.j2", "category: Web", "category: Tier")),
    "the order of keys": edited(
        ("playbooks/db.yml", "name: Back up\nscript: \"dump {{ snippet('Head') }}\"\n", ""),
        (
            "playbooks/db.yml",
            "location_id",
            "script: \"dump {{ snippet('Head') }}\"\nname: Back up\nlocation_id",
        ),
    ),
    "the order of hosts": edited(
        ("inventory/hosts.yml", "    web1: {port: 80, location: Berlin, tier: gold}\n", ""),
        (
            "inventory/hosts.yml",
            "unread: 1}\n",
            "unread: 1}\n    web1: {tier: gold, port: 80, location: Berlin}\n",
        ),
    ),
    "a variable that nobody reads": edited(("inventory/hosts.yml", "unread: 1", "unread: 2")),
    "another way to the same hosts": edited(("playbooks/db.yml", "bookmark_id: 1", "host_ids: [db1]")),
    "a query that means the same hosts": edited(("playbooks/web.yml", "hostgroup = web\n", "name ~ web\n")),
    "when it recurs": edited(("playbooks/nightly.yml", "0 3 * * *", "0 4 * * *")),
    "how many hosts it may have": edited(
        ("playbooks/nightly.yml", "\non:", "\nmax_targets: 9\nallow_empty: true\non:")
    ),
    "who is told": edited(
        ("playbooks/nightly.yml", "\non:", "\nnotify: [{to: {env: URL}}]\non:"),
    ),
    "what it is called": edited(("playbooks/web.yml", "name: Deploy", "name: Ship")),
    "a setting that reaches nobody": edited(
        ("chargehand.toml", "ops", 'ops"\nconcurrency_level = 7\nstore = "off')
    ),
    "a job that only hands start": edited(("playbooks/hand.yml", "uptime", "uptime -p")),
    "an input of a template that prints nothing": edited(
        ("playbooks/templates/greet.j2", "[{name", "[{name: new, default: x}, {name")
    ),
    "another file": FILES | {"README.md": "x\n"},
    "a wish to be started": edited(("playbooks/hand.yml", "uptime", "uptime\non: {push: {}}")),
    "a broken job that was there": FILES | {"playbooks/broken.yml": "name: [\n"},
}


@pytest.mark.parametrize("after", QUIET.values(), ids=QUIET)
def test_a_push_that_changes_nothing_of_what_runs_starts_nothing(
    pushes: Pushes, after: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert pushes.started(FILES, after) == []
    assert ("refused" in caplog.text) == ("playbooks/broken.yml" in after)


LOUD: Mapping[str, tuple[list[str], Mapping[str, str]]] = {
    "a snippet": (["Back up", "Deploy"], edited(("playbooks/templates/head.j2", "# head", "# new head"))),
    "a template": (["Deploy"], edited(("playbooks/templates/deploy.j2", "deploy ", "ship "))),
    "the default of a foreign input": (["Deploy"], edited(("playbooks/templates/greet.j2", "hello", "hi"))),
    "the default of an input that no job has": (
        ["Nightly"],
        edited(("playbooks/templates/tell.j2", "well", "not well")),
    ),
    "a variable of one host": (
        ["Deploy"],
        edited(("inventory/hosts.yml", "web1: {port: 80", "web1: {port: 81")),
    ),
    "a variable of a host that only hostvars read": (
        [UNNAMED],
        edited(("inventory/hosts.yml", "primary", "main")),
    ),
    "a variable that only a query selects by": (
        ["Nightly"],
        edited(("inventory/hosts.yml", "unread: 1", "tier: gold")),
    ),
    "a number that is written otherwise": (
        ["Deploy"],
        edited(("inventory/hosts.yml", "web1: {port: 80", "web1: {port: 80.0")),
    ),
    "an input that is written otherwise": (["Deploy"], edited(("playbooks/web.yml", '"1.0"', "1.00"))),
    "a host that is gone": (
        ["Deploy", UNNAMED],
        edited(("inventory/hosts.yml", "    web2: {port: 80, unread: 1}\n", "")),
    ),
    "where a host is reached": (
        [
            "Deploy",
            UNNAMED,
        ],
        edited(("inventory/hosts.yml", "unread: 1", "ansible_host: 192.0.2.7")),
    ),
    "as whom hosts are reached": (["Nightly", "Deploy", UNNAMED], edited(("chargehand.toml", "ops", "root"))),
    "a bookmark": (["Back up"], edited(("inventory/bookmarks.yml", "hostgroup = db", "hostgroup = web"))),
    "a taxonomy": (
        ["Back up"],
        edited(("inventory/hosts.yml", "replica, location: Munich", "replica, location: Berlin")),
    ),
    "an input": (["Deploy"], edited(("playbooks/web.yml", '"1.0"', '"1.1"'))),
    "where a secret is kept": (["Deploy"], edited(("playbooks/web.yml", "TOKEN", "OTHER_TOKEN"))),
    "a limit": (["Deploy"], edited(("playbooks/web.yml", "concurrency_level: 2", "concurrency_level: 3"))),
    "the order of hosts that is asked for": (
        [UNNAMED],
        edited(("playbooks/web.yml", ", randomized_ordering: true", "")),
    ),
    "a new job": (
        ["New"],
        FILES
        | {
            "playbooks/new.yml": FILES["playbooks/hand.yml"]
            .replace("By hand", "New")
            .replace("uptime", "date\non: {push: {}}")
        },
    ),
    "a copy of a job": (
        ["Nightly, too"],
        FILES | {"playbooks/nightly2.yml": FILES["playbooks/nightly.yml"].replace("Nightly", "Nightly, too")},
    ),
}


@pytest.mark.parametrize(("names", "after"), LOUD.values(), ids=LOUD)
def test_a_push_starts_exactly_the_jobs_that_do_something_else_by_it(
    pushes: Pushes, names: list[str], after: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert sorted(pushes.started(FILES, after)) == sorted(names)
    assert not caplog.text


def moved(files: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    return {new if path == old else path: text for path, text in files.items()}


def test_a_renamed_file_starts_nothing_even_when_another_takes_its_name(pushes: Pushes) -> None:
    assert pushes.started(FILES, moved(FILES, "playbooks/web.yml", "playbooks/tier.yml")) == []
    taken = moved(FILES, "playbooks/db.yml", "playbooks/data.yml") | {
        "playbooks/db.yml": FILES["playbooks/db.yml"].replace("dump", "restore")
    }
    assert pushes.started(FILES, taken) == ["Back up"]


def test_jobs_in_another_order_start_nothing_and_a_new_one_between_them_starts_alone(pushes: Pushes) -> None:
    jobs = yaml.safe_load(FILES["playbooks/web.yml"].replace(" on:", ' "on":'))
    turned = FILES | {"playbooks/web.yml": json.dumps(jobs[::-1])}
    assert pushes.started(FILES, turned) == []
    new = jobs[1] | {"script": "date"}
    assert pushes.started(FILES, FILES | {"playbooks/web.yml": json.dumps([new, *jobs])}) == [
        "playbooks/web.yml#1"
    ]


def test_of_two_jobs_with_one_name_the_one_that_changed_starts(pushes: Pushes) -> None:
    def twice(*scripts: str) -> dict[str, str]:
        body = {"targeting_type": "static_query", "search_query": "*"}
        jobs = [{"name": "X", "script": each, "on": {"push": {}}, "job_invocation": body} for each in scripts]
        return {**FILES, "playbooks/twice.json": json.dumps(jobs)}

    assert pushes.started(twice("a", "b"), twice("a", "b")) == []
    assert pushes.started(twice("a", "b"), twice("a", "c")) == ["X"]
    assert pushes.started(twice("a", "b"), twice("b", "b")) == ["X"]


def test_branch_and_paths_of_a_job_count(pushes: Pushes) -> None:
    inventory = edited(
        ("inventory/hosts.yml", "    db2: {role: replica, location: Munich}\n", ""),
        ("inventory/hosts.yml", "db1:", "db3:"),
        ("playbooks/web.yml", "db1", "db3"),
    )
    assert pushes.started(FILES, inventory, "release/7") == ["Back up"]
    assert pushes.started(FILES, inventory, "feature") == []
    assert pushes.started(FILES, edited(("chargehand.toml", "ops", "root")), "feature") == [
        "Nightly",
        "Deploy",
        UNNAMED,
    ]


def test_without_a_past_or_with_one_that_cannot_be_read_nothing_starts(
    pushes: Pushes, caplog: pytest.LogCaptureFixture
) -> None:
    after = pushes.project(pushes.commit(FILES))
    assert pushed_jobs(None, after, branch="main", paths=frozenset(["playbooks/web.yml"])) == ()
    with caplog.at_level(logging.WARNING):
        assert pushes.started(FILES | {"inventory/hosts.yml": "web: {hosts: 7}\n"}, FILES) == []
    assert "the files before it are refused" in caplog.text


def test_a_job_that_is_put_right_starts_and_one_that_is_broken_does_not(
    pushes: Pushes, caplog: pytest.LogCaptureFixture
) -> None:
    broken = edited(("playbooks/db.yml", "bookmark_id: 1", "bookmark_id: 7"))
    assert pushes.started(broken, FILES) == ["Back up"]
    with caplog.at_level(logging.WARNING):
        assert (
            pushes.started(
                FILES,
                broken | {"playbooks/templates/deploy.j2": "{#\nname: Deploy\njob_category: Web\n#}\nx\n"},
            )
            == []
        )
    assert "no bookmark" in caplog.text


def test_an_inventory_that_is_broken_by_a_push_starts_nothing_and_says_so(pushes: Pushes) -> None:
    with pytest.raises(InvalidError, match="hosts"):
        pushes.started(FILES, FILES | {"inventory/hosts.yml": "web: {hosts: 7}\n"})


def test_what_only_the_clock_changes_starts_nothing(pushes: Pushes) -> None:
    files = FILES | {
        "playbooks/hand.yml": 'script: "true"\non: {push: {}}\njob_invocation:\n'
        "  {targeting_type: dynamic_query, search_query: facts.seen > 1 day ago,\n"
        "   scheduling: {start_at: 2027-01-15T00:00:00Z}}\n",
        "inventory/more.yml": "all:\n  hosts:\n    web1: {facts: {seen: 2027-01-13T20:00:00Z}}\n",
    }
    assert pushes.started(files, files | {"README.md": "x\n"}) == []


# -- the law: however it is written --------------------------------------------------------------------


def fingerprints(project: Project) -> list[str]:
    with Effects(project, now=NOW) as effects:
        assert not effects.refused, effects.problems
        return sorted(job.fingerprint for job in effects.all())


def write(root: Path, files: Mapping[str, str]) -> Project:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Project.load(root, clock=lambda: NOW)


def shuffled(value: object, chance: random.Random) -> object:
    """The same data with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value


def rewritten(text: str, chance: random.Random, dump: Callable[[object], str]) -> str:
    """The same document in another order, with comments."""
    data = yaml.safe_load(text.replace("\non:", '\n"on":').replace("\n  on:", '\n  "on":'))
    if isinstance(data, list) and chance.random() < 0.5:
        data.reverse()
    return dump(shuffled(data, chance)) + chance.choice(["", "\n# a comment\n", "\n\n"])


@pytest.fixture(scope="module")
def as_written(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return fingerprints(write(tmp_path_factory.mktemp("law"), FILES))


@tried(5)
@given(st.randoms(use_true_random=False), st.booleans())
def test_order_and_comments_and_folder_never_change_a_fingerprint(
    tmp_path_factory: pytest.TempPathFactory,
    as_written: list[str],
    chance: random.Random,
    as_json: bool,
) -> None:
    def dump(data: object) -> str:
        return json.dumps(data) if as_json else yaml.safe_dump(data, sort_keys=False)

    files = {
        path: rewritten(text, chance, dump) if path.endswith(".yml") else text for path, text in FILES.items()
    }
    assert fingerprints(write(tmp_path_factory.mktemp("law"), files)) == as_written
