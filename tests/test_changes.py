"""What a change would do: `plan --from REV --to REV` on real repositories, honest, hostile and large."""

import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from chargehand.comparison import compare
from chargehand.project import Project
from chargehand.pushing import pushed_jobs
from chargehand.report.change import JobChange, ProjectChange, ScriptChange, Side, document
from chargehand.report.changemarkdown import MARKER, MAX_CHARACTERS, code, markdown
from chargehand.report.changetext import lines
from chargehand.report.scriptdiff import MAX_LINES, ScriptDiffs
from chargehand.revision import changed_paths, open_revision
from repository import Answer, Repository, job
from test_git import Work

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "cases" / "report" / "change.md"


class InGit(Repository):
    """A repository in git."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.git = Work(root)
        (root / ".gitignore").write_text("work/\n")

    def write(self, path: str, text: str) -> None:
        self.git.write(path, text)

    def commit(self) -> str:
        return self.git.commit()

    def change(self, *words: str) -> Answer:
        """What `plan` says of a change, without words of what is not committed yet."""
        return self.chargehand("plan", "--detailed-exitcode", *(words or ("--from", "HEAD")))

    def document(self, *words: str):
        return self.change(*(words or ("--from", "HEAD")), "-o", "json").document


@pytest.fixture
def repository(tmp_path: Path) -> InGit:
    return InGit(tmp_path / "project")


def first(repository: InGit) -> str:
    """A commit with three hosts and two jobs."""
    repository.hosts({"web1": {"port": 80}, "web2": {"port": 80}, "db1": {}})
    repository.job("listen {{ host_param('port') }}\n", name="listen", query="name ~ web", on={"push": {}})
    repository.job("uptime\n", name="look")
    return repository.commit()


# -- what is told ---------------------------------------------------------------------------------------


def test_a_comment_changes_nothing(repository):
    first(repository)
    path = repository.root / "playbooks" / "look.json"
    path.write_text("# a comment\n" + path.read_text())
    answer = repository.change()
    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout.endswith("jobs: 2 unchanged\nnothing changes\n")


def test_a_variable_shows_the_scripts_that_read_it_folded_and_what_the_push_starts(repository):
    commit = first(repository)
    repository.hosts({"web1": {"port": 81}, "web2": {"port": 81}, "db1": {"port": 81}})
    answer = repository.change()
    assert answer.code == 10
    assert answer.stdout.splitlines() == [
        f"HEAD ({commit[:12]}) -> the working tree",
        "",
        "listen (playbooks/listen.json): changed, 2 hosts, STARTS",
        "  script of web[1-2]:",
        "  | @@ -1 +1 @@",
        "  | -listen 80",
        "  | +listen 81",
        "",
        "jobs: 1 changed, 1 unchanged",
        "a push to main starts: listen",
    ]
    found = repository.document()
    assert found["push"] == {"branch": "main", "starts": ["listen"]}
    (changed,) = found["jobs"]
    assert changed["scripts"] == [
        {"hosts": ["web1", "web2"], "diff": ["@@ -1 +1 @@", "-listen 80", "+listen 81"], "reason": ""}
    ]


def test_hosts_jobs_and_keys_that_come_go_and_change(repository):
    before = first(repository)
    repository.hosts({"web2": {"port": 80}, "web3": {"port": 80, "ansible_host": "192.0.2.3"}, "db1": {}})
    (repository.root / "playbooks" / "look.json").unlink()
    repository.job("date\n", name="date", query="name = db1", parameters={"ssh_user": "ops"})
    repository.job(
        "listen {{ host_param('port') }}\n", name="listen", query="name ~ web", on={"push": {}}, deadline="1h"
    )
    after = repository.commit()
    (date, listen, look) = repository.document("--from", before, "--to", after)["jobs"]
    assert (date["change"], date["hosts"]["added"], date["scripts"][0]["diff"]) == (
        "added", ["db1"], ["@@ -0,0 +1 @@", "+date"],
    )  # fmt: skip
    assert {"name": "ssh_user", "before": None, "after": "ops"} in date["facts"]
    assert listen["hosts"] == {"before": 2, "after": 2, "added": ["web3"], "removed": ["web1"]}
    assert listen["facts"] == [{"name": "deadline", "before": None, "after": 3600.0}]
    assert (listen["scripts"], listen["starts"]) == ([], True)
    assert (look["change"], look["hosts"]["before"], look["starts"]) == ("removed", 3, False)


def test_a_host_that_is_reached_elsewhere_as_somebody_else_is_told(repository):
    first(repository)
    repository.hosts({"web1": {"port": 80, "ansible_user": "new"}, "web2": {"port": 80}, "db1": {}})
    listen, _ = repository.document()["jobs"]
    told = [(each["name"], each["before"], each["after"], each["hosts"]) for each in listen["reach"]]
    assert ("ssh_user", None, "new", ["web1"]) in told


def test_renames_and_another_order_are_no_change(repository):
    first(repository)
    one, unnamed = job("a\n", name="one"), {key: each for key, each in job("b\n").items() if key != "name"}
    repository.jobs([one, unnamed], name="list")
    repository.commit()
    repository.git("mv", "playbooks/look.json", "playbooks/view.json")
    repository.jobs([unnamed, one], name="list")
    answer = repository.change()
    assert answer.code == 0
    assert "look (playbooks/view.json, was look in playbooks/look.json): moved, 3 hosts" in answer.stdout
    assert [each["change"] for each in repository.document()["jobs"]] == ["moved", "moved"]


def test_a_recurring_logic_that_ends_begins_or_runs_at_another_time(repository):
    def recurring(name: str, line: str, purpose: str) -> None:
        recurrence = {"cron_line": line, "purpose": purpose}
        repository.job("x\n", name=name, parameters={"recurrence": recurrence})

    first(repository)
    recurring("a", "0 3 * * *", "a")
    recurring("b", "0 3 * * *", "b")
    repository.commit()
    recurring("a", "0 4 * * *", "a")
    recurring("b", "0 3 * * *", "c")
    found = repository.document()
    assert found["recurring"] == {"begins": ["purpose:c"], "ends": ["purpose:b"]}
    a, _ = found["jobs"]
    assert [len(a["next_runs"][side]) for side in ("before", "after")] == [3, 3]
    assert all("T04:00:00" in at for at in a["next_runs"]["after"])
    assert "recurring logic ends: purpose:b" in repository.change().stdout


def test_named_files_are_the_only_ones_that_are_looked_at(repository):
    first(repository)
    repository.job("uptime -p\n", name="look")
    repository.job("new\n", name="new")
    assert [each["job"] for each in repository.document("--from", "HEAD", "playbooks/new.json")["jobs"]] == [
        "new"
    ]
    for file, told in (
        ("playbooks/none.json", "in neither revision"),
        ("/etc/passwd", "outside of the project"),
    ):
        answer = repository.change("--from", "HEAD", file)
        assert (answer.code, told in answer.stderr) == (2, True)


def test_an_inventory_that_is_given_is_that_of_each_revision(repository):
    first(repository)
    repository.write("other.ini", "web7 port=1\n")
    repository.commit()
    repository.write("other.ini", "web7 port=2\n")
    (listen,) = repository.document("--from", "HEAD", "-i", "other.ini")["jobs"]
    assert listen["scripts"][0]["hosts"] == ["web7"]


def test_what_plan_says_of_a_push_is_what_the_push_starts(repository, tmp_path):
    before = first(repository)
    repository.job("listen {{ host_param('port') }} more\n", name="listen", query="name ~ web",
                   on={"push": {"branches": ["release/*"], "paths": ["playbooks"]}})  # fmt: skip
    after = repository.commit()
    for branch, names in (("main", []), ("release/1", ["listen"])):
        said = repository.document("--from", before, "--to", after, "--branch", branch)["push"]["starts"]
        projects = []
        for commit in (before, after):
            folder = tmp_path / branch / commit
            repository.git("worktree", "add", "-q", "--detach", str(folder), commit)
            projects.append(Project.load(folder))
        started = pushed_jobs(*projects, branch=branch, paths=frozenset(["playbooks/listen.json"]))
        assert [each.text("name") for each in started] == said == names


def test_the_paths_that_changed_are_those_that_git_tells(repository):
    before = first(repository)
    repository.write("playbooks/new file.yml", "x\n")
    (repository.root / "playbooks" / "look.json").unlink()
    repository.job("other\n", name="listen")
    after = repository.commit()
    repository.write("work/ignored", "x\n")
    told = frozenset(repository.git("diff", "-z", "--name-only", before, after).split("\0")) - {""}
    repository.git("reset", "-q", "--soft", before)
    for name in (after, None):
        with (
            open_revision(repository.root, before, "") as old,
            open_revision(repository.root, name, "") as new,
        ):
            assert changed_paths(old, new) == told


# -- what is invalid, and what is hostile ---------------------------------------------------------------


def test_a_revision_that_is_invalid_is_told_as_such_and_the_other_is_shown(repository):
    first(repository)
    repository.write("playbooks/look.json", '{"job_invocation": {"search_query": 7}}')
    answer = repository.change()
    assert answer.code == 3
    assert "the working tree is invalid:" in answer.stdout
    assert "playbooks/look.json:1:37: error: `job_invocation.search_query`" in answer.stdout
    assert "look (playbooks/look.json): cannot be compared, 3 hosts" in answer.stdout
    assert str(repository.root) not in answer.stdout
    repository.commit()
    repository.hosts({"web1": "no mapping"})
    found = repository.document()
    assert [found[side]["valid"] for side in ("from", "to")] == [False, False]
    assert [each["change"] for each in found["jobs"]] == ["unknown"]
    assert found["to"]["problems"][0]["file"] == "inventory.json"


def test_only_what_is_to_come_fails_without_being_asked(repository):
    first(repository)
    repository.write("playbooks/broken.yml", "a: [\n")
    repository.commit()
    (repository.root / "playbooks" / "broken.yml").unlink()
    assert repository.chargehand("plan", "--from", "HEAD").code == 0
    assert repository.change("--from", "HEAD").code == 3
    assert repository.chargehand("plan", "--from", "HEAD~1", "--to", "HEAD").code == 3
    assert repository.chargehand("plan", "--to", "HEAD").code == 3


@pytest.mark.parametrize(
    "name", ["-x", "--output=/tmp/x", "", "HEAD~7", "a..b", "HEAD:playbooks", "x\ny", "no such"]
)
def test_a_revision_that_is_none_is_refused(repository, name):
    first(repository)
    answer = repository.chargehand("plan", f"--from={name}")
    assert answer.code == 2
    assert answer.stderr.startswith("chargehand: --from: `")


def test_outside_of_git_there_are_no_revisions(tmp_path):
    repository = Repository(tmp_path / "project")
    repository.job()
    answer = repository.chargehand("plan", "--to", "HEAD")
    assert (answer.code, "not a git repository" in answer.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name a job file"),
        (["playbooks/look.json", "-o", "markdown"], "need --from or --to"),
        (["--from", "HEAD", "-l", "web1"], "do not go together"),
    ],
)
def test_options_that_do_not_go_together_are_refused(repository, words, told):
    first(repository)
    answer = repository.chargehand("plan", *words)
    assert (answer.code, told in answer.stderr) == (2, True)


def test_a_hostile_revision_only_gives_errors(repository, tmp_path):
    first(repository)
    secret = tmp_path / "secret"
    secret.write_text("canary: [\n")
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in pairwise("abcdefghijklmnopqrst")
    )
    repository.write("playbooks/bomb.yml", bomb)
    (repository.root / "playbooks" / "link.yml").symlink_to(secret)
    repository.job(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        name="endless",
        query="name = db1",
    )
    repository.commit()
    answer = repository.change("--from", "HEAD~1", "--to", "HEAD")
    assert answer.code == 3
    assert "playbooks/bomb.yml" in answer.stdout
    assert "links and submodules are left out: playbooks/link.yml" in answer.stdout
    assert "script of db1: does not render: playbooks/endless.json: error: " in answer.stdout
    assert "canary" not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "settings", [{"inventory": ["/etc/hostname"]}, {"templates": "../.."}, {"blackout": ["../x"]}]
)
def test_settings_of_a_commit_do_not_lead_out_of_it(repository, settings):
    first(repository)
    repository.settings(**settings)
    repository.commit()
    answer = repository.change("--from", "HEAD~1", "--to", "HEAD")
    assert answer.code == 3
    assert "which lies outside of the project, so that no commit has it" in answer.stdout
    assert "listen (playbooks/listen.json): cannot be compared, 2 hosts" in answer.stdout


def test_inventory_programs_of_a_revision_run_only_when_that_is_asked_for(repository, tmp_path):
    first(repository)
    ran = tmp_path / "ran"
    repository.git.write(
        "inventory/cloud", f'#!/bin/sh\ntouch {ran}\necho \'{{"c": {{"hosts": ["cloud1"]}}}}\'\n', 0o755
    )
    repository.settings(inventory=["inventory.json", "inventory/cloud"])
    repository.commit()
    answer = repository.change("--from", "HEAD~1", "--to", "HEAD")
    assert (ran.exists(), "cloud" in answer.stdout) == (False, True)
    found = repository.document("--from", "HEAD~1", "--to", "HEAD", "--run-programs")
    assert (ran.exists(), found["jobs"][0]["hosts"]["added"]) == (True, ["cloud1"])


def test_no_secret_is_told_in_any_form(repository):
    repository.settings(plain_secrets="allow")
    repository.hosts({"web1": {"ansible_password": "canary", "note": "x"}})
    hidden = {"template_inputs": [{"name": "token", "hidden_value": True}]}
    script = "use {{ input('token') }}\n"
    for number in (1, 2):
        repository.job(
            f"{number} {script}",
            name="secret",
            parameters={"inputs": {"token": f"canary{number}"}, "password": f"canary{number}"},
            **hidden,
        )
        head = "script: x\njob_invocation:\n  targeting_type: static_query\n  search_query: '*'\n"
        vault = "!vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    3336canary"
        vaulted = f"{head}  password: {vault}\ndeadline: {number}h\n"
        repository.write("playbooks/vault.yml", vaulted)
        repository.commit()
    for form in ("text", "json", "markdown"):
        answer = repository.change("--from", "HEAD~1", "--to", "HEAD", "-o", form)
        assert answer.code == 10
        assert "use ***" in answer.stdout
        assert "canary" not in answer.stdout + answer.stderr


# -- the comment ----------------------------------------------------------------------------------------


def test_the_comment_is_that_of_the_golden_file(repository):
    before = first(repository)
    repository.hosts(
        {"web1": {"port": 81}, "web2": {"port": 81}, "web3": {"port": 81}, "db1": {"ansible_port": 22}}
    )
    (repository.root / "playbooks" / "look.json").unlink()
    repository.job("date\n", name="new `job` <b> @all", query="name = db1",
                   parameters={"recurrence": {"cron_line": "0 3 * * *", "purpose": "daily"}})  # fmt: skip
    repository.write("playbooks/broken.yml", "script: x\njob_invocation: {search_query: '*'}\n")
    after = repository.commit()
    project = Project.load(repository.root, clock=lambda: NOW)
    with open_revision(project.root, before, "") as old, open_revision(project.root, after, "") as new:
        text = markdown(compare(old, new, project, branch="main"))
    text = text.replace(before, "BEFORE").replace(after, "AFTER")
    assert re.sub(r"\((BEFORE|AFTER|[0-9a-f]{12})\)", "(COMMIT)", text) == GOLDEN.read_text(encoding="utf-8")


def large(hosts: int, jobs: int, name: str = "web") -> ProjectChange:
    def script(number: int) -> ScriptChange:
        lines = tuple(f"+{number} line {line} ``` \U0001f600" for line in range(30))
        return ScriptChange(hosts=(f"{name}{number}",), lines=lines)

    return ProjectChange(
        before=Side(name="a", commit="0" * 40),
        after=Side(name="b" * 400, commit="1" * 40),
        jobs=tuple(
            JobChange(
                kind="changed",
                label=f"{name} {number}",
                playbook="playbooks/a.yml",
                hosts_before=hosts,
                hosts_after=hosts,
                scripts=tuple(map(script, range(hosts))),
                starts=True,
            )
            for number in range(jobs)
        ),
    )


@pytest.mark.parametrize(
    ("hosts", "jobs", "name"),
    [(2000, 1, "web"), (2000, 3, "web"), (1, 3000, "web"), (3, 50, "\U0001f600" * 400)],
)
def test_the_comment_of_a_large_change_is_bounded_and_says_what_it_leaves_out(hosts, jobs, name):
    text = markdown(large(hosts, jobs, name))
    assert text.splitlines()[0] == MARKER
    assert len(text.encode()) <= MAX_CHARACTERS
    assert len(text.encode()) > MAX_CHARACTERS / 2
    assert "left out of this comment" in text.lower()
    assert text.count("<details>") == text.count("</details>")
    fences = [line for line in text.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0


def test_a_change_of_two_thousand_hosts_is_told_in_every_form(repository):
    repository.hosts({f"web{number:04d}": {"port": number} for number in range(2000)})
    repository.job("echo {{ host.name }}\nlisten {{ host_param('port') }}\n", name="one")
    repository.job("echo {{ host.name }}\nlisten 80\n", name="two")
    repository.commit()
    repository.job("echo {{ host.name }}\nlisten {{ host_param('port') }} now\n", name="one")
    repository.job("echo {{ host.name }}\nlisten 81 as {{ host.name }}\n", name="two")
    comment = repository.change("--from", "HEAD", "-o", "markdown")
    assert comment.code == 10
    assert MAX_CHARACTERS / 2 < len(comment.stdout.encode()) <= MAX_CHARACTERS
    assert re.search(
        r"The scripts of \d+ more hosts differ; they are left out of this comment", comment.stdout
    )
    one, two = repository.document("--from", "HEAD")["jobs"]
    assert len(one["scripts"]) == 2000
    assert [(len(each["hosts"]), each["diff"][-1]) for each in two["scripts"]] == [
        (2000, "+listen 81 as {host}")
    ]


@pytest.mark.parametrize("text", ["`", "``x`", " a ", "", "</code>@all\n# x", "\u202e", "|", "a" * 999])
def test_a_name_in_a_comment_stays_in_its_code(text):
    shown = code(text)
    ticks = re.match("`+", shown)[0]
    inside = shown[len(ticks) : -len(ticks)]
    assert shown.endswith(ticks)
    assert ticks not in re.findall("`+", inside)
    assert "\n" not in shown
    assert "\u202e" not in shown


def test_scripts_too_long_to_be_compared_are_told_to_differ():
    long = "x\n" * (MAX_LINES + 1)
    (change,) = ScriptDiffs().fold({("x\n", long, ""): ["web1"]})
    assert change.lines is None
    said = large(1, 1).jobs[0]
    told = ProjectChange(
        before=Side(name="a", commit=None),
        after=Side(name="b", commit=None),
        jobs=(JobChange(kind="changed", label=said.label, playbook="p", scripts=(change,)),),
    )
    assert any("too long to be compared" in line.text for line in lines(told))
    assert "too long to be compared" in markdown(told)
    assert json.loads(json.dumps(document(told)))["jobs"][0]["scripts"][0]["diff"] is None


def test_comparing_many_long_scripts_costs_no_more_than_its_bound():
    def numbers(*bounds: int) -> str:
        return "\n".join(map(str, range(*bounds)))

    scripts = {(numbers(n, n + 1500), numbers(-n, -n - 1500, -1), ""): [f"h{n}"] for n in range(1, 100)}
    found = ScriptDiffs().fold(scripts)
    assert any(each.lines is None for each in found)
    assert sum(len(each.hosts) for each in found) == 99
