"""Commands that run jobs, and what is in the store afterwards."""

import base64
import json
import secrets
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from canaries import found_below
from chargehand.event import HostFinished
from chargehand.project import Project
from chargehand.store import open_store
from repository import OWN_NAME, PROGRAM, Answer, Repository, job

LOCAL = {"ansible_connection": "local"}


@pytest.fixture
def local(tmp_path: Path) -> Repository:
    """A repository whose two hosts are this machine."""
    repository = Repository(tmp_path / "repository")
    repository.hosts(dict.fromkeys(("here", "there"), LOCAL))
    return repository


def history(repository: Repository, number: int = 1):
    project = Project.load(repository.root)
    stored = project.store.history.find(number)
    project.close()
    return stored


def test_runs_are_numbered_and_kept_beside_what_git_keeps(local):
    jobs = local.jobs([job("echo {{ host.name }}", name="first"), job("exit 3", name="second")])
    answer = local.run(jobs)
    assert answer.code == 5
    assert [each["id"] for each in answer.document] == [1, 2]
    state = local.root / ".chargehand"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / ".gitignore").read_text() == "*\n"
    first, second = history(local, 1), history(local, 2)
    assert [share.result.stdout.head for share in first.shares] == [b"here\n", b"there\n"]
    assert (first.record.status, first.exit_code) == (0, 0)
    assert (second.record.status, second.exit_code) == (1, 5)
    origin = second.record.provenance
    assert (origin.user, origin.trigger, origin.playbook) == (OWN_NAME, "hand", "playbooks/job.json")
    assert (origin.job_number, origin.job_name, origin.commit) == (1, "second", None)
    assert list((state / "runners").iterdir()) == []


def test_what_is_printed_and_what_is_stored_tell_the_same(local):
    answer = local.run(local.job("echo out; echo err >&2; exit 4"))
    stored = history(local, answer.document["id"])
    for share in stored.shares:
        printed = answer.results[share.host_name]
        assert (printed["stdout"], printed["stderr"]) == ("out\n", "err\n")
        assert share.result.stdout.text() == printed["stdout"]
        assert share.result.stdout.sha256 == printed["stdout_sha256"]
        assert (share.result.exit_status, share.settled) == (4, True)
    assert stored.record.task_id == answer.document["task"]["id"]
    assert local.left() == []


def test_events_name_the_invocation_of_the_store(local):
    local.run(local.job())
    said = local.chargehand("run", local.job(), "-o", "ndjson")
    assert {json.loads(line)["invocation"] for line in said.stdout.splitlines()} == {2}


def test_a_command_is_kept_as_well(local):
    assert local.chargehand("exec", "here", "-f", "3", "--", "echo", "hello").code == 0
    stored = history(local)
    assert [share.result.stdout.head for share in stored.shares] == [b"hello\n"]
    assert stored.launch.concurrency_level == 3
    assert json.loads(stored.launch.job)["job_invocation"]["inputs"] == {"command": "echo hello"}
    assert stored.record.provenance.playbook is None


def test_looking_at_jobs_makes_no_store(local):
    file = local.job()
    for words in ("validate",), ("plan",), ("render", "-l", "here"), ("run", "--list-hosts"), ("run", "-C"):
        assert local.chargehand(words[0], file, *words[1:]).code == 0
    assert not (local.root / ".chargehand").exists()


def test_the_hosts_of_a_lab_are_recorded_like_any_others(local):
    assert local.run(local.job("echo hello"), "--lab", "3").code == 0
    assert len(history(local).shares) == 3


@pytest.mark.parametrize("obstacle", ["a file", "open to others", "damaged"])
def test_what_cannot_be_recorded_is_not_run(local, tmp_path, obstacle):
    state = local.root / ".chargehand"
    if obstacle == "a file":
        state.touch()
    else:
        state.mkdir(mode=0o700)
        (state / "history.db").write_bytes(b"no history")
        (state / "history.db").chmod(0o600)
        state.chmod(0o777 if obstacle == "open to others" else 0o700)
    answer = local.chargehand("run", local.job(f"touch {tmp_path}/ran"))
    assert answer.code == 14, answer.stderr
    assert ".chargehand" in answer.stderr
    assert not (tmp_path / "ran").exists()


def test_jobs_that_ran_are_told_of_when_the_next_cannot_be_recorded(local):
    state = local.root / ".chargehand"
    jobs = local.jobs([job(f"chmod 777 {state}", name="first"), job("true", name="second")])
    answer = local.run(jobs, "-l", "here")
    assert (answer.code, answer.document["id"]) == (14, 1)
    assert "others may write" in answer.stderr


def test_nothing_is_recorded_where_that_is_wanted(local):
    local.settings(store="off")
    answer = local.run(local.job("echo hello"))
    assert (answer.code, answer.document["id"]) == (0, 0)
    assert "nothing is recorded" in answer.stderr
    assert not (local.root / ".chargehand").exists()


def test_the_environment_says_where_the_store_is(local, postgres):
    local.settings(store="off")
    url = postgres.create()
    answer = local.run(local.job("echo hello"), environ={"CHARGEHAND_STORE": url})
    assert (answer.code, answer.document["id"]) == (0, 1)
    with open_store(url, state=local.root / ".chargehand", clock=lambda: None) as store:
        assert store.history.find(1).record.description == answer.document["description"]
    assert not (local.root / ".chargehand" / "history.db").exists()


def test_when_there_is_no_room_for_a_run_it_ends_with_14_and_is_shown(local):
    """The kernel lets no file grow further: what a full disk says, for this process alone."""
    local.hosts({f"h{number:02}": LOCAL for number in range(40)})
    file = local.job("head -c 30000 /dev/urandom | base64")
    local.run(file, "-l", "h00")
    done = subprocess.run(
        ["prlimit", "--fsize=400000", PROGRAM, "run", file, "-f", "2", "-o", "json"],
        cwd=local.root,
        env=local.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    answer = Answer(code=done.returncode, stdout=done.stdout, stderr=done.stderr)
    assert answer.code == 14, answer.stderr
    assert "could not record" in answer.stderr
    counts = Counter(answer.statuses.values())
    assert counts["skipped"] > 20
    assert counts["succeeded"] >= 1
    assert answer.document["code"] == "could-not-record"
    assert local.left() != []
    stored = history(local, 2)
    assert stored.record.state == "running"
    assert sum(share.state == "stopped" for share in stored.shares) <= counts["succeeded"]


def test_secrets_are_nowhere_in_the_folder_of_the_store(local):
    local.settings(plain_secrets="allow")
    plain, given, short = (f"canary-{secrets.token_hex(12)}" for _ in range(3))
    inputs = [{"name": name, "hidden_value": True} for name in ("plain", "given", "file")]
    key = local.root / "key"
    key.touch(mode=0o600)
    key.write_text(short)
    file = local.job(
        "echo {{ input('plain') }} {{ input('given') }}; echo {{ input('file') }} | base64 >&2",
        template_inputs=inputs,
        parameters={
            "inputs": {"plain": plain, "given": "overruled", "file": {"file": str(key)}},
            "password": plain,
        },
    )
    answer = local.run(file, "-e", f"given={given}")
    assert answer.code == 0, answer.stderr
    state = local.root / ".chargehand"
    assert state.is_dir()
    assert found_below(state, [plain, given, short], besides=state / "none") == []
    stored = history(local)
    assert {"job_invocation.inputs.plain", "job_invocation.password", "-e given"} <= set(
        stored.launch.left_out
    )
    assert json.loads(stored.launch.job)["job_invocation"]["inputs"]["file"] == {"file": str(key)}
    assert b"***" in stored.shares[0].result.stdout.head
    assert base64.b64encode(short.encode()) not in stored.shares[0].result.stderr.head


def test_the_fingerprint_of_a_script_does_not_depend_on_its_secrets(local):
    file = local.job("echo {{ input('token') }}", template_inputs=[{"name": "token", "hidden_value": True}])
    for token in ("canary-one", "canary-two-longer", "x"):
        assert local.run(file, "-e", f"token={token}").code == 0
    prints = {share.script_sha256 for number in (1, 2, 3) for share in history(local, number).shares}
    assert len(prints) == 1


def test_a_run_through_the_python_api_is_recorded(local):
    local.job("echo hello")
    project = Project.load(local.root)
    ended: list[str] = []

    def watch(event: object) -> None:
        if isinstance(event, HostFinished):
            ended.append(event.result.host)

    execution = project.run(project.jobs[0], observer=watch)
    assert (execution.record.id, execution.exit_code, execution.unrecorded) == (1, 0, "")
    assert sorted(ended) == ["here", "there"]
    assert project.store.history.find(1).record.status == 0
    project.close()
    project.close()
