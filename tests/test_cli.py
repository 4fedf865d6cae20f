"""The command line as a user types it, in a project as `init` writes it, on embedded hosts."""

import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chargehand.cli import screen
from chargehand.cli.application import status
from chargehand.lab import Lab, fleet
from warm import run_command

PROGRAM = Path(sys.executable).with_name("chargehand")
QUIET = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "CI", "SSH_AUTH_SOCK")}


def chargehand(
    folder: Path, *words: str | Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    if not environ:
        code, stdout, stderr = run_command(
            [*map(str, words)], folder=folder, environ=QUIET, stdin="", timeout_s=120
        )
        return subprocess.CompletedProcess(words, code, stdout, stderr)
    return subprocess.run(
        [PROGRAM, *words],
        cwd=folder,
        env={**QUIET, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        start_new_session=True,  # no terminal to ask at
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def answer_of(project: Path, *words: str | Path) -> Any:
    """The JSON document that a command answers with."""
    return json.loads(chargehand(project, *words, "-o", "json").stdout)


def job(folder: Path, script: str, name: str = "job.yml", **own: object) -> Path:
    """A job file that runs `script` on everybody; `own` keys stand outside of the job invocation."""
    body = {"targeting_type": "dynamic_query", "search_query": "*"}
    path = folder / name
    path.write_text(
        json.dumps({"name": name, "script": script, "job_invocation": body} | own), encoding="utf-8"
    )
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    done = chargehand(tmp_path, "init", "fleet")
    assert done.returncode == 0, done.stderr
    return tmp_path / "fleet"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with Lab(tmp_path_factory.mktemp("cli") / "lab", fleet(3)) as running:
        yield running.inventory


# -- init, validate -------------------------------------------------------------------------------------


def test_the_project_that_init_writes_is_valid_and_runs_without_a_fleet(project: Path) -> None:
    assert chargehand(project, "validate").returncode == 0
    done = chargehand(project, "run", "playbooks/hello.yml", "--lab", "3")
    assert done.returncode == 0, done.stderr
    assert "Hello from web1, " in done.stdout
    assert "total 3 hosts" in done.stdout


def test_init_never_touches_a_file_that_is_there(project: Path) -> None:
    kept = project / "playbooks" / "hello.yml"
    kept.write_text("mine", encoding="utf-8")
    (project / "chargehand.toml").unlink()
    done = chargehand(project, "init")
    assert done.returncode == 0
    assert kept.read_text(encoding="utf-8") == "mine"
    assert "kept   playbooks/hello.yml" in done.stdout
    assert "wrote  chargehand.toml" in done.stdout


def test_every_problem_is_told_with_its_place_and_the_count_comes_last(project: Path) -> None:
    broken = project / "playbooks" / "broken.yml"
    broken.write_text(
        "job_invocation:\n"
        "  job_template_id: Helo\n"
        "  targeting_type: dynamic_query\n"
        "  search_query: name =\n"
        "  inputts: {}\n",
        encoding="utf-8",
    )
    done = chargehand(project, "validate")
    assert done.returncode == 3
    assert "broken.yml:2:20: error: no job template `Helo`" in done.stderr
    assert "did you mean `Hello`?" in done.stderr
    assert "broken.yml:5:3: error:" in done.stderr
    assert "      inputts: {}\n      ^" in done.stderr
    assert done.stdout.splitlines()[-1].endswith(": 3 errors")


@pytest.mark.parametrize("form", ["json", "github", "sarif", "junit", "codequality"])
def test_the_formats_of_validate_are_what_they_are_called(project: Path, form: str) -> None:
    (project / "playbooks" / "broken.yml").write_text("job_invocation: 7\n", encoding="utf-8")
    done = chargehand(project, "validate", "--format", form)
    assert done.returncode == 3
    if form == "github":
        assert done.stdout.startswith("::error file=")
        assert "broken.yml,line=1,col=17" in done.stdout
    elif form == "junit":
        assert ET.fromstring(done.stdout).find(".//failure") is not None
    else:
        assert json.loads(done.stdout)


# -- run, exec ------------------------------------------------------------------------------------------


def test_a_run_answers_with_one_json_document(project: Path, lab: Path) -> None:
    done = chargehand(
        project, "run", job(project, "echo out; echo err >&2"), "-i", lab, "-l", "web", "-o", "json"
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert [answer["status"], answer["succeeded"], answer["total"]] == [0, 2, 2]
    assert [(one["host"], one["stdout"], one["stderr"]) for one in answer["results"]] == [
        ("web1", "out\n", "err\n"),
        ("web2", "out\n", "err\n"),
    ]


def test_one_run_reaches_hosts_and_this_machine_with_one_limit(project: Path, lab: Path) -> None:
    own = project / "inventory" / "own.ini"
    own.write_text("[own]\n" + "".join(f"own{n} ansible_connection=local\n" for n in range(4)))
    now = project / "now"
    now.mkdir()
    counted = f"mkdir {now}/$$; ls {now} | wc -l; echo $LAB_HOST; sleep 0.2; rmdir {now}/$$"
    done = chargehand(project, "run", job(project, counted), "-i", lab, "-i", own, "-f", "3", "-o", "json")
    assert done.returncode == 0, done.stderr
    answers = {one["host"]: one["stdout"].split() for one in json.loads(done.stdout)["results"]}
    assert {host for host, said in answers.items() if host in said} == {"web1", "web2", "db1"}
    assert len(answers) == 7
    assert max(int(said[0]) for said in answers.values()) == 3


def test_events_come_as_lines_of_json_numbered_without_gaps(project: Path, lab: Path) -> None:
    done = chargehand(project, "run", job(project, "echo out"), "-i", lab, "-o", "ndjson")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("run_started", "run_finished")
    assert len({event["invocation"] for event in events}) == 1


def test_hosts_that_failed_are_told_last_with_the_command_that_runs_them_again(
    project: Path, lab: Path
) -> None:
    path = job(project, 'echo trouble >&2; [ "$LAB_HOST" = web1 ]', "a job.yml")
    done = chargehand(project, "run", path, "-i", lab, "-f", "2")
    assert done.returncode == 5
    rerun = shlex.split(done.stdout.strip().splitlines()[-1])
    assert [rerun[:2], rerun[3:]] == [["chargehand", "rerun"], ["--failed"]]
    again = chargehand(project, *rerun[1:], "-o", "json")
    assert [one["host"] for one in json.loads(again.stdout)["results"]] == ["db1", "web2"]


def test_a_hidden_input_of_the_command_line_is_seen_nowhere(project: Path, lab: Path) -> None:
    hidden = [{"name": "token", "required": True, "hidden_value": True}]
    path = job(project, "echo {{ input('token') | quote }}; exit 1", template_inputs=hidden)
    for output in ("text", "json", "ndjson"):
        done = chargehand(project, "run", path, "-i", lab, "-l", "web1", "-e", "token=hunter2!", "-o", output)
        assert done.returncode == 5, done.stderr
        assert "hunter2" not in done.stdout + done.stderr


def test_a_host_that_is_not_reached_ends_the_run_with_6(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets it
        sources = project / "closed.ini"
        sources.write_text(
            f"dark ansible_host=127.0.0.1 ansible_port={taken.getsockname()[1]}\n", encoding="utf-8"
        )
        done = chargehand(project, "run", job(project, "true"), "-i", sources)
    assert done.returncode == 6, done.stdout + done.stderr


def test_a_limit_that_leaves_nobody_ends_with_4_and_one_that_is_not_understood_with_3(
    project: Path, lab: Path
) -> None:
    path = job(project, "true")
    assert chargehand(project, "run", path, "-i", lab, "-l", "name = nobody").returncode == 4
    assert chargehand(project, "run", path, "-i", lab, "-l", "name =").returncode == 3
    for words in (("run", path, "-i", lab, "-l", "wbe1"), ("exec", "wbe1", "-i", lab, "--", "true")):
        done = chargehand(project, *words)
        assert done.returncode == 4
        assert "did you mean `web1`?" in done.stderr


def test_a_list_of_jobs_stops_at_the_first_that_fails(project: Path, lab: Path) -> None:
    body = {"targeting_type": "dynamic_query", "search_query": "name = web1"}
    jobs = [
        {"name": text, "script": script, "job_invocation": body}
        for text, script in (("one", "true"), ("two", "exit 1"), ("three", "true"))
    ]
    path = project / "list.yml"
    path.write_text(json.dumps(jobs), encoding="utf-8")
    done = chargehand(project, "run", path, "-i", lab, "-o", "json")
    assert done.returncode == 5
    assert [answer["status_label"] for answer in json.loads(done.stdout)] == ["succeeded", "failed"]
    assert "1 job after `two` not started" in done.stderr
    path.write_text(
        json.dumps([*jobs[:1], jobs[1] | {"continue_on_failure": True}, *jobs[2:]]), encoding="utf-8"
    )
    done = chargehand(project, "run", path, "-i", lab, "-o", "json")
    assert done.returncode == 5
    assert [answer["status_label"] for answer in json.loads(done.stdout)] == [
        "succeeded",
        "failed",
        "succeeded",
    ]


def test_inputs_come_from_options_and_files_as_they_are_written(project: Path, lab: Path) -> None:
    values = project / "values.yml"
    values.write_text("greeting: 007\n", encoding="utf-8")
    base = ("run", "playbooks/hello.yml", "-i", lab, "-l", "web1", "-o", "json")
    said = [
        json.loads(chargehand(project, *base, *words).stdout)["results"][0]["stdout"].split()[0]
        for words in (
            ("-e", "greeting=1.10"),
            ("-e", f"@{values}"),
            ("-e", f"@{values}", "-e", "greeting=a=b"),
        )
    ]
    assert said == ["1.10", "007", "a=b"]
    assert chargehand(project, *base, "-e", "greeting").returncode == 2
    unknown = chargehand(project, *base, "-e", "greting=x")
    assert unknown.returncode == 3
    assert "did you mean `greeting`?" in unknown.stderr


def test_list_hosts_and_check_connect_to_nobody(project: Path) -> None:
    sources = "dark1,dark2,"
    path = job(project, "true")
    assert chargehand(project, "run", path, "-i", sources, "--list-hosts").stdout == "dark1\ndark2\n"
    done = chargehand(project, "run", path, "-i", sources, "-C")
    assert done.returncode == 0
    assert "dark1, dark2" in done.stdout


def test_exec_passes_one_word_to_the_shell_and_several_exactly_as_they_are(project: Path, lab: Path) -> None:
    base = ("exec", "-i", lab, "-o", "json", "web1", "--")
    lines = [
        json.loads(chargehand(project, *base, *words).stdout)["results"][0]["stdout"]
        for words in (("echo a  b | tr a-z A-Z",), ("printf", "%s\n", "a  b", "$HOME", "{{ x }}"))
    ]
    assert lines == ["A B\n", "a  b\n$HOME\n{{ x }}\n"]


def test_a_password_is_never_asked_for_without_a_terminal(project: Path, lab: Path) -> None:
    for letter in ("-k", "-K"):
        done = chargehand(project, "run", job(project, "true"), "-i", lab, letter)
        assert done.returncode == 2
        assert "no terminal" in done.stderr


# -- signals, pipes -------------------------------------------------------------------------------------


def started(project: Path, lab: Path, script: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, "run", job(project, script), "-i", lab, "-l", "web1", *words],
        cwd=project,
        env=QUIET,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_hosts_and_is_the_exit_code(
    project: Path, lab: Path, number: signal.Signals, code: int
) -> None:
    with started(project, lab, "sleep 600", "-o", "ndjson") as run:
        assert run.stdout is not None
        kinds = []
        for line in run.stdout:
            kinds.append(json.loads(line)["type"])
            if kinds[-1] == "host_started":
                run.send_signal(number)
        assert run.wait(30) == code
    assert kinds[-2:] == ["host_finished", "run_finished"]


def test_a_second_interrupt_leaves_a_host_that_does_not_let_go(project: Path, lab: Path) -> None:
    with started(project, lab, "trap '' TERM INT; sleep 20 & wait; sleep 20", "-o", "ndjson") as run:
        assert run.stdout is not None
        for line in run.stdout:
            if json.loads(line)["type"] == "host_started":
                break
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        assert any("press Ctrl-C again" in line for line in run.stderr)
        begin = time.monotonic()
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 130
        assert time.monotonic() - begin < 8


def unread(project: Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """A command whose stdout nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        return subprocess.run(
            [PROGRAM, *words], cwd=project, env=QUIET, stdout=stdout, stderr=subprocess.PIPE, check=False
        )


def test_a_reader_that_goes_away_ends_a_listing_quietly(project: Path) -> None:
    done = unread(project, "hosts")
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_run_goes_on_when_nobody_reads_its_events_any_more(project: Path, lab: Path) -> None:
    path = job(project, f"echo on; touch {project}/mark-$LAB_HOST")
    done = unread(project, "run", path, "-i", lab, "-f", "1", "-o", "ndjson")
    assert done.returncode == 141
    assert sorted(path.name for path in project.glob("mark-*")) == ["mark-db1", "mark-web1", "mark-web2"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file here is always full")
def test_a_full_disk_under_stdout_is_told_and_a_run_goes_on(project: Path, lab: Path) -> None:
    def into_full(*words: str | Path) -> tuple[int, str]:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [PROGRAM, *words], cwd=project, env=QUIET, stdout=full, stderr=subprocess.PIPE, check=False
            )
        return done.returncode, done.stderr.decode()

    assert into_full("hosts") == (1, "chargehand: stdout cannot be written: No space left on device\n")
    path = job(project, f"echo on; touch {project}/mark-$LAB_HOST")
    code, told = into_full("run", path, "-i", lab, "-f", "1")
    assert (code, "stdout cannot be written any more: No space left" in told) == (141, True)
    assert len(list(project.glob("mark-*"))) == 3


def test_a_stdout_that_was_closed_takes_nothing_and_harms_nothing(project: Path, lab: Path) -> None:
    path = job(project, f"echo on; touch {project}/mark-$LAB_HOST")
    words = [str(word) for word in (PROGRAM, "run", path, "-i", lab)]
    command = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words]
    done = subprocess.run(command, cwd=project, env=QUIET, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(project.glob("mark-*"))) == 3


# -- plan, render, hosts, lists -------------------------------------------------------------------------


def test_render_prints_the_very_bytes_that_run(project: Path, lab: Path) -> None:
    path = job(project, "echo '{{ host.name }}'\techo ö")
    done = subprocess.run(
        [PROGRAM, "render", path, "-i", lab, "-l", "web2"],
        cwd=project,
        env=QUIET,
        capture_output=True,
        check=True,
    )
    assert done.stdout == "echo 'web2'\techo ö".encode()
    several = chargehand(project, "render", path, "-i", lab)
    assert several.returncode == 2
    assert "choose one host with -l" in several.stderr
    every = json.loads(chargehand(project, "render", path, "-i", lab, "-o", "json").stdout)
    assert [share["host"] for share in every] == ["db1", "web1", "web2"]


def test_plan_shows_hosts_in_order_scripts_and_the_next_runs(project: Path, lab: Path) -> None:
    path = project / "nightly.yml"
    path.write_text(
        "name: Nightly\n"
        "time_zone: Europe/Berlin\n"
        "job_invocation:\n"
        "  targeting_type: dynamic_query\n"
        "  search_query: hostgroup = web\n"
        "  recurrence: {cron_line: 0 3 * * *, max_iteration: 2}\n"
        "script: echo {{ host.name }}\n",
        encoding="utf-8",
    )
    done = chargehand(project, "plan", path, "-i", lab)
    assert done.returncode == 0, done.stderr
    assert "  | echo web1" in done.stdout
    (document,) = json.loads(chargehand(project, "plan", path, "-i", lab, "-o", "json").stdout)
    assert [host["name"] for host in document["hosts"]] == ["web1", "web2"]
    assert len(document["next_runs"]) == 2
    assert all("T03:00:00+0" in at for at in document["next_runs"])


def test_hosts_are_names_one_a_line_or_json_with_secrets_masked(project: Path) -> None:
    sources = project / "own.ini"
    sources.write_text("[web]\na1 id=9 color=red ansible_password=hunter2\n[db]\nb1\n", encoding="utf-8")
    assert chargehand(project, "hosts", "-i", sources).stdout == "a1\nb1\n"
    assert chargehand(project, "hosts", "hostgroup", "=", "db", "-i", sources).stdout == "b1\n"
    done = chargehand(project, "hosts", "web", "-i", sources, "-o", "json")
    assert json.loads(done.stdout) == [
        {
            "id": 9,
            "name": "a1",
            "groups": ["web"],
            "vars": {"id": 9, "color": "red", "ansible_password": "***"},
        }
    ]
    assert chargehand(project, "hosts", "name = none", "-i", sources).returncode == 4


def test_explain_tells_where_a_value_comes_from(project: Path) -> None:
    sources = project / "own.ini"
    sources.write_text("[web]\na1 color=red\n[web:vars]\ncolor=blue\n", encoding="utf-8")
    done = chargehand(project, "hosts", "explain", "a1", "color", "-i", sources)
    assert done.returncode == 0, done.stderr
    wins = [line for line in done.stdout.splitlines() if line.startswith("->")]
    assert len(wins) == 1
    assert "red" in wins[0]
    assert f"{sources.name}:2" in wins[0]
    assert chargehand(project, "hosts", "explain", "a9", "color", "-i", sources).returncode == 2


def test_templates_features_and_bookmarks_are_listed(project: Path) -> None:
    assert "Hello" in chargehand(project, "templates").stdout
    names = [each["name"] for each in json.loads(chargehand(project, "templates", "-o", "json").stdout)]
    assert {"Hello", "Run Command", "Package Action"} <= set(names)
    assert "greeting" in chargehand(project, "templates", "Hello").stdout
    assert "FEATURE" in chargehand(project, "features").stdout
    (bookmark,) = json.loads(chargehand(project, "bookmarks", "-o", "json").stdout)
    assert bookmark == {"id": 1, "name": "web", "query": "hostgroup = web"}


def test_the_schema_is_printed_and_a_stale_one_is_found(tmp_path: Path) -> None:
    printed = chargehand(tmp_path, "schema")
    assert json.loads(printed.stdout)["$schema"].startswith("https://json-schema.org/")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "docs").mkdir()
    source = Path(__file__).parents[1] / "schemas" / "params.yml"
    (tmp_path / "schemas" / "params.yml").write_bytes(source.read_bytes())
    assert chargehand(tmp_path, "schema", "build").returncode == 0
    assert chargehand(tmp_path, "schema", "build", "--check").returncode == 0
    (tmp_path / "schemas" / "job.schema.json").write_text("{}", encoding="utf-8")
    assert chargehand(tmp_path, "schema", "build", "--check").returncode == 3


# -- lab, doctor, completion ----------------------------------------------------------------------------


def test_a_lab_goes_up_serves_runs_and_goes_down(project: Path) -> None:
    assert chargehand(project, "lab", "status").returncode == 1
    up = chargehand(project, "lab", "up", "2")
    try:
        assert up.returncode == 0, up.stderr
        assert chargehand(project, "lab", "status").stdout == up.stdout
        assert chargehand(project, "run", "playbooks/hello.yml", "-i", up.stdout.strip()).returncode == 0
    finally:
        assert "has ended" in chargehand(project, "lab", "down").stderr
    assert chargehand(project, "lab", "status").returncode == 1


def test_a_lab_of_all_stands_in_for_the_inventory(project: Path) -> None:
    up = chargehand(project, "lab", "up", "all")
    try:
        names = chargehand(project, "hosts", "-i", up.stdout.strip()).stdout
        assert names == chargehand(project, "hosts").stdout
        assert chargehand(project, "run", "playbooks/hello.yml", "-i", up.stdout.strip()).returncode == 0
    finally:
        chargehand(project, "lab", "down")


def test_doctor_finds_a_broken_inventory_and_says_what_to_do(project: Path) -> None:
    good = json.loads(chargehand(project, "doctor", "-o", "json").stdout)
    assert [finding for finding in good if finding["verdict"] == "fail"] == []
    assert {"python", "fabric", "inventory", "jobs"} <= {finding["about"] for finding in good}
    (project / "inventory" / "hosts.ini").write_text("[web:nonsense]\n", encoding="utf-8")
    done = chargehand(project, "doctor")
    assert done.returncode == 1
    assert any(line.startswith("fail  inventory") for line in done.stdout.splitlines())


def test_completion_knows_job_files_hosts_groups_and_templates(project: Path) -> None:
    def complete(*words: str) -> set[str]:
        asked = {
            "_CHARGEHAND_COMPLETE": "bash_complete",
            "COMP_WORDS": shlex.join(["chargehand", *words]),
            "COMP_CWORD": str(len(words)),
        }
        lines = chargehand(project, environ=asked).stdout.splitlines()
        return {line.partition(",")[2] for line in lines}

    assert complete("run", "play") == {"playbooks/hello.yml"}
    assert complete("run", "playbooks/hello.yml", "-l", "w") == {
        "web",
        "web1.example.com",
        "web2.example.com",
    }
    assert complete("templates", "Hel") == {"Hello"}
    assert "validate" in complete("val")


def typed(shell: list[str], setup: str, keys: str, awaited: str, folder: Path) -> None:
    """Type at a real shell on a terminal until it shows what is awaited."""
    ours, theirs = os.openpty()
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(folder)}
    program = subprocess.Popen(
        shell, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown, deadline = "", time.monotonic() + 60
    try:
        for sent, wanted in ((f"{setup}; echo rea''dy\n", "ready"), (keys, awaited)):
            os.write(ours, sent.encode())
            shown = ""
            while wanted not in shown:
                assert select.select([ours], [], [], deadline - time.monotonic())[0], shown
                shown += os.read(ours, 4096).decode(errors="replace")
    finally:
        program.kill()
        program.wait()
        os.close(ours)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_real_shell_completes_commands_and_job_files(project: Path, shell: str) -> None:
    script = write(project / "script", chargehand(project, "completion", shell).stdout)
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(project)}
    if shell == "fish":
        for words, wanted in (
            ("chargehand vali", "validate"),
            ("chargehand run play", "playbooks/hello.yml"),
        ):
            asked = ["fish", "--no-config", "-c", f"source {script}; complete -C '{words}'"]
            done = subprocess.run(asked, cwd=project, env=environ, capture_output=True, text=True, check=True)
            assert done.stdout.startswith(wanted)
        return
    words, setup = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], f". {script}"),
        "zsh": (["zsh", "-f", "-i"], f"autoload -U compinit; compinit -u -D; . {script}"),
    }[shell]
    typed(words, setup, "chargehand vali\t", "validate ", project)
    typed(words, setup, "chargehand run play\t", "playbooks/hello.yml", project)


# -- endings --------------------------------------------------------------------------------------------


def test_a_defect_is_told_in_one_line_without_the_values_in_its_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_request: object) -> int:
        raise KeyError("hunter2")

    monkeypatch.setattr("chargehand.cli.catalogue.features", fail)
    assert status(["features"]) == 1
    said = capsys.readouterr().err
    assert "internal error: KeyError in fail" in said
    assert "hunter2" not in said
    assert status(["features", "--traceback"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_usage_errors_end_with_2_and_name_the_nearest_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["validat"]) == 2
    assert "Did you mean 'validate'?" in capsys.readouterr().err
    assert status(["run"]) == 2
    assert status(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chargehand ")


class Stream:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "environ", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_colour_follows_the_environment_before_the_terminal(
    terminal: bool, environ: dict[str, str], wanted: bool
) -> None:
    assert screen.colour_wanted(Stream(terminal), environ) is wanted  # type: ignore[arg-type] # all it asks for


def test_names_from_an_inventory_cannot_command_the_terminal(project: Path) -> None:
    sources = project / "odd.yml"
    sources.write_text('all: {hosts: {"a\\e[2Jb": {}}}\n', encoding="utf-8")
    done = chargehand(project, "hosts", "-i", sources)
    assert "\x1b" not in done.stdout + done.stderr


def test_vault_passwords_come_from_a_file_that_only_its_owner_may_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "key"
    key.write_text("open sesame\n")
    key.chmod(0o600)
    program = Path(sys.executable).with_name("ansible-vault")
    encrypt = [program, "encrypt_string", "--vault-password-file", key, "--name", "port_word", "twenty-two"]
    vaulted = subprocess.run(encrypt, capture_output=True, text=True, check=True).stdout
    (tmp_path / "inventory" / "host_vars").mkdir(parents=True)
    (tmp_path / "inventory" / "hosts.ini").write_text("web1 ansible_connection=local ansible_become=false\n")
    (tmp_path / "inventory" / "host_vars" / "web1.yml").write_text(
        f"{vaulted}\nansible_user: '{{{{ port_word }}}}'\n"
    )
    script = [sys.executable, "-m", "chargehand", "plan", "job.yml", "-o", "json"]
    (tmp_path / "job.yml").write_text(
        "script: 'true'\njob_invocation: {targeting_type: static_query, search_query: '*'}\n"
    )
    without = subprocess.run(script, capture_output=True, text=True, check=False)
    assert without.returncode == 3
    assert "is encrypted with Ansible Vault, and no vault password is given" in without.stderr
    opened = subprocess.run(
        [*script, "--vault-password-file", "key"], capture_output=True, text=True, check=False
    )
    assert (opened.returncode, opened.stderr) == (0, "")
    key.chmod(0o644)
    refused = subprocess.run(
        [*script, "--vault-password-file", "key"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 3
    assert "chmod 600 key" in refused.stderr
