"""The action for GitHub and the template for GitLab: valid by their schemas, and run as their runners do."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from test_annotations import as_junit

CI = Path(__file__).parents[1] / "docs" / "ci"
BIN = Path(sys.executable).parent
ACTION = yaml.safe_load((CI / "github" / "action.yml").read_text("utf-8"))
SPEC, TEMPLATE = yaml.safe_load_all((CI / "gitlab" / "template.yml").read_text("utf-8"))
STEPS = {step["name"].split()[0].lower(): step for step in ACTION["runs"]["steps"]}
JOBS = {name: job for name, job in TEMPLATE.items() if "script" in job}
GOOD = (
    "name: Hi\njob_invocation: {targeting_type: static_query, search_query: web1}\nscript: echo greetings\n"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of somebody, with a job on this machine and one commit after the first."""
    folder = tmp_path / "checkout"
    for name in ("playbooks", "inventory"):
        (folder / name).mkdir(parents=True)
    (folder / "inventory" / "hosts.ini").write_text("web1 ansible_connection=local\n")
    (folder / "chargehand.toml").write_text('effective_user = "root"\nssh_user = "root"\n')
    (folder / ".gitignore").write_text(".chargehand/\n*.report\n*.md\n")
    (folder / "playbooks" / "greet.yml").write_text(GOOD)
    commit(folder, first=True)
    return folder


def commit(folder: Path, *, first: bool = False) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    for words in ([["init", "-q"]] if first else []) + [["add", "-A"], [*who, "commit", "-qm", "change"]]:
        subprocess.run(["git", *words], cwd=folder, check=True)


def run_script(
    shell: tuple[str, ...], script: str, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [*shell, "-c", script],
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@dataclass
class Forge:
    """Comments of pull request 7, and of merge request 7, behind the API of their forge."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuses: bool = False
    url: str = ""


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A stand-in for the two forges' API on loopback."""
    state = Forge()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            state.asked.append((self.command, self.path))
            length = int(self.headers.get("Content-Length", 0))
            told = json.loads(self.rfile.read(length)) if length else {}
            allowed = "the-token" in (self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"] or "")
            reply: object = {}
            if state.refuses or not allowed:
                self.send_response(403)
            else:
                self.send_response(200)
                reply = self.carry_out(told)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def carry_out(self, told: dict[str, Any]) -> object:
            if self.path.endswith("/user"):
                return {"id": 5}
            if self.command == "GET":
                page = int(re.findall(r"[?&]page=(\d+)", self.path)[0])
                return state.comments[(page - 1) * 100 : page * 100]
            if self.command == "POST":
                me = {"login": "github-actions[bot]", "id": 5}
                told |= {"id": len(state.comments) + 1, "user": me, "author": me}
                state.comments.append(told)
            else:
                number = int(self.path.rpartition("/")[2])
                state.comments[number - 1] |= told
            return told

        do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()
        thread.join()


# -- as they are written --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("github-actions", "github/action.yml"),
        ("github-workflows", "github/workflow.yml"),
        ("gitlab-ci", "gitlab/gitlab-ci.yml"),
        ("gitlab-ci", "gitlab/template.yml"),
    ],
)
def test_a_file_is_valid_by_the_schema_of_its_forge(schema: str, name: str, tmp_path: Path) -> None:
    documents = (CI / name).read_text("utf-8").split("\n---\n")
    files = [tmp_path / f"{number}.yml" for number in range(len(documents))]
    for file, text in zip(files, documents, strict=True):
        file.write_text(text)
    words = [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_interpolated_into_a_script() -> None:
    scripts = [step["run"] for step in STEPS.values()]
    workflow = yaml.safe_load((CI / "github" / "workflow.yml").read_text("utf-8"))
    scripts += [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    scripts += [line for job in JOBS.values() for line in job["script"]]
    scripts += TEMPLATE[".chargehand"]["before_script"]
    assert len(scripts) > 8
    assert [script for script in scripts if "${{" in script or "$[[" in script] == []


def test_the_workflow_has_no_permission_that_it_does_not_need() -> None:
    workflow = yaml.safe_load((CI / "github" / "workflow.yml").read_text("utf-8"))
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "validate": {"contents": "read"},
        "plan": {"contents": "read", "pull-requests": "write"},
        "run": {"contents": "read"},
    }
    assert "pull_request_target" not in str(workflow)
    assert workflow["jobs"]["run"]["environment"] == "production"


def test_what_the_examples_pass_on_is_an_input() -> None:
    workflow = yaml.safe_load((CI / "github" / "workflow.yml").read_text("utf-8"))
    steps = [
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "docs/ci" in step.get("uses", "")
    ]
    assert len(steps) == 3
    for step in steps:
        assert set(step.get("with", {})) <= set(ACTION["inputs"])
    include = yaml.safe_load((CI / "gitlab" / "gitlab-ci.yml").read_text("utf-8"))["include"][0]
    assert set(include["inputs"]) <= set(SPEC["spec"]["inputs"])
    used = set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", str(TEMPLATE)))
    assert used == set(SPEC["spec"]["inputs"])


@pytest.mark.parametrize("name", [*STEPS, *JOBS])
def test_a_script_has_nothing_that_shellcheck_finds(name: str) -> None:
    shell, script = ("bash", STEPS[name]["run"]) if name in STEPS else ("sh", "\n".join(JOBS[name]["script"]))
    words = [BIN / "shellcheck", "--shell", shell, "-"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_action_installs_the_revision_that_it_is_of() -> None:
    assert '"$ACTION/../../.."' in STEPS["install"]["run"]
    assert (CI / "github" / ".." / ".." / ".." / "pyproject.toml").is_file()


# -- as they run on GitHub ------------------------------------------------------------------------------


def take(
    step: str, checkout: Path, inputs: Mapping[str, str], **environ: str
) -> subprocess.CompletedProcess[str]:
    """Take a step of the action, with its inputs where its `env` wants them."""
    temp = checkout.parent / "runner"
    (temp / "chargehand" / "bin").mkdir(parents=True, exist_ok=True)
    (temp / "chargehand" / "bin" / "chargehand").unlink(missing_ok=True)
    (temp / "chargehand" / "bin" / "chargehand").symlink_to(BIN / "chargehand")
    values = {name: str(each.get("default", "")) for name, each in ACTION["inputs"].items()} | dict(inputs)
    context = {f"inputs.{name}": value for name, value in values.items()}
    context |= {"github.action_path": str(CI / "github"), "github.event.pull_request.number": "7"}
    told = {
        name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: context[found[1]], value)
        for name, value in STEPS[step]["env"].items()
    }
    runner = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(checkout),
        "GITHUB_BASE_REF": "",
        "GITHUB_OUTPUT": str(temp / "output"),
        "GITHUB_STEP_SUMMARY": str(temp / "summary"),
        "RUNNER_TEMP": str(temp),
    }
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
    return run_script(shell, STEPS[step]["run"], checkout, runner | told | environ)


def test_validate_annotates_a_bad_file_and_passes_a_good_one(checkout: Path) -> None:
    assert take("validate", checkout, {}).returncode == 0
    sly = "playbooks/$(touch hacked) `touch hacked`.yml"
    (checkout / sly).write_text(GOOD.replace("static_query", "statically"))
    bad = take("validate", checkout, {"files": f"playbooks/greet.yml\n{sly}\n"})
    assert bad.returncode == 3
    assert bad.stdout.startswith(f"::error file={sly},line=2,col=34,")
    assert not (checkout / "hacked").exists()
    assert take("validate", checkout, {"files": "--help"}).returncode == 3
    assert "chargehand validate" in (checkout.parent / "runner" / "summary").read_text()


@pytest.mark.root
def test_run_sets_outputs_and_leaves_no_key_behind(checkout: Path) -> None:
    done = take("run", checkout, {"files": "playbooks/greet.yml", "private-key": "KEY", "limit": "web1"})
    assert done.returncode == 0, done.stderr
    assert "greetings" in done.stdout
    temp = checkout.parent / "runner"
    assert {"run_id=1", "exit_code=0", "succeeded=1"} <= set((temp / "output").read_text().splitlines())
    assert list(temp.glob("key.*")) == []
    outputs = {re.sub(r".*outputs\.(\w+).*", r"\1", each["value"]) for each in ACTION["outputs"].values()}
    assert outputs <= {line.partition("=")[0] for line in (temp / "output").read_text().splitlines()}


def test_plan_writes_one_comment_and_then_keeps_it_up_to_date(checkout: Path, forge: Forge) -> None:
    inputs = {"token": "the-token"}
    environ = {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "a/b", "GITHUB_BASE_REF": "main"}
    for greeting in ("hello", "goodbye"):
        (checkout / "playbooks" / "greet.yml").write_text(GOOD.replace("greetings", greeting))
        commit(checkout)
        done = take("plan", checkout, inputs, **environ)
        assert done.returncode == 0, done.stderr
    (comment,) = forge.comments
    assert "goodbye" in comment["body"]
    assert "goodbye" in (checkout.parent / "runner" / "summary").read_text()


def comment(folder: Path, forge: Forge, body: str) -> subprocess.CompletedProcess[str]:
    """Write a comment as the action does."""
    (folder / "plan.md").write_text(body)
    environ = {
        "GITHUB_API_URL": forge.url,
        "GITHUB_REPOSITORY": "a/b",
        "PULL_REQUEST": "7",
        "TOKEN": "the-token",
        "AUTHOR": "github-actions[bot]",
    }
    script = f"{sys.executable} {CI / 'github' / 'comment.py'} plan.md"
    return run_script(("sh",), script, folder, environ)


def test_a_comment_is_found_again_behind_many_others_and_those_of_others_are_left_alone(
    tmp_path: Path, forge: Forge
) -> None:
    stranger = {"user": {"login": "stranger"}, "body": "<!-- chargehand plan -->\nmine\n"}
    forge.comments += [{"id": number, **stranger} for number in range(1, 251)]
    for text in ("first", "second"):
        assert comment(tmp_path, forge, f"<!-- chargehand plan -->\n{text}\n").returncode == 0
    *others, last = forge.comments
    assert last["body"] == "<!-- chargehand plan -->\nsecond\n"
    assert len(others) == 250
    assert {each["body"] for each in others} == {stranger["body"]}
    assert forge.asked[-1] == ("PATCH", "/repos/a/b/issues/comments/251")


def test_a_token_that_may_not_comment_is_a_notice_and_no_failure(tmp_path: Path, forge: Forge) -> None:
    forge.refuses = True
    done = comment(tmp_path, forge, "<!-- chargehand plan -->\n")
    assert done.returncode == 0
    assert done.stdout.startswith("::notice::")
    assert "the-token" not in done.stdout + done.stderr


# -- as they run on GitLab ------------------------------------------------------------------------------


def job(name: str, checkout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a job of the template as GitLab's runner does: its lines one after another in one shell."""
    script = "\n".join(['PATH="$CHARGEHAND_BIN:$PATH"', *JOBS[f"chargehand-{name}"]["script"]])
    told = {"GITLAB_CI": "true", "CHARGEHAND_BIN": str(BIN), "CI_PROJECT_DIR": str(checkout)}
    return run_script(("sh", "-e"), script, checkout, told | environ)


def test_validate_writes_both_reports_and_says_what_is_wrong_in_the_log(checkout: Path) -> None:
    assert job("validate", checkout).returncode == 0
    (checkout / "playbooks" / "bad.yml").write_text(GOOD.replace("static_query", "statically"))
    bad = job("validate", checkout)
    assert bad.returncode == 3
    assert "playbooks/bad.yml:2:34: error:" in bad.stderr
    reports = JOBS["chargehand-validate"]["artifacts"]["reports"]
    (found,) = json.loads((checkout / reports["codequality"]).read_text())
    assert found["location"] == {"path": "playbooks/bad.yml", "lines": {"begin": 2}}
    assert len(as_junit((checkout / reports["junit"]).read_text())) == 2


@pytest.mark.root
def test_run_runs_the_files_of_its_variable(checkout: Path) -> None:
    sly = "playbooks/$(touch hacked).yml"
    (checkout / sly).write_text(GOOD)
    done = job("run", checkout, CHARGEHAND_FILES=f"playbooks/greet.yml\n{sly}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("greetings") == 2
    assert not (checkout / "hacked").exists()


def test_plan_keeps_one_note_up_to_date_where_it_has_a_token(checkout: Path, forge: Forge) -> None:
    environ = {
        "CI_API_V4_URL": forge.url,
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD^1",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    }
    for greeting in ("hello", "goodbye"):
        (checkout / "playbooks" / "greet.yml").write_text(GOOD.replace("greetings", greeting))
        commit(checkout)
        done = job("plan", checkout, **environ, CHARGEHAND_TOKEN="the-token")
        assert done.returncode == 0, done.stderr
    (note,) = forge.comments
    assert "goodbye" in note["body"]
    asked = len(forge.asked)
    assert job("plan", checkout, **environ).returncode == 0
    assert len(forge.asked) == asked
    assert (checkout / "chargehand-plan.md").read_text() == note["body"]
