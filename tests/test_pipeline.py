"""What a pipeline of GitHub or GitLab is told - summaries, outputs, masks, folds - and must not obey."""

import json
import os
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.mask import lines_to_mask
from chargehand.report.forge import Forge
from chargehand.report.summary import MOST_BYTES, summary
from chargehand.report.workflow import command, inert, masks
from chargehand.secret import Secret
from test_annotations import as_junit
from warm import run_command

PROGRAM = Path(sys.executable).with_name("chargehand")
QUIET = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
GITHUB = {"GITHUB_ACTIONS": "true", "CI": "true"}
CANARY = "canary-5f2a%0A::x"
LINES = "first line of it\nsecond line of it\n}\n"


def obeyed(text: str) -> list[str]:
    """The lines that a runner would obey, as its parser decides."""
    return [line for line in re.split(r"\r\n|\n|\r", text) if line.lstrip().startswith("::") or "##[" in line]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One job on this machine that prints what a runner would obey, and fails for one of two hosts."""
    folder = tmp_path / "repo" / "fleet"
    (folder / "playbooks").mkdir(parents=True)
    (folder / "inventory").mkdir()
    (folder / "chargehand.toml").write_text('ssh_user = "root"\n')
    (folder / "inventory" / "hosts.ini").write_text("web[1:2] ansible_connection=local\n")
    script = """#!/bin/sh
echo '::stop-commands::token'
echo 'here: ##[add-mask]of'
echo "the token: $TOKEN"
token={{ input('token') | quote }}
echo "and: $token"
[ {{ host.name }} = web1 ]
"""
    job = {
        "name": "Greet",
        "script": script,
        "template_inputs": [{"name": "token", "hidden_value": True}],
        "job_invocation": {
            "targeting_type": "static_query",
            "search_query": "*",
            "inputs": {"token": {"env": "THE_TOKEN"}},
            "ssh": {"effective_user": "root"},
        },
    }
    (folder / "playbooks" / "greet.json").write_text(json.dumps(job))
    return folder


def chargehand(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    told = {**QUIET, "THE_TOKEN": CANARY, **environ}
    ended = run_command(words, folder=folder, environ=told, stdin="", timeout_s=60)
    return subprocess.CompletedProcess(words, *ended)


# -- what a log obeys -----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["::", "##[", "#", ":", " ", "\t", "\u2003", "\n", "error", "]", "::x::"])))
def test_no_text_that_was_made_inert_is_obeyed(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert obeyed(inert(text)) == []
    assert inert(text).replace("\\", "") == text


def test_a_command_holds_one_line_and_gives_back_what_it_was_given() -> None:
    line = command("error", "50%\r\n: a,b", file="a,b:c%0A", line=3, col=None)
    assert line == "::error file=a%2Cb%3Ac%250A,line=3::50%25%0D%0A: a,b"


def test_every_line_of_a_secret_is_masked_but_those_that_would_mask_half_of_the_log() -> None:
    assert lines_to_mask(Secret(LINES)) == ("first line of it", "second line of it")
    assert lines_to_mask(Secret("four")) == ("four",)
    assert lines_to_mask(Secret("abc")) == lines_to_mask(Secret("a\n}\nb\n")) == ()
    assert masks(["a%b"]) == "::add-mask::a%25b\n"


def test_outputs_are_folded_as_each_forge_can_and_left_alone_elsewhere() -> None:
    begun, ended = datetime(2026, 11, 29, tzinfo=UTC), datetime(2026, 11, 29, 0, 1, tzinfo=UTC)
    assert Forge.NONE.folded("Title", "line\n", begun, ended) == "line\n"
    assert Forge.GITHUB.folded("Title", "line\n", begun, ended) == "::group::Title\nline\n::endgroup::\n"
    section = Forge.GITLAB.folded("Title", "line\n", begun, ended)
    form = (
        "\x1b\\[0Ksection_start:1795910400:([\\w.-]+)\\[collapsed=true\\]\r\x1b\\[0KTitle\nline\n"
        "\x1b\\[0Ksection_end:1795910460:\\1\r\x1b\\[0K\n"
    )
    assert re.fullmatch(form, section)


# -- summaries ------------------------------------------------------------------------------------------


@given(st.text(), st.lists(st.text()), st.integers(min_value=0, max_value=300))
def test_a_summary_is_never_larger_than_its_room_and_closes_its_block(
    title: str, lines: list[str], room_bytes: int
) -> None:
    text = "".join(f"{line}\n" for line in lines)
    said = summary(title, text.encode("utf-8", "replace").decode(), room_bytes)
    assert len(said.encode()) <= room_bytes
    if said:
        fence = re.search(r"^(`{3,})text$", said, re.MULTILINE)
        assert fence
        assert said.endswith(f"\n{fence[1]}\n\n")
        assert said.count(fence[1]) == 2


def test_nothing_in_the_title_of_a_summary_is_markdown() -> None:
    assert summary("<b> *x* [y](z) `w`", "").splitlines()[0] == (
        "### &#60;b&#62; &#42;x&#42; &#91;y&#93;&#40;z&#41; &#96;w&#96;"
    )


def test_validate_adds_to_a_summary_and_stays_within_its_bound(project: Path, tmp_path: Path) -> None:
    page = tmp_path / "summary"
    page.write_text("before\n")
    (project / "playbooks" / "bad.yml").write_text("name: 1\n'```': <b>\n")
    done = chargehand(project, "validate", GITHUB_STEP_SUMMARY=str(page), **GITHUB)
    assert done.returncode == 3
    text = page.read_text()
    assert text.startswith("before\n### chargehand validate&#58; ")
    assert "playbooks/bad.yml:1:7: error:" in text
    (fence,) = re.findall(r"^(`+)text$", text, re.MULTILINE)
    assert text.count(fence) == 2
    page.write_text("x" * (MOST_BYTES - 300))
    chargehand(project, "validate", GITHUB_STEP_SUMMARY=str(page), **GITHUB)
    assert MOST_BYTES - 300 < page.stat().st_size <= MOST_BYTES
    assert page.read_text().endswith(f"[... the rest is left out ...]\n{fence}\n\n")


def test_a_summary_that_cannot_be_written_is_a_note_and_changes_no_exit_code(
    project: Path, tmp_path: Path
) -> None:
    done = chargehand(project, "validate", GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "such"))
    assert done.returncode == 0
    assert "no/such: No such file or directory" in done.stderr


# -- formats that are found by themselves ---------------------------------------------------------------


def test_the_format_fits_the_forge_and_a_format_that_is_asked_for_wins(project: Path) -> None:
    (project / "playbooks" / "bad.yml").write_text("name: 1\n")
    assert chargehand(project, "validate", **GITHUB).stdout.startswith("::error file=playbooks/bad.yml,")
    assert "::error" not in chargehand(project, "validate", "--format", "text", **GITHUB).stdout
    assert "files, " in chargehand(project, "validate", GITLAB_CI="true").stdout
    assert json.loads(chargehand(project, "validate", "--format", "json", **GITHUB).stdout)["problems"]


@pytest.mark.parametrize("name", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_reports_name_files_from_the_root_of_the_checkout(project: Path, name: str) -> None:
    (project / "playbooks" / "bad.yml").write_text("name: 1\n")
    environ = {name: str(project.parent)}
    report = json.loads(chargehand(project, "validate", "--format", "codequality", **environ).stdout)
    assert {each["location"]["path"] for each in report} == {"fleet/playbooks/bad.yml"}
    suites = as_junit(chargehand(project, "validate", "--format", "junit", **environ).stdout)
    assert {suite.get("name"): suite.get("failures") for suite in suites} == {
        "fleet/playbooks/bad.yml": "1",
        "fleet/playbooks/greet.json": "0",
    }


def test_settings_that_are_refused_are_reported_in_the_format_asked_for(project: Path) -> None:
    (project / "chargehand.toml").write_text("ssh_user = 7\n")
    for form in ("github", "json", "sarif", "junit", "codequality"):
        done = chargehand(project, "validate", "--format", form)
        assert done.returncode == 3
        assert "chargehand.toml" in done.stdout


def test_a_file_of_a_stranger_gives_the_runner_no_command(project: Path) -> None:
    (project / "playbooks" / "bad.yml").write_text("::stop-commands::x: 1\n'##[add-mask]y': 1\n")
    for form in ("text", "json", "sarif", "junit", "codequality"):
        done = chargehand(project, "validate", "--format", form, **GITHUB)
        assert done.returncode == 3
        assert obeyed(done.stdout + done.stderr) == []
    lines = obeyed(chargehand(project, "validate", "--format", "github", **GITHUB).stdout)
    assert {line.split(" ")[0] for line in lines} == {"::error"}


# -- runs -----------------------------------------------------------------------------------------------


@pytest.mark.root
def test_a_run_on_github_folds_what_hosts_printed_and_sets_outputs(project: Path, tmp_path: Path) -> None:
    page, outputs = tmp_path / "summary", tmp_path / "outputs"
    environ = GITHUB | {"GITHUB_STEP_SUMMARY": str(page), "GITHUB_OUTPUT": str(outputs)}
    done = chargehand(project, "run", "playbooks/greet.json", **environ)
    assert done.returncode == 5
    assert obeyed(done.stdout) == ["::group::What hosts printed", "::endgroup::"]
    assert r"  \::stop-commands::token" in done.stdout
    assert r"here: #\#[add-mask]of" in done.stdout
    assert outputs.read_text().splitlines() == [
        "run_id=1",
        "exit_code=5",
        "total=2",
        "succeeded=1",
        "failed=1",
        "unreachable=0",
        "unknown=0",
    ]
    text = page.read_text()
    assert "1 succeeded&#44; 1 failed\n" in text
    assert "web2: failed: exit status 1" in text
    for told in (done.stdout, done.stderr, text, outputs.read_text()):
        assert CANARY not in told
    verbose = chargehand(project, "run", "playbooks/greet.json", "-v", **GITHUB)
    assert obeyed(verbose.stderr) == []
    for words in (
        ["output", "1"],
        ["output", "1", "web1"],
        ["output", "1", "web1", "--follow"],
        ["diff", "1", "2"],
    ):
        said = chargehand(project, *words, **GITHUB)
        assert obeyed(said.stdout + said.stderr) == []
        assert words[0] == "diff" or "stop-commands::token" in said.stdout
    assert "::" in verbose.stderr


@pytest.mark.root
def test_a_run_on_gitlab_folds_what_hosts_printed(project: Path) -> None:
    done = chargehand(project, "run", "playbooks/greet.json", GITLAB_CI="true", CI="true")
    assert done.stdout.count("\x1b[0Ksection_") == 2
    assert "[collapsed=true]\r\x1b[0KWhat hosts printed\n" in done.stdout


@pytest.mark.root
def test_a_run_as_junit_has_every_host_and_no_secret(project: Path) -> None:
    done = chargehand(project, "run", "playbooks/greet.json", "-o", "junit", **GITHUB)
    assert done.returncode == 5
    (suite,) = as_junit(done.stdout)
    assert {case.get("name"): [child.tag for child in case] for case in suite} == {
        "web1": ["system-out"],
        "web2": ["failure", "system-out"],
    }
    assert "and: ***" in (suite.findtext("testcase/system-out") or "")
    assert CANARY not in done.stdout
    assert obeyed(done.stdout) == []


# -- masks ----------------------------------------------------------------------------------------------


def step(project: Path, tmp_path: Path, line: str, **environ: str) -> tuple[str, str]:
    """Run a step as the runner does, from a process of its name; what it hears on stdout and stderr."""
    script = tmp_path / "step.sh"
    script.write_text(f"cd {project}\n{line}\n")
    runner = tmp_path / "Runner.Worker"
    runner.write_text(f"#!/bin/sh\nbash -e {script} >'{tmp_path}/heard.1' 2>'{tmp_path}/heard.2'\ntrue\n")
    runner.chmod(runner.stat().st_mode | stat.S_IXUSR)
    told = {**QUIET, "PATH": f"{PROGRAM.parent}:{QUIET['PATH']}", "THE_TOKEN": CANARY, **GITHUB, **environ}
    subprocess.run([runner], env=told, check=True, timeout=60)
    return (tmp_path / "heard.1").read_text(), (tmp_path / "heard.2").read_text()


RUN = "chargehand run playbooks/greet.json"
MASK = "::add-mask::canary-5f2a%250A::x\n"


@pytest.mark.root
def test_the_runner_is_told_a_secret_on_stderr_and_nothing_else_is(project: Path, tmp_path: Path) -> None:
    out, err = step(project, tmp_path, f"{RUN} -o json > result.json || true")
    assert err.startswith(MASK)
    assert err.count("canary") == 1
    assert out == ""
    files = [path for path in project.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if b"canary-5f2a" in path.read_bytes()] == []


@pytest.mark.root
@pytest.mark.parametrize(
    "line",
    [f"{RUN} > log 2>&1 || true", f"{RUN} 2>&1 | tee log", f"bash -c '{RUN}; true' 2>&1 | tee log"],
    ids=["a file", "a program", "a script in a pipe"],
)
def test_a_secret_is_not_told_where_something_else_listens(project: Path, tmp_path: Path, line: str) -> None:
    out, err = step(project, tmp_path, line)
    assert "canary" not in out + err + (project / "log").read_text()
    assert "GitHub is not told which secrets to mask" in (project / "log").read_text()


@pytest.mark.root
def test_no_secret_is_told_anywhere_but_on_github(project: Path, tmp_path: Path) -> None:
    out, err = step(project, tmp_path, f"{RUN} || true", GITHUB_ACTIONS="")
    assert "canary" not in out + err
    assert "mask" not in err


@pytest.mark.root
def test_a_resumed_run_tells_its_secrets_too(project: Path, tmp_path: Path) -> None:
    cut = f"setsid -w env CHARGEHAND_FAILPOINT=after-send:1:KILL {RUN} || true"
    line = f"{cut}; chargehand resume last || true"
    _, err = step(project, tmp_path, line)
    assert err.count(MASK) == 2
