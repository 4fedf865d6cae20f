"""Mirror: a real repository on a real server is followed, and a hostile one gets nothing done."""

import os
import shutil
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chargehand.git.command import GitError
from chargehand.git.credential import Credential
from chargehand.git.mirror import Mirror
from chargehand.git.signature import open_keys
from chargehand.remote import Remote, refuse_url
from chargehand.secret import Secret
from origin import ENVIRON, Gpg, Origin, daemon
from repository import OWN_NAME
from sshd import Sshd

NO_CREDENTIAL = Credential()


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def remote(origin: Origin) -> Iterator[Remote]:
    with daemon(origin.bare.parent) as url:
        yield Remote(url=f"{url}/{origin.bare.name}", protocols=("git",), timeout=20)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "state" / "mirror.git", environ=ENVIRON)


def test_a_branch_is_followed_and_its_files_are_written_without_a_checkout(
    origin: Origin, remote: Remote, mirror: Mirror, tmp_path: Path
) -> None:
    origin.write("ops/playbooks/a.yml", "one\n")
    origin.write("README.md", "elsewhere\n")
    first = origin.push()
    assert mirror.fetch(remote, NO_CREDENTIAL) == first
    origin.write("ops/playbooks/a.yml", "two\n")
    second = origin.push()
    assert mirror.fetch(remote, NO_CREDENTIAL) == second
    assert mirror.follows(second, first)
    assert not mirror.follows(first, second)
    assert mirror.changed(first, second) == {"ops/playbooks/a.yml"}
    assert mirror.changed(None, second) == {"ops/playbooks/a.yml", "README.md"}
    (tmp_path / "files").mkdir()
    mirror.export(second, "ops", tmp_path / "files")
    assert [path.name for path in (tmp_path / "files").rglob("*.*")] == ["a.yml"]
    assert stat.S_IMODE((tmp_path / "state" / "mirror.git").stat().st_mode) == 0o700


def test_a_rename_and_a_removal_are_changes_of_their_paths(
    origin: Origin, remote: Remote, mirror: Mirror
) -> None:
    origin.write("a.yml", "x" * 100)
    origin.write("b.yml", "y" * 100)
    first = origin.push()
    origin("mv", "a.yml", "c.yml")
    origin("rm", "--quiet", "b.yml")
    second = origin.push()
    mirror.fetch(remote, NO_CREDENTIAL)
    assert mirror.changed(first, second) == {"a.yml", "b.yml", "c.yml"}
    assert mirror.touched(second) == {"a.yml", "b.yml", "c.yml"}
    assert mirror.new_commits(second, before=first) == (second,)
    assert mirror.new_commits(second, before=None) == (second, first)


def test_a_merge_touches_all_in_which_it_differs_from_any_parent(
    origin: Origin, remote: Remote, mirror: Mirror
) -> None:
    origin.write("old.yml")
    origin.push()
    origin("checkout", "--quiet", "-b", "side")
    origin.write("side.yml")
    origin.commit()
    origin("checkout", "--quiet", "main")
    origin.write("fix.yml")
    origin.commit()
    origin("merge", "--quiet", "--strategy=ours", "--no-edit", "side")
    origin.send()
    merge = mirror.fetch(remote, NO_CREDENTIAL)
    assert mirror.touched(merge) == {"side.yml", "fix.yml"}, "a side that is dropped counts as well"


def test_a_missing_branch_and_a_missing_repository_are_told_in_a_line(
    origin: Origin, remote: Remote, mirror: Mirror
) -> None:
    with pytest.raises(GitError, match="couldn't find remote ref refs/heads/main"):
        mirror.fetch(remote, NO_CREDENTIAL)
    elsewhere = Remote(url=f"{remote.url}-gone", protocols=("git",))
    with pytest.raises(GitError, match="access denied or repository not exported"):
        mirror.fetch(elsewhere, NO_CREDENTIAL)


def test_a_server_that_says_nothing_is_given_up_at_the_deadline(mirror: Mirror) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(GitError, match="did not end within 1 seconds"):
            mirror.fetch(Remote(url=f"git://127.0.0.1:{port}/x.git", timeout=1), NO_CREDENTIAL)


def test_what_is_too_large_is_not_brought_in_and_the_next_fetch_works(
    origin: Origin, remote: Remote, mirror: Mirror, tmp_path: Path
) -> None:
    (origin.root / "noise").write_bytes(os.urandom(400_000))
    origin.push()
    small = Mirror(tmp_path / "state" / "mirror.git", environ=ENVIRON, pack_bytes=100_000)
    with pytest.raises(GitError):
        small.fetch(remote, NO_CREDENTIAL)
    assert len(mirror.fetch(remote, NO_CREDENTIAL)) == 40
    assert not list((tmp_path / "state").rglob("tmp_*")), "what the first one left is gone"


def test_a_fetch_that_another_one_overtakes_is_made_again(
    origin: Origin, remote: Remote, mirror: Mirror, tmp_path: Path
) -> None:
    origin.write("a.yml", "one\n")
    origin.push()
    mirror.fetch(remote, NO_CREDENTIAL)
    origin.write("a.yml", "two\n")
    newest = origin.push()
    state = tmp_path / "state" / "mirror.git"
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(
        "#!/bin/sh\n"
        f"lock={state}/refs/chargehand/tip.lock\n"
        f'case "$*" in *" fetch "*) ! mkdir {tmp_path}/once 2>&- || : >"$lock" ;; esac\n'
        f'exec {shutil.which("git", path=ENVIRON["PATH"])} "$@"\n'
    )
    git.chmod(0o755)
    overtaken = Mirror(state, environ={**ENVIRON, "PATH": f"{git.parent}:{ENVIRON['PATH']}"})
    assert overtaken.fetch(remote, NO_CREDENTIAL) == newest
    assert (tmp_path / "once").is_dir()


def test_locks_that_a_killed_fetch_left_hold_nobody_up(
    origin: Origin, remote: Remote, mirror: Mirror, tmp_path: Path
) -> None:
    origin.push()
    mirror.fetch(remote, NO_CREDENTIAL)
    folder = tmp_path / "state" / "mirror.git"
    for name in ("refs/chargehand/tip.lock", "packed-refs.lock", "objects/pack/tmp_pack_x", "shallow.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    origin.write("more")
    newest = origin.push()
    assert mirror.fetch(remote, NO_CREDENTIAL) == newest


@pytest.mark.parametrize("kind", ["dotgit", "submodule"])
def test_objects_that_git_itself_warns_of_are_refused_when_they_arrive(
    origin: Origin, remote: Remote, mirror: Mirror, kind: str
) -> None:
    if kind == "dotgit":
        inner = origin("mktree", "-z", stdin=f"100644 blob {origin.blob()}\tconfig\0")
        bad = origin.commit_tree(f"040000 tree {inner}\t.git")
    else:
        modules = '[submodule "x"]\n\turl = --upload-pack=touch\n\tpath = x\n'
        bad = origin.commit_tree(f"100644 blob {origin.blob(modules)}\t.gitmodules")
    origin.send(bad)
    with pytest.raises(GitError):
        mirror.fetch(remote, NO_CREDENTIAL)


HOSTILE_URLS = (
    "ext::sh -c 'touch canary'",
    "ext::sh",
    "--upload-pack=touch canary",
    "-oProxyCommand=touch canary",
    "ssh://-oProxyCommand=touch/x",
    "ssh://a@-oProxyCommand=touch/x",
    "-oProxyCommand=touch:x",
    "a@-oProxyCommand=x:y",
    "fd::17",
    "file://host/x",
    "/srv/x.git",
    "../x.git",
    "https://user:secret@host/x",
    "https://host/x y",
    "https://host/x\ny",
    "https://host\n/x",
    "https:///x",
    "ftp://host/x",
    "https::https://host/x",
    "http::x",
    "transport::address",
    "git@host::x",
    "ssh://host name/x",
    "https://ho$t/x",
    "https://`id`/x",
    "",
)


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_url_that_is_no_plain_one_is_refused_without_being_repeated(url: str) -> None:
    wrong, hint = refuse_url(url, ("https", "ssh", "git", "http", "file"))
    assert wrong
    assert "secret" not in wrong + hint


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/ops/fleet.git",
        "https://ops@git.example.com:8443/fleet",
        "ssh://git@git.example.com/ops/fleet.git",
        "ssh://git@[2001:db8::1]:22/~/fleet",
        "git@github.com:ops/fleet.git",
        "host:fleet.git",
    ],
)
def test_the_usual_urls_are_taken(url: str) -> None:
    assert refuse_url(url) == ("", "")


@pytest.mark.parametrize("scheme", ["git", "http", "file"])
def test_protocols_that_prove_nothing_are_used_only_where_they_are_named(scheme: str) -> None:
    url = f"{scheme}://{'' if scheme == 'file' else 'host'}/x"
    assert "is not allowed" in refuse_url(url)[0]
    assert refuse_url(url, (scheme,)) == ("", "")


@pytest.mark.sshd
def test_ssh_takes_a_key_from_memory_and_knows_its_server(
    origin: Origin, mirror: Mirror, sshd: Sshd, tmp_path: Path
) -> None:
    commit = origin.push()
    remote = Remote(url=f"ssh://{OWN_NAME}@127.0.0.1:{sshd.port}{origin.bare}")
    known = {"known_hosts_files": (str(sshd.known_hosts),), "ssh_config_file": "/dev/null"}
    key = Secret(sshd.client_key.read_text().removesuffix("\n"))
    assert mirror.fetch(remote, Credential(private_key=key, **known)) == commit
    assert mirror.fetch(remote, Credential(private_key_file=str(sshd.client_key), **known)) == commit
    (tmp_path / "nobody").touch()
    strangers = known | {"known_hosts_files": (str(tmp_path / "nobody"),)}
    with pytest.raises(GitError, match=r"Host key verification failed|No ED25519 host key is known"):
        mirror.fetch(remote, Credential(private_key=key, **strangers))


def test_a_token_goes_to_its_server_and_shows_nowhere(mirror: Mirror, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def serve(server: socket.socket) -> None:
        for _ in range(4):
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                seen.append(connection.recv(65536))
                for entry in Path("/proc").glob("[0-9]*"):
                    for name in ("cmdline", "environ"):
                        try:
                            text = (entry / name).read_bytes()
                        except OSError:
                            continue
                        if b"canary-7f3" in text:
                            seen.append(b"LEAK " + text)
                connection.sendall(
                    b"HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n"
                    b"Connection: close\r\n\r\n"
                )

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        remote = Remote(url=f"http://127.0.0.1:{port}/x.git", protocols=("http",))
        credential = Credential(server=remote.server, user="ops", token=Secret("canary-7f3"))
        with pytest.raises(GitError) as caught:
            mirror.fetch(remote, credential)
    assert any(b"Basic b3BzOmNhbmFyeS03ZjM=" in each for each in seen), "it is offered when asked for"
    assert not [each for each in seen if each.startswith(b"LEAK")]
    assert "canary" not in str(caught.value)
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"canary-7f3" in path.read_bytes()]


def test_a_signature_counts_when_its_key_is_known_and_good(
    origin: Origin, remote: Remote, mirror: Mirror
) -> None:
    signed = origin.push(*origin.signing("alice"))
    unsigned = origin.push("--no-gpg-sign")
    strange = origin.push(*origin.signing("mallory"))
    mirror.fetch(remote, NO_CREDENTIAL)
    with open_keys(origin.allow("alice"), (), environ=ENVIRON) as keys:
        found = {commit: mirror.signature(commit, keys) for commit in (signed, unsigned, strange)}
    assert [str(each) for each in found.values()] == ["alice", "None", "None"]
    with open_keys(origin.allow("alice", options='valid-before="20200101" '), (), environ=ENVIRON) as keys:
        assert mirror.signature(signed, keys) is None, "the key had expired by then"
    with open_keys(None, (), environ=ENVIRON) as keys:
        assert mirror.signature(signed, keys) is None


def test_gpg_keys_count_by_their_fingerprints_and_nothing_of_the_machines_keyring_does(
    origin: Origin, remote: Remote, mirror: Mirror, tmp_path: Path
) -> None:
    alice, mallory = (Gpg(tmp_path / name, name) for name in ("alice", "mallory"))
    commits = []
    for who in (alice, mallory):
        origin(
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "m",
            f"--gpg-sign={who.fingerprint}",
            environ=who.environ,
        )
        commits.append(origin("rev-parse", "HEAD"))
    origin.send()
    mirror.fetch(remote, NO_CREDENTIAL)
    with open_keys(None, (alice.public,), environ=ENVIRON | mallory.environ) as keys:
        first, second = (mirror.signature(commit, keys) for commit in commits)
    assert first is not None
    assert first.names[0] == alice.fingerprint
    assert second is None
    with (
        pytest.raises(GitError, match="holds no GPG public keys"),
        open_keys(None, (origin.root / ".git/config",), environ=ENVIRON),
    ):
        pass
