"""Project, the Python API: what it loads and refuses, and that checking a stranger's files is harmless."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import chargehand
from chargehand.compose import Overrides
from chargehand.errors import InvalidError, InventoryError, NoHostMatchedError, SettingsError, UsageError
from chargehand.event import RunFinished, RunStarted
from chargehand.lab import Lab, fleet
from chargehand.project import Project
from chargehand.result import Status
from chargehand.scaffold import write_project
from chargehand.schema import schema_path
from warm import run_command

ROOT = Path(__file__).parents[1]
NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)

PROGRAM = Path(sys.executable).with_name("chargehand")
EVERYBODY = {"targeting_type": "dynamic_query", "search_query": "*"}


def write(path: Path, text: str | object, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    path.chmod(mode)
    return path


def job(script: str = "true", **own: object) -> dict[str, object]:
    return {"script": script, "job_invocation": EVERYBODY} | own


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "inventory" / "hosts.ini", "[web]\nweb[1:2]\n[db]\ndb1\n")
    write(tmp_path / "playbooks" / "first.json", job(name="first"))
    write(tmp_path / "playbooks" / "second.yml", [job(name="second"), job(name="third")])
    return tmp_path


# -- finding and loading --------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["chargehand.toml", "playbooks", "inventory"])
def test_the_root_is_found_from_any_folder_below_it(tmp_path, monkeypatch, mark):
    (tmp_path / mark).touch() if "." in mark else (tmp_path / mark).mkdir()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert Project.load(below).root == tmp_path
    monkeypatch.chdir(below)
    assert Project.load().root == Path("../..")


def test_a_folder_that_is_no_project_is_its_own_root(tmp_path):
    below = tmp_path / "a"
    below.mkdir()
    assert Project.load(below).root == below


def test_files_are_named_as_seen_from_here(root, monkeypatch):
    monkeypatch.chdir(root / "inventory")
    project = Project.load(".")
    assert project.job_files == (Path("../playbooks/first.json"), Path("../playbooks/second.yml"))
    write(root / "playbooks" / "second.yml", "job_invocation: 7\n")
    places = [str(problem.place) for problem in project.validate().problems]
    assert places[0] == "../playbooks/second.yml:1:17"
    assert all(path.is_absolute() for path in Project.load(root).job_files)


def test_hosts_can_be_iterated_and_searched(root):
    write(root / "inventory" / "host_vars" / "web2.yml", "facts: {kernel: Linux}\nport: 80\n")
    inventory = Project.load(root).inventory
    assert [(host.id, host.name, host.groups) for host in inventory] == [
        (1, "web1", ("web",)),
        (2, "web2", ("web",)),
        (3, "db1", ("db",)),
    ]
    (found,) = inventory.search("facts.kernel = Linux and vars.port > 79")
    assert (found.name, found.facts, found.vars["port"]) == ("web2", {"kernel": "Linux"}, 80)
    assert inventory.search("*") == list(inventory)
    with pytest.raises(InvalidError):
        inventory.search("name = web1)")


def test_the_clock_of_a_search_is_an_argument(root):
    write(root / "inventory" / "host_vars" / "web1.yml", "last_report: 2027-01-15T11:30:00Z\n")
    inventory = Project.load(root).inventory
    assert [host.name for host in inventory.search('last_report > "1 hour ago"', now=NOW)] == ["web1"]
    assert inventory.search('last_report > "1 hour ago"', now=NOW.replace(year=2028)) == []


def test_jobs_are_those_of_all_files_in_order_and_none_when_one_is_broken(root):
    assert [each.label for each in Project.load(root).jobs] == ["first", "second", "third"]
    write(root / "playbooks" / "broken.yml", "job_invocation: {colour: red}\n")
    with pytest.raises(InvalidError, match="colour"):
        _ = Project.load(root).jobs


def test_each_part_is_loaded_when_it_is_asked_for(root):
    write(root / "playbooks" / "templates" / "broken.j2", "no metadata")
    project = Project.load(root)
    assert len(project.inventory) == 3
    with pytest.raises(InvalidError):
        _ = project.templates


def test_everything_that_is_wrong_with_the_parts_is_told_at_once(root):
    write(root / "playbooks" / "templates" / "broken.j2", "no metadata")
    write(root / "inventory" / "bookmarks.yml", "- {name: a, query: name =}\n")
    with pytest.raises(InvalidError) as refused:
        _ = Project.load(root).catalogue
    files = {Path(problem.place.file).name for problem in refused.value.problems}
    assert files == {"broken.j2", "bookmarks.yml"}


def test_settings_that_are_refused_refuse_the_project(root):
    write(root / "chargehand.toml", "colour = 1\n")
    with pytest.raises(SettingsError):
        Project.load(root)


# -- planning and running -------------------------------------------------------------------------------


def test_a_job_is_planned_and_run_by_the_same_scripts(root):
    write(root / "inventory" / "hosts.ini", "a ansible_connection=local\nb ansible_connection=local port=1\n")
    write(root / "chargehand.toml", f'remote_working_dir = "{root}"\n')
    write(root / "playbooks" / "first.json", job("echo {{ host.name }} {{ host_param('port') }}"))
    project = Project.load(root)
    events = []
    (first, *_) = project.jobs
    plan = project.plan(first)
    execution = project.run(first, access=chargehand.Access(effective_user=""), observer=events.append)
    assert [share.script and share.script.content for share in plan.template_invocations] == [
        None,
        b"echo b 1",
    ]
    assert [each.status for each in execution.result.results] == [Status.NOT_STARTED, Status.SUCCEEDED]
    assert execution.result.results[1].stdout.text() == "b 1\n"
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert execution.record.results == execution.result.results


def test_nobody_is_not_run(root):
    write(
        root / "playbooks" / "first.json",
        job() | {"job_invocation": EVERYBODY | {"search_query": "name = x"}},
    )
    project = Project.load(root)
    with pytest.raises(NoHostMatchedError):
        project.run(project.jobs[0])


def test_a_job_that_is_scheduled_is_not_run_early(root):
    later = EVERYBODY | {"scheduling": {"start_at": "2027-02-01T00:00:00Z"}}
    write(root / "playbooks" / "first.json", job(name="later", job_invocation=later))
    project = Project.load(root, clock=lambda: NOW)
    with pytest.raises(UsageError, match="--now"):
        project.run(project.jobs[0])
    assert project.compose(project.jobs[0], Overrides(start_now=True)).scheduling is None


# -- validation -----------------------------------------------------------------------------------------


def test_validation_counts_files_jobs_and_scripts(root):
    validation = Project.load(root).validate()
    assert validation.ok
    assert (len(validation.files), len(validation.jobs), validation.rendered) == (2, 3, 9)


def test_shape_and_meaning_are_told_together_in_the_order_of_the_file(root):
    write(
        root / "playbooks" / "first.json",
        '{"script": "true",\n"job_invocation": {"targeting_type": "dynamic_query",\n'
        '"search_query": "name =", "inputs": {"x": 1},\n"max_targets": 1}}',
    )
    problems = Project.load(root).validate().problems
    assert [problem.place.line for problem in problems] == [3, 3, 4]


def test_every_script_in_place_of_a_file_is_linted(root):
    write(root / "playbooks" / "second.yml", [job("{{ nothing }}"), job("{{ nobody }}")])
    said = "\n".join(map(str, Project.load(root).validate().problems))
    assert "nothing" in said
    assert "nobody" in said


def test_a_script_that_does_not_render_names_the_hosts_where_it_does_not(root):
    write(root / "inventory" / "host_vars" / "web1.yml", "port: 1\n")
    write(root / "playbooks" / "first.json", job("echo {{ host_param('port') }}"))
    (problem,) = Project.load(root).validate().problems
    assert problem.message.endswith("(db1,web2)")


def test_matching_nobody_is_a_warning_and_matching_too_many_an_error(root):
    nobody = EVERYBODY | {"search_query": "name = nobody"}
    write(root / "playbooks" / "first.json", job(job_invocation=nobody))
    write(root / "playbooks" / "second.yml", job(max_targets=1))
    problems = Project.load(root).validate().problems
    assert [problem.severity for problem in problems] == ["warning", "error"]


def test_warnings_of_documents_inventory_and_bookmarks_are_told(root):
    write(
        root / "inventory" / "bookmarks.yml", "- {name: a, query: 'name = and_or or name = b and name = c'}\n"
    )
    validation = Project.load(root).validate()
    expected = Project.load(root).catalogue.warnings
    assert set(expected) <= set(validation.problems)
    assert validation.ok


def test_an_inventory_with_vault_texts_is_checked_where_the_password_is_not_at_hand(root):
    vault = "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3336\n"
    write(root / "inventory" / "group_vars" / "all.yml", f"port: 80\nsecret: {vault}")
    write(root / "chargehand.toml", 'vault_password_files = ["nowhere"]\n')
    write(root / "playbooks" / "first.json", job("echo {{ host_param('port') }}"))
    (warning,) = Project.load(root).validate().problems
    assert (warning.severity, "`nowhere`" in warning.message) == ("warning", True)
    write(root / "playbooks" / "first.json", job("echo {{ host_param('secret') }}"))
    problems = Project.load(root).validate().problems
    assert sorted(problem.severity for problem in problems) == ["error", "warning"]
    with pytest.raises(InvalidError, match="nowhere"):
        _ = Project.load(root).inventory


# -- programs -------------------------------------------------------------------------------------------


@pytest.fixture
def with_program(root: Path) -> Path:
    """A project with an executable inventory that leaves a trace."""
    listing = json.dumps({"cloud": {"hosts": ["cloud1"]}, "_meta": {"hostvars": {}}})
    write(root / "inventory" / "cloud", f"#!/bin/sh\ntouch {root}/ran\necho '{listing}'\n", 0o755)
    return root


def test_an_executable_inventory_is_run_for_a_run(with_program):
    assert "cloud1" in Project.load(with_program).inventory
    assert (with_program / "ran").exists()


def test_validation_runs_no_program_and_blames_no_job_for_its_hosts(with_program):
    wanted = {"targeting_type": "static_query", "host_ids": ["cloud1"]}
    write(with_program / "playbooks" / "first.json", job(job_invocation=wanted))
    validation = Project.load(with_program).validate()
    assert not (with_program / "ran").exists()
    assert validation.ok
    said = [problem.message for problem in validation.problems]
    assert any("was not run" in message for message in said)
    assert any("`cloud1`" in message and "unless an inventory program" in message for message in said)


def test_validation_runs_programs_when_told_to(with_program):
    assert Project.load(with_program).validate(run_programs=True).problems == ()
    assert (with_program / "ran").exists()


@pytest.mark.parametrize("how", ["setting", "argument"])
def test_half_an_inventory_is_none(with_program, how):
    if how == "setting":
        write(with_program / "chargehand.toml", "run_programs = false\n")
    project = Project.load(with_program, programs="run" if how == "setting" else "refuse")
    with pytest.raises(InventoryError, match="was not run"):
        _ = project.inventory
    assert not (with_program / "ran").exists()


# -- hostile repositories -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a command of ours ended, and what it took."""

    code: int
    said: str
    processor_s: float
    memory_bytes: int


def limited(folder: Path, *words: str) -> Ended:
    """Run a command of ours in `folder` with no more than a gigabyte, and a minute of processor time."""
    with (folder / "said").open("w+") as said:
        child = subprocess.Popen(
            ["prlimit", "--as=1073741824", "--cpu=60", PROGRAM, *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    return Ended(child.returncode, text, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def ended(folder: Path, *words: str) -> Ended:
    """Run a command of ours in `folder`."""
    code, stdout, stderr = run_command(words, folder=folder, environ=dict(os.environ), stdin="", timeout_s=60)
    return Ended(code, stdout + stderr, 0, 0)


HOSTILE = {
    "very many hosts": (
        "h[1:40000]\n",
        {"a.yml": [job("echo {{ host.name }}") for _ in range(20)]},
    ),
    "a query of very many conditions": (
        "h[1:40000]\n",
        {"a.yml": job(job_invocation=EVERYBODY | {"search_query": " or ".join(["name ~ x%y%z"] * 12_000)})},
    ),
    "very many wrong jobs": (
        "h[1:50]\n",
        {"a.yml": [job(time_zone=f"Zone/{number}") for number in range(1900)]},
    ),
    "very many unknown hosts": (
        "h[1:20000]\n",
        {
            "a.yml": job(
                job_invocation={"targeting_type": "static_query", "host_ids": [f"h{n}x" for n in range(9000)]}
            )
        },
    ),
    "scripts that never end": (
        "h[1:50]\n",
        {
            f"{n}.yml": job("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
            for n in range(9)
        },
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_validation_of_a_hostile_repository_comes_to_an_end(tmp_path, name):
    hosts, jobs = HOSTILE[name]
    write(tmp_path / "inventory" / "hosts.ini", hosts)
    for file, content in jobs.items():
        write(tmp_path / "playbooks" / file, content)
    ended = limited(tmp_path, "validate")
    assert ended.code in (0, 3), ended.said[-2000:]
    assert "error:" in ended.said or "warning:" in ended.said
    assert ended.processor_s < 10
    assert ended.memory_bytes < 512 * 2**20


OFFLINE = [("validate",), ("plan", "playbooks/job.json"), ("render", "playbooks/job.json", "-l", "a")]


@pytest.mark.parametrize("words", OFFLINE, ids=lambda words: words[0])
def test_inventory_programs_are_left_alone(tmp_path, words):
    write(tmp_path / "inventory" / "program", f"#!/bin/sh\ntouch {tmp_path}/ran\necho '{{}}'\n", 0o755)
    write(tmp_path / "inventory" / "plugin.yml", "plugin: amazon.aws.aws_ec2\n")
    write(tmp_path / "inventory" / "hosts.ini", "a\n")
    write(tmp_path / "playbooks" / "job.json", job())
    ended = limited(tmp_path, *words)
    assert ended.code == (0 if words == ("validate",) else 3)
    assert ended.said.count("was not run") == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words", OFFLINE, ids=lambda words: words[0])
def test_files_are_data(tmp_path, words):
    """Whatever in a repository could name a program, for once in the same one; none is run."""
    touch = ["touch", f"{tmp_path}/ran"]
    spoken = " ".join(touch)
    values = {
        "ansible_ssh_common_args": f"-o ProxyCommand='{spoken}'",
        "x": f"{{{{ lookup('pipe', '{spoken}') }}}}",
    }
    write(tmp_path / "inventory" / "hosts.ini", "a\n")
    write(tmp_path / "inventory" / "host_vars" / "a.yml", values)
    write(tmp_path / "chargehand.toml", f'password = {{ command = {touch} }}\nproxy_command = "allow"\n')
    secret = {"command": touch}
    own = {
        "template_inputs": [{"name": "token", "hidden_value": True}],
        "notify": [{"to": {"command": touch}, "when": ["always"]}],
        "job_invocation": EVERYBODY | {"password": secret, "inputs": {"token": secret}},
    }
    script = f"$({spoken}) {{{{ host_param('x') }}}} {{{{ input('token') }}}}"
    write(tmp_path / "playbooks" / "job.json", job(script, **own))
    ended = limited(tmp_path, *words)
    assert ended.code == 0, ended.said
    assert not (tmp_path / "ran").exists()


# -- the package ----------------------------------------------------------------------------------------


def test_every_public_name_is_there_and_the_stub_says_the_same():
    assert chargehand.__all__[1:] == sorted(chargehand.__all__[1:])
    assert all(getattr(chargehand, name) is not None for name in chargehand.__all__)
    assert set(chargehand.__all__) <= set(dir(chargehand))
    stub = ast.parse((ROOT / "src" / "chargehand" / "__init__.pyi").read_text())
    imported = {
        alias.asname: (node.module, alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(imported) == chargehand.__all__[1:]
    for name, (module, original) in imported.items():
        assert getattr(sys.modules[str(module)], original) is getattr(chargehand, name)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = chargehand.nothing


def test_importing_the_package_loads_nothing_else():
    code = "import sys, chargehand; print(*[name for name in sys.modules if name.startswith('chargehand.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_the_examples_of_the_python_page_run(tmp_path, monkeypatch, capsys):
    write_project(tmp_path / "project", schema_path())
    with Lab(tmp_path / "lab", fleet(3)) as lab:
        settings = f'inventory = ["{lab.inventory}"]\neffective_user = "{os.environ.get("USER", "root")}"\n'
        write(tmp_path / "project" / "chargehand.toml", settings)
        monkeypatch.chdir(tmp_path / "project")
        page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
        names: dict[str, object] = {}
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(block, names)
    said = capsys.readouterr().out
    assert "web1 succeeded" in said
    assert "\n0 Hello from db1, " in said


# -- running by hand what is meant for later ------------------------------------------------------------


@pytest.fixture
def local(root: Path) -> Path:
    """The project with one host, this machine."""
    write(root / "inventory" / "hosts.ini", "here ansible_connection=local ansible_become=false\n")
    write(root / "chargehand.toml", f'remote_working_dir = "{root}"\n')
    return root


def test_a_scheduled_job_runs_by_hand_only_with_now(local):
    for start_at in ("2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z"):
        scheduled = EVERYBODY | {"scheduling": {"start_at": start_at}}
        write(local / "playbooks" / "first.json", job("echo ran", name="later", job_invocation=scheduled))
        handed_in = ended(local, "run", "playbooks/first.json")
        assert handed_in.code == (0 if start_at > "2026" else 3)
        assert "is scheduled" in handed_in.said or "in the past" in handed_in.said
        assert "here: ran" not in handed_in.said
        assert ended(local, "run", "playbooks/first.json", "--list-hosts").code == (
            0 if start_at > "2026" else 3
        )
        ran = ended(local, "run", "playbooks/first.json", "--now")
        assert ran.code == 0, ran.said
        assert "ran" in ran.said


def test_a_recurring_job_is_run_by_hand_once_and_says_so(local):
    recurring = EVERYBODY | {"recurrence": {"cron_line": "0 3 * * *"}}
    own = {"job_invocation": recurring}
    write(local / "playbooks" / "first.json", job("echo ran", name="nightly", **own))
    ran = ended(local, "run", "playbooks/first.json")
    assert ran.code == 0, ran.said
    assert "`nightly` recurs (`0 3 * * *`); this runs it once, now" in ran.said


def test_validation_stops_after_some_seconds_and_renders_every_host_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("chargehand.validation.REHEARSAL_S", 0.0)
    write(tmp_path / "inventory" / "hosts.ini", "web[1:40]\n")
    write(
        tmp_path / "playbooks" / "hello.yml",
        "script: 'true'\njob_invocation: {targeting_type: static_query, search_query: '*'}\n",
    )
    project = Project.load(tmp_path)
    cut = project.validate()
    assert cut.rendered < 40
    assert [problem.severity for problem in cut.problems] == ["warning"]
    assert "--every-host" in cut.problems[0].hint
    whole = project.validate(every_host=True)
    assert (whole.rendered, whole.problems) == (40, ())


def test_validation_tells_every_host_that_fails_however_many_are_alike(tmp_path):
    hosts = "\n".join(f"web{n} rack={n % 2}" if n % 10 else f"web{n}" for n in range(1, 41))
    write(tmp_path / "inventory" / "hosts.ini", hosts)
    for name in ("first", "second"):
        write(
            tmp_path / "playbooks" / f"{name}.yml",
            "script: echo {{ rack }}\njob_invocation: {targeting_type: static_query, search_query: '*'}\n",
        )
    found = Project.load(tmp_path).validate()
    assert found.rendered == 2 * 36
    assert [problem.place.file.rpartition("/")[2] for problem in found.problems] == [
        "first.yml",
        "second.yml",
    ]
    for problem in found.problems:
        assert problem.message.endswith("`rack` is not defined (web[10,20,30,40])")
