"""Tracking: what the branch of a real repository holds is in force, exactly, and its jobs run once."""

import hmac
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from chargehand.tracking import Follower, Synced
from chargehand.trees import Trees
from databases import Server, _server, postgres
from followed import Followed, following
from origin import Gpg
from repository import begin
from sshd import wait_until
from synccrashes import Campaign

__all__ = ["_server", "postgres"]

DAILY = {"recurrence": {"cron_line": "0 3 * * *"}}


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    with following(tmp_path) as found:
        yield found


def test_the_first_sync_takes_everything_over_and_starts_nothing(followed: Followed) -> None:
    followed.pushed("deploy")
    followed.write("nightly", parameters=DAILY)
    commit = followed.origin.push()
    done = followed.chargehand("sync")
    assert done.code == 0, done.stderr
    assert "`playbooks/nightly.json#nightly` is taken over" in done.stdout
    assert (followed.in_force(), followed.stored(), followed.logics()) == (
        commit,
        [],
        {"playbooks/nightly.json#nightly": "active"},
    )
    assert followed.chargehand("tick").code == 0
    assert followed.ran() == []


def test_the_first_sync_starts_what_pushes_start_when_it_is_asked_to(followed: Followed) -> None:
    followed.pushed("deploy")
    followed.pushed("other", branches=["release/*"])
    followed.write("plain")
    followed.origin.push()
    assert followed.chargehand("sync", "--run-first").code == 0
    assert followed.chargehand("tick").code == 0
    assert followed.ran() == ["deploy-1"]


def test_a_push_starts_its_jobs_once_however_often_it_is_looked_at(followed: Followed) -> None:
    followed.pushed("deploy")
    followed.pushed("web", paths=["playbooks/templates/**"])
    followed.origin.push()
    followed.chargehand("sync")
    followed.pushed("deploy", version=2)
    commit = followed.origin.push()
    for _ in range(3):
        assert followed.chargehand("sync").code == 0
        assert followed.chargehand("tick").code == 0
    assert followed.ran() == ["deploy-2"]
    (run,) = followed.stored()
    origin = run.record.provenance
    assert origin is not None
    assert (origin.trigger, origin.commit, origin.dirty, origin.playbook, origin.signer) == (
        "push",
        commit,
        False,
        "playbooks/deploy.json",
        None,
    )
    shown = followed.chargehand("show", "1")
    assert "by a push" in shown.stdout
    assert commit in shown.stdout
    assert followed.chargehand("show", "1", "-o", "json").document["provenance"]["commit"] == commit


def test_a_commit_with_one_broken_file_is_refused_as_a_whole_and_seen(followed: Followed) -> None:
    followed.pushed("deploy")
    followed.write("nightly", parameters=DAILY)
    good = followed.origin.push()
    followed.chargehand("sync")
    followed.pushed("deploy", version=2)
    broken = followed.write("broken", script="{{ undefined_name }}")
    bad = followed.origin.push()
    done = followed.chargehand("sync")
    assert done.code == 3
    assert "playbooks/broken.json:" in done.stderr
    assert f"{good[:12]} stays in force" in done.stderr
    assert followed.in_force() == good
    assert followed.chargehand("tick").code == 0
    assert (followed.ran(), followed.stored()) == ([], [])
    told = followed.chargehand("status", "-o", "json").document
    assert (told["sync"], told["commit"], told["tried_commit"], told["code"]) == (
        "out_of_sync",
        good,
        bad,
        "invalid",
    )
    assert {each["job_name"]: each["sync"] for each in told["jobs"]} == {
        "deploy": "out_of_sync",
        "nightly": "synced",
    }
    assert followed.chargehand("status", "--detailed-exitcode").code == 10
    broken.unlink()
    mended = followed.origin.push()
    assert followed.chargehand("sync").code == 0
    followed.chargehand("tick")
    assert (followed.in_force(), followed.ran()) == (mended, ["deploy-2"])
    assert followed.chargehand("status", "--detailed-exitcode").code == 0


def test_a_revert_is_a_push_as_any_other(followed: Followed) -> None:
    followed.pushed("deploy")
    followed.origin.push()
    followed.chargehand("sync")
    followed.pushed("deploy", version=2)
    followed.origin.push()
    followed.chargehand("sync")
    followed.origin("revert", "--no-edit", "HEAD")
    followed.origin.send()
    followed.chargehand("sync")
    followed.chargehand("tick")
    assert [each.record.status for each in followed.stored()] == [0, 0]
    assert followed.ran() == ["deploy-1", "deploy-1"], "both run with the files in force when they start"


def test_files_that_are_renamed_or_deleted_end_what_recurred_by_them(followed: Followed) -> None:
    followed.write("nightly", parameters=DAILY)
    followed.write("weekly", parameters=DAILY)
    followed.origin.push()
    followed.chargehand("sync")
    followed.origin("mv", "playbooks/nightly.json", "playbooks/nights.json")
    followed.origin("rm", "--quiet", "playbooks/weekly.json")
    followed.origin.push()
    assert followed.chargehand("sync").code == 0
    assert followed.logics() == {
        "playbooks/nightly.json#nightly": "cancelled",
        "playbooks/nights.json#nightly": "active",
        "playbooks/weekly.json#weekly": "cancelled",
    }
    followed.origin("rm", "--quiet", "playbooks/nights.json")
    followed.origin.push()
    assert followed.chargehand("sync").code == 0, "a project without a job is one as well"
    assert set(followed.logics().values()) == {"cancelled"}


def test_a_branch_that_was_rewritten_is_refused_unless_that_is_allowed(followed: Followed) -> None:
    followed.pushed("deploy")
    first = followed.origin.push()
    followed.pushed("deploy", version=2)
    second = followed.origin.push()
    followed.chargehand("sync")
    followed.origin.send(first)
    done = followed.chargehand("sync")
    assert (done.code, followed.in_force()) == (12, second)
    assert "does not follow" in done.stderr
    followed.tracking(force_push="allow")
    assert followed.chargehand("sync").code == 0
    assert followed.in_force() == first
    followed.chargehand("tick")
    assert followed.ran() == ["deploy-1"]


def test_unsigned_and_strange_commits_are_refused_and_nothing_runs(followed: Followed) -> None:
    origin = followed.origin
    followed.tracking(require="every-commit", allowed_signers=str(origin.allow("alice")))
    followed.pushed("deploy")
    good = origin.push(*origin.signing("alice"))
    assert followed.chargehand("sync").code == 0
    for words in (("--no-gpg-sign",), origin.signing("mallory")):
        followed.pushed("deploy", version=2)
        origin.push(*words)
        done = followed.chargehand("sync")
        assert (done.code, followed.in_force()) == (12, good)
        assert "no good signature of a known key" in done.stderr
        origin("reset", "--quiet", "--hard", good)
    followed.pushed("deploy", version=3)
    origin.commit("--no-gpg-sign")
    origin.push(*origin.signing("alice"))
    assert followed.chargehand("sync").code == 12, "a good one does not cover the one before it"
    assert followed.chargehand("tick").code == 0, "the next look is not due yet"
    assert (followed.ran(), followed.stored()) == ([], [])
    followed.tracking(require="head")
    assert followed.chargehand("sync").code == 0
    followed.chargehand("tick")
    assert followed.ran() == ["deploy-3"]
    (run,) = followed.stored()
    assert run.record.provenance is not None
    assert run.record.provenance.signer == "alice"
    assert "signed by" in followed.chargehand("show", "1").stdout


@pytest.mark.parametrize("require", ["head", "every-commit"])
def test_who_may_sign_depends_on_the_paths_that_a_commit_changes(followed: Followed, require: str) -> None:
    origin = followed.origin
    followed.rules = [
        {"paths": ["playbooks/db*"], "who": ["dba"]},
        {"paths": ["**"], "who": ["dba", "alice"]},
    ]
    followed.tracking(require=require, allowed_signers=str(origin.allow("alice", "dba")))
    followed.write("db")
    first = origin.push(*origin.signing("dba"))
    assert followed.chargehand("sync").code == 0
    followed.write("web")
    second = origin.push(*origin.signing("alice"))
    assert followed.chargehand("sync").code == 0
    followed.write("db", script="true")
    origin.push(*origin.signing("alice"))
    done = followed.chargehand("sync")
    assert (done.code, followed.in_force()) == (12, second)
    assert "changes `playbooks/db.json`, and alice who signed it may not" in done.stderr
    assert first != second


def test_a_gpg_key_may_sign_as_well(followed: Followed, tmp_path: Path) -> None:
    alice = Gpg(tmp_path / "gpg", "alice")
    followed.rules = [{"paths": ["**"], "who": [alice.fingerprint.lower()]}]
    followed.tracking(gpg_keys=[str(alice.public)])
    followed.write()
    origin = followed.origin
    origin("add", "--all")
    origin("commit", "--quiet", "-m", "m", f"--gpg-sign={alice.fingerprint}", environ=alice.environ)
    origin.send()
    assert followed.chargehand("sync").code == 0
    assert followed.chargehand("status", "-o", "json").document["signer"] == alice.fingerprint


def test_what_the_repository_says_of_itself_counts_for_nothing(followed: Followed) -> None:
    origin = followed.origin
    followed.tracking(allowed_signers=str(origin.allow("alice")))
    followed.write()
    origin.write("chargehand.toml", '[git]\nurl = "ssh://evil/x"\nforce_push = "allow"\n')
    origin.push()
    assert followed.chargehand("sync").code == 12
    origin.push(*origin.signing("alice"), "--amend")
    assert followed.chargehand("sync").code == 0
    settings = followed.project().settings
    assert settings.git is not None
    assert settings.git.force_push == "refuse"


def test_a_repository_that_does_not_answer_leaves_the_last_commit_in_force(followed: Followed) -> None:
    followed.pushed("deploy")
    commit = followed.origin.push()
    followed.chargehand("sync")
    followed.origin.bare.rename(followed.origin.bare.with_name("moved.git"))
    done = followed.chargehand("sync")
    assert (done.code, followed.in_force()) == (6, commit)
    told = followed.chargehand("status", "-o", "json").document
    assert (told["sync"], told["code"], told["commit"]) == ("unknown", "unreachable", commit)


def test_a_thousand_files_in_one_commit_are_taken_over_whole(followed: Followed) -> None:
    followed.write("first")
    followed.origin.push()
    followed.chargehand("sync")
    for number in range(1000):
        push = followed.pushed if number % 400 == 0 else followed.write
        push(f"job{number}")
    commit = followed.origin.push()
    done = followed.chargehand("sync")
    assert done.code == 0, done.stderr
    assert followed.in_force() == commit
    followed.chargehand("tick")
    assert followed.ran() == ["job0-1", "job400-1", "job800-1"]


def test_a_folder_of_a_larger_repository_is_tracked(followed: Followed) -> None:
    origin = followed.origin
    followed.tracking(path="ops")
    origin.write("ops/inventory.json", (origin.root / "inventory.json").read_text())
    content = {
        "name": "deploy",
        "script": f"echo ran >> {followed.ledger}",
        "on": {"push": {"paths": ["playbooks/*"]}},
    }
    content["job_invocation"] = {"targeting_type": "static_query", "search_query": "*"}
    origin.write("ops/playbooks/deploy.json", json.dumps(content))
    origin.push()
    assert followed.chargehand("sync").code == 0
    origin.write("elsewhere/playbooks/x")
    origin.push()
    followed.chargehand("sync")
    followed.chargehand("tick")
    assert followed.ran() == []
    origin.write(
        "ops/playbooks/deploy.json", json.dumps(content | {"script": f"echo ran 1 >> {followed.ledger}"})
    )
    origin.push()
    followed.chargehand("sync")
    followed.chargehand("tick")
    assert followed.ran() == ["1", "ran"]
    followed.tracking(path="nowhere")
    assert followed.chargehand("sync").code == 3


def test_a_tick_looks_at_the_repository_by_itself_when_that_is_due(followed: Followed) -> None:
    followed.pushed("deploy")
    first = followed.origin.push()
    assert followed.chargehand("tick").code == 0
    assert followed.in_force() == first
    followed.pushed("deploy", version=2)
    second = followed.origin.push()
    followed.chargehand("tick")
    assert followed.in_force() == first, "it looked a moment ago"
    with followed.opened() as store:
        store.revisions.refuse(followed.git["url"] + "#main", None, code="", reason="", at=_long_ago())
    followed.chargehand("tick")
    assert (followed.in_force(), followed.ran()) == (second, ["deploy-2"])


def test_serve_follows_the_repository_and_starts_what_pushes_start(followed: Followed) -> None:
    followed.tracking(interval=5)
    followed.pushed("deploy")
    followed.origin.push()
    with followed.start("serve", "--interval", "0.2") as serving:
        serving.await_told("is in force")
        followed.write("broken", script="{{ nothing }}")
        followed.origin.push()
        serving.await_told("is refused")
        (followed.origin.root / "playbooks/broken.json").unlink()
        followed.pushed("deploy", version=2)
        commit = followed.origin.push()
        wait_until(lambda: followed.ran() == ["deploy-2"], 60, "the push is heard of")
        serving.signal(signal.SIGTERM)
        assert serving.answer().code == 143
    assert followed.in_force() == commit


def test_a_nudge_has_the_repository_looked_at_at_once_and_says_what_started_its_jobs(
    followed: Followed,
) -> None:
    followed.tracking(interval=3600)
    followed.pushed("deploy")
    followed.origin.push()
    heard: list[Synced] = []
    project = followed.project()
    with closing(project), Follower(project, heard=heard.append, tell=pytest.fail) as follower:
        wait_until(lambda: len(heard) == 1, 60, "the first look")
        followed.pushed("deploy", version=2)
        commit = followed.origin.push()
        for _ in range(5):
            follower.nudge()
        wait_until(lambda: heard[-1].started, 60, "the push is heard of")
    assert heard[-1].revision.commit == commit
    assert len(heard) <= 3, "many nudges make one look, or one more if it had begun"
    (run,) = followed.stored()
    assert run.record.provenance is not None
    assert run.record.provenance.trigger == "webhook"


def test_a_webhook_has_serve_take_a_push_over_and_run_its_jobs_at_once(followed: Followed) -> None:
    followed.tracking(interval=3600)
    table = '[webhook]\nlisten = "127.0.0.1:0"\nsecrets = [{ env = "HOOK" }]\n'
    file = followed.root / "chargehand.toml"
    file.write_text(file.read_text() + table)
    followed.environ["HOOK"] = "a secret of the test"
    followed.pushed("deploy")
    followed.origin.push()
    with followed.start("serve", "--interval", "300") as serving:
        serving.await_told("is in force")
        followed.pushed("deploy", version=2)
        commit = followed.origin.push()
        told = (followed.root / "stderr").read_text()
        body = b'{"ref": "refs/heads/main"}'
        signature = hmac.new(b"a secret of the test", body, "sha256").hexdigest()
        request = Request(
            told.partition("hearing webhooks at ")[2].split()[0],
            body,
            {"Content-Type": "application/json", "X-Signature": f"sha256={signature}"},
        )
        with urlopen(request, timeout=60) as answer:
            assert answer.status == 202
        wait_until(lambda: followed.ran() == ["deploy-2"], 60, "the push is heard of")
        serving.signal(signal.SIGTERM)
        assert serving.answer().code == 143
    (run,) = followed.stored()
    assert run.record.provenance is not None
    assert (run.record.provenance.trigger, run.record.provenance.commit) == ("webhook", commit)
    assert "by a webhook" in followed.chargehand("show", "1").stdout


def test_two_machines_on_one_store_take_a_push_over_once_and_run_its_jobs_once(
    followed: Followed, postgres: Server, tmp_path: Path
) -> None:
    url = postgres.create()
    followed.environ["CHARGEHAND_STORE"] = url
    followed.pushed("deploy")
    followed.origin.push()
    other = tmp_path / "other"
    shutil.copytree(followed.root, other)
    roots = (followed.root, other)

    def both(*words: str) -> list[int]:
        with Path(os.devnull).open("r+b") as nothing:
            programs = [begin(words, root, followed.environ, nothing, nothing, nothing) for root in roots]
            return [program.wait(100) for program in programs]

    assert both("sync") == [0, 0]
    for version in (2, 3):
        followed.pushed("deploy", version=version)
        commit = followed.origin.push()
        assert both("sync") == [0, 0]
        assert both("sync") == [0, 0], "whoever came second has it by now"
        assert {Trees(root / ".chargehand").current().head.commit for root in roots} == {commit}
        assert both("tick") == [0, 0]
    assert followed.ran() == ["deploy-2", "deploy-3"]


def test_whoever_is_named_is_told_once_of_a_commit_that_is_refused(followed: Followed) -> None:
    followed.write()
    good = followed.origin.push()
    followed.chargehand("sync")
    heard: list[bytes] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        followed.environ["OPS_URL"] = f"json://127.0.0.1:{server.server_port}/"
        followed.git["notify"] = ["ops"]
        followed.settings(notify={"ops": {"env": "OPS_URL"}})
        followed.write("broken", script="{{ nothing }}")
        bad = followed.origin.push()
        assert [followed.chargehand("sync").code for _ in range(2)] == [3, 3]
        server.shutdown()
    (told,) = heard
    assert bad[:12].encode() in told
    assert good[:12].encode() in told


def test_while_it_is_suspended_nothing_is_taken_over_and_nothing_starts(followed: Followed) -> None:
    followed.pushed("deploy")
    first = followed.origin.push()
    followed.chargehand("sync")
    followed.pushed("deploy", version=2)
    followed.origin.push()
    followed.chargehand("sync")
    followed.tracking(suspended=True)
    followed.origin.push()
    assert followed.chargehand("sync").code == 0
    assert followed.chargehand("tick").code == 0
    assert followed.ran() == []
    assert followed.chargehand("status", "-o", "json").document["health"] == "suspended"
    followed.tracking(suspended=False)
    followed.chargehand("tick")
    assert followed.ran() == ["deploy-2"]
    assert followed.in_force() != first


def test_commands_by_hand_work_on_the_files_in_force(followed: Followed) -> None:
    followed.pushed("deploy")
    followed.origin.push()
    followed.chargehand("sync", "--run-first")
    followed.chargehand("tick")
    assert followed.chargehand("hosts").stdout.split() == ["here"]
    again = followed.chargehand("rerun", "1", "-o", "json")
    assert again.code == 0, again.stderr
    provenance = again.document["provenance"]
    assert (provenance["trigger"], provenance["rerun_of"], provenance["commit"]) == (
        "rerun",
        1,
        followed.in_force(),
    )
    old = followed.in_force()
    followed.pushed("deploy", version=2)
    followed.origin.push()
    followed.chargehand("sync")
    recorded = followed.chargehand("rerun", "1", "--recorded", "-o", "json")
    assert recorded.document["provenance"]["commit"] == old
    assert followed.ran() == ["deploy-1"] * 3


def test_a_folder_that_tracks_nothing_says_so(followed: Followed) -> None:
    (followed.root / "chargehand.toml").write_text("")
    for command in ("sync", "status"):
        done = followed.chargehand(command)
        assert (done.code, "no repository is tracked here" in done.stderr) == (2, True)


# --- killed ---------------------------------------------------------------------------------------------

POINTS = ("after-fetch", "after-export", "before-take", "after-take", "after-switch", "before-settle")


@pytest.mark.parametrize("point", POINTS)
def test_a_sync_that_is_killed_leaves_the_old_state_or_the_new_and_the_next_one_finishes(
    followed: Followed, point: str
) -> None:
    followed.pushed("deploy")
    old = followed.origin.push()
    followed.chargehand("sync")
    followed.pushed("deploy", version=2)
    new = followed.origin.push()
    killed = followed.chargehand("sync", environ={"CHARGEHAND_FAILPOINT": f"{point}:1:KILL"})
    assert killed.code == -signal.SIGKILL, killed.stderr
    assert followed.in_force() in (old, new)
    for _ in range(2):
        assert followed.chargehand("sync").code == 0
        assert followed.chargehand("tick").code == 0
    assert (followed.in_force(), followed.ran()) == (new, ["deploy-2"])


def test_six_syncs_that_are_killed_at_any_instant_lose_nothing_and_double_nothing(followed: Followed) -> None:
    campaign = Campaign(followed)
    violations = [each for number in range(1, 7) for each in campaign.crash(number)]
    assert violations == []
    assert campaign.kills >= 2, "a campaign that kills nothing proves nothing"


# --- hostile --------------------------------------------------------------------------------------------


def hostile(followed: Followed, kind: str, canary: Path) -> None:  # noqa: C901, PLR0912 - an arm a kind
    """Commit something that would do harm if anything of it were obeyed."""
    origin = followed.origin
    touch = f"touch {canary}"
    match kind:
        case "submodule":
            origin.write(".gitmodules", f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "{touch}"\n')
        case "link":
            (origin.root / "playbooks" / "link.json").symlink_to("/etc/passwd")
        case "folder link":
            (origin.root / "playbooks" / "templates").symlink_to("/etc")
        case "option":
            origin.write(f"--upload-pack={touch}", "x")
            origin.write(f"playbooks/--upload-pack={touch.replace('/', '_')}.yml", "name: [")
        case "hooks":
            for hook in ("post-checkout", "post-merge", "reference-transaction", "fsmonitor-watchman"):
                origin.write(f"hooks/{hook}", f"#!/bin/sh\n{touch}\n", 0o755)
                origin.write(f".githooks/{hook}", f"#!/bin/sh\n{touch}\n", 0o755)
        case "filter":
            origin.write(".gitattributes", "* filter=evil diff=evil\n")
            origin.write(".gitconfig", f'[filter "evil"]\n\tsmudge = {touch}\n\tclean = {touch}\n')
            origin.write("config", f"[core]\n\tfsmonitor = {touch}\n\tsshCommand = {touch}\n")
        case "yaml bomb":
            lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
            for before, name in zip("abcdefgh", "bcdefghi", strict=True):
                lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
            origin.write("playbooks/bomb.yml", "\n".join(lines) + "\n")
        case "brackets":
            origin.write("playbooks/deep.yml", "[" * 200_000)
        case "reads":
            followed.write("reads", script="{% include '/etc/passwd' %}{{ ''.__class__.__mro__ }}")
        case "loops":
            script = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
            followed.write("loops", script=script)
        case "memory":
            followed.write("memory", script="{{ 'x' * 10**10 }}")
        case "settings":
            origin.write("chargehand.toml", f'password = {{ command = ["sh", "-c", "{touch}"] }}\n')


KINDS = {
    "submodule": {0, 6},
    "link": {0},
    "folder link": {0, 3},
    "option": {3},
    "hooks": {0},
    "filter": {0},
    "yaml bomb": {3},
    "brackets": {3},
    "reads": {3},
    "loops": {3},
    "memory": {3},
    "settings": {0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_repository_gets_nothing_done_but_an_error(
    followed: Followed, tmp_path: Path, kind: str
) -> None:
    canary = tmp_path / "canary"
    followed.write()
    good = followed.origin.push()
    followed.chargehand("sync")
    hostile(followed, kind, canary)
    followed.origin.push()
    done = followed.chargehand("sync")
    assert done.code in KINDS[kind], done.stderr
    assert not canary.exists()
    assert "root:" not in done.stdout + done.stderr
    if done.code:
        assert followed.in_force() == good
    files = followed.root / ".chargehand" / "git" / str(followed.in_force())
    assert not [path for path in files.rglob("*") if path.is_symlink()]
    assert followed.chargehand("sync").code == done.code, "and it goes on being so"


def _long_ago() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)
