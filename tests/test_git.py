"""Git: what is told of real repositories, and that nothing of a hostile one is run, followed or fetched."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from chargehand.git import files as files_of_git
from chargehand.git.command import GitError
from chargehand.git.files import Exported, export
from chargehand.git.head import Head, read_head
from origin import ENVIRON, Work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Made by any program that a repository gets to run."""
    return tmp_path / "canary"


def touching(canary: Path) -> str:
    return f"touch {canary}; cat; :"


def files(folder: Path) -> Mapping[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def exported(work: Work, commit: str, tmp_path: Path, root: Path | None = None) -> Mapping[str, str]:
    """The files of a commit."""
    folder = tmp_path / "exported"
    folder.mkdir()
    export(root or work.root, commit, folder)
    return files(folder)


# -- the head ---------------------------------------------------------------------------------------------


def test_outside_of_git_there_is_no_head(tmp_path: Path) -> None:
    assert read_head(tmp_path) is None


def test_a_clean_project_is_at_its_commit(work: Work) -> None:
    work.write("playbooks/a.yml")
    commit = work.commit()
    assert read_head(work.root) == Head(commit=commit, dirty=False)
    assert read_head(work.root / "playbooks") == Head(commit=commit, dirty=False)


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("playbooks/a.yml", True),
        ("playbooks/new.yml", True),
        ("ignored.log", False),
        ("deep/ignored.log", False),
        (".chargehand/history.db", False),
        ("playbooks/.chargehand/x", True),
    ],
)
def test_what_git_status_lists_makes_a_project_dirty_except_for_its_state(
    work: Work, name: str, dirty: bool
) -> None:
    work.write("playbooks/a.yml")
    work.write(".gitignore", "*.log\n")
    commit = work.commit()
    work.write(name, "changed\n")
    assert read_head(work.root) == Head(commit=commit, dirty=dirty)


@pytest.mark.parametrize("change", ["deleted", "staged", "executable"])
def test_other_changes_count_as_well(work: Work, change: str) -> None:
    path = work.write("a.yml")
    commit = work.commit()
    if change == "deleted":
        path.unlink()
    elif change == "staged":
        work.write("b.yml")
        work("add", "b.yml")
    else:
        path.chmod(0o755)
    assert read_head(work.root) == Head(commit=commit, dirty=True)


def test_a_state_folder_that_was_committed_counts_no_more_than_another(work: Work) -> None:
    work.write("a.yml")
    work.write(".chargehand/history.db")
    commit = work.commit()
    work.write(".chargehand/history.db", "changed")
    assert read_head(work.root) == Head(commit=commit, dirty=False)


def test_only_changes_below_the_project_count(work: Work) -> None:
    work.write("ops/a.yml")
    work.write("website/b.html")
    commit = work.commit()
    work.write("website/b.html", "changed")
    work.write("website/c.html")
    assert read_head(work.root / "ops") == Head(commit=commit, dirty=False)
    work.write("ops/b.yml")
    assert read_head(work.root / "ops") == Head(commit=commit, dirty=True)


def test_a_repository_without_a_commit_says_so(work: Work) -> None:
    head = read_head(work.root)
    assert head is not None
    assert (head.commit, head.dirty) == (None, None)
    assert head.reason


def test_a_broken_repository_says_why(work: Work) -> None:
    work.commit()
    (work.root / ".git" / "config").write_text("[core\n")
    head = read_head(work.root)
    assert head is not None
    assert head.commit is None
    assert "config" in head.reason


def test_without_git_installed_the_reason_says_so(work: Work, tmp_path: Path) -> None:
    assert read_head(work.root, environ={"PATH": str(tmp_path)}) == Head(reason="git is not installed")


def test_a_git_that_is_only_found_from_the_current_folder_is_not_taken(
    work: Work, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.write("git", f"#!/bin/sh\ntouch {canary}\n", 0o755)
    monkeypatch.chdir(work.root)
    for path in (".", "", ":"):
        assert read_head(work.root, environ={"PATH": path}) == Head(reason="git is not installed")
    assert not canary.exists()


def test_a_worktree_that_git_points_elsewhere_for_is_read_as_such(work: Work, tmp_path: Path) -> None:
    work.write("a.yml")
    commit = work.commit()
    work("worktree", "add", "--quiet", str(tmp_path / "other"), "--detach")
    assert read_head(tmp_path / "other") == Head(commit=commit, dirty=False)


def test_git_gets_no_more_of_our_environment_than_it_needs(work: Work, tmp_path: Path) -> None:
    seen, folder = tmp_path / "seen", tmp_path / "bin"
    folder.mkdir()
    program = folder / "git"
    program.write_text(f"#!/bin/sh\nenv >>{seen}\nexit 1\n")
    program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    read_head(work.root, environ=ENVIRON | {"PATH": path, "TOKEN": "canary-of-an-environment"})
    assert "GIT_TERMINAL_PROMPT=0" in seen.read_text()
    assert "canary" not in seen.read_text()


def test_the_environment_cannot_point_to_another_repository(work: Work, tmp_path: Path) -> None:
    commit = work.commit()
    other = Work(tmp_path / "other")
    other.commit()
    environ = ENVIRON | {"GIT_DIR": str(other.root / ".git"), "GIT_WORK_TREE": str(other.root)}
    assert read_head(work.root, environ=environ) == Head(commit=commit, dirty=False)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_repository_of_another_user_is_read_where_the_user_calls_it_safe(
    work: Work, tmp_path: Path
) -> None:
    work.write("a.yml")
    commit = work.commit()
    for path in (work.root, work.root / ".git"):
        os.chown(path, 12345, 12345)
    home = tmp_path / "home"
    home.mkdir()
    head = read_head(work.root, environ=ENVIRON | {"HOME": str(home)})
    assert head is not None
    assert head.commit is None
    assert "dubious ownership" in head.reason
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {work.root}\n")
    assert read_head(work.root, environ=ENVIRON | {"HOME": str(home)}) == Head(commit=commit, dirty=False)


def test_what_the_user_ignores_everywhere_is_not_dirty(work: Work, tmp_path: Path) -> None:
    commit = work.commit()
    home = tmp_path / "home"
    home.mkdir()
    (home / "ignore").write_text("*.swp\n")
    (home / ".gitconfig").write_text(f"[core]\n\texcludesFile = {home / 'ignore'}\n")
    work.write("a.yml.swp")
    assert read_head(work.root, environ=ENVIRON | {"HOME": str(home)}) == Head(commit=commit, dirty=False)


# -- hostile repositories ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "attributes"),
    [
        ({"core.fsmonitor": "{touch}"}, ""),
        ({"core.hooksPath": "hooks"}, ""),
        ({"filter.x.clean": "{touch}", "filter.x.smudge": "{touch}"}, "* filter=x"),
        ({"filter.x.process": "{touch}", "filter.x.required": "true"}, "* filter=x"),
        ({"filter.a.b.clean": "{touch}"}, "* filter=a.b"),
        ({"diff.x.textconv": "{touch}", "diff.x.command": "{touch}", "diff.external": "{touch}"}, "* diff=x"),
        ({"core.pager": "{touch}", "pager.status": "{touch}", "core.editor": "{touch}"}, ""),
        ({"core.sshCommand": "{touch}", "credential.helper": "!{touch}"}, ""),
        ({"alias.status": "!{touch}", "alias.rev-parse": "!{touch}"}, ""),
        ({"gpg.program": "{touch}", "log.showSignature": "true"}, ""),
    ],
)
def test_no_program_that_a_repository_names_is_run(
    work: Work, canary: Path, tmp_path: Path, settings: Mapping[str, str], attributes: str
) -> None:
    path = work.write("a.yml", "one\n")
    work.write("hooks/post-index-change", f"#!/bin/sh\ntouch {canary}\n", 0o755)
    commit = work.commit()
    work.write(".gitattributes", f"{attributes}\n")
    for name, value in settings.items():
        work("config", name, value.format(touch=touching(canary)))
    path.write_text("two\n")
    assert read_head(work.root) == Head(commit=commit, dirty=True)
    assert exported(work, commit, tmp_path)["a.yml"] == "one\n"
    assert not canary.exists()


def test_a_filter_whose_name_cannot_be_overridden_leaves_dirty_unknown(work: Work, canary: Path) -> None:
    path = work.write("a.yml", "one\n")
    work.write(".gitattributes", "* filter=x=y\n")
    commit = work.commit()
    work("config", "filter.x=y.clean", touching(canary))
    path.write_text("two\n")
    head = read_head(work.root)
    assert head == Head(commit=commit, reason="a filter of the git configuration has a `=` in its name")
    assert not canary.exists()


def test_a_bare_repository_among_the_files_is_not_taken_for_the_project(work: Work, canary: Path) -> None:
    inner = work.root / "inner"
    subprocess.run(["git", "init", "--quiet", "--bare", str(inner)], env=ENVIRON, check=True)
    with (inner / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "{touching(canary)}"\n\tworktree = {inner}\n')
    work.commit()
    head = read_head(inner)
    assert head is not None
    assert head.commit is None
    assert not canary.exists()


def test_a_submodule_runs_nothing_when_its_commit_differs_or_its_files_do(
    work: Work, canary: Path, tmp_path: Path
) -> None:
    inner = Work(work.root / "inner")
    inner.write("a.yml", "one\n")
    inner.commit()
    work("add", "inner")
    commit = work.commit()
    inner("config", "core.fsmonitor", touching(canary))
    inner.write("a.yml", "two\n")
    assert read_head(work.root) == Head(commit=commit, dirty=False)  # its files are its own
    inner("-c", "core.fsmonitor=false", "commit", "--quiet", "--all", "--message", "m")
    assert read_head(work.root) == Head(commit=commit, dirty=True)
    assert not canary.exists()


def test_an_object_that_only_a_remote_has_is_not_fetched(work: Work, canary: Path, tmp_path: Path) -> None:
    work.write("a.yml")
    commit = work.commit()
    blob = work("rev-parse", "HEAD:a.yml")
    (work.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c 'touch {canary}'",
        "protocol.ext.allow": "always",
    }.items():
        work("config", name, value)
    with pytest.raises(GitError):
        export(work.root, commit, tmp_path / "exported")
    assert not canary.exists()


def test_a_replaced_commit_is_not_taken_for_the_real_one(work: Work, tmp_path: Path) -> None:
    work.write("a.yml", "one\n")
    commit = work.commit()
    work.write("a.yml", "two\n")
    work("replace", commit, work.commit())
    assert exported(work, commit, tmp_path)["a.yml"] == "one\n"


# -- the files of a commit --------------------------------------------------------------------------------


def test_the_files_of_a_commit_are_written_as_they_were(work: Work, tmp_path: Path) -> None:
    work.write("playbooks/a.yml", "one\r\n")
    work.write("inventory/list", "#!/bin/sh\n", 0o755)
    commit = work.commit()
    work.write("playbooks/a.yml", "two\n")
    work.write("new.yml")
    work.commit()
    folder = tmp_path / "exported"
    folder.mkdir()
    assert export(work.root, commit, folder) == Exported(files=2)
    assert (folder / "playbooks" / "a.yml").read_bytes() == b"one\r\n"
    assert os.access(folder / "inventory" / "list", os.X_OK)
    assert not os.access(folder / "playbooks" / "a.yml", os.X_OK) or os.geteuid() == 0
    assert sorted(files(folder)) == ["inventory/list", "playbooks/a.yml"]


def test_only_what_lies_below_the_project_is_written(work: Work, tmp_path: Path) -> None:
    work.write("ops/playbooks/a.yml")
    work.write("website/b.html")
    commit = work.commit()
    assert exported(work, commit, tmp_path, work.root / "ops") == {"playbooks/a.yml": "x\n"}


@pytest.mark.parametrize(
    "name", ["-x", "--upload-pack=touch x", "a b", "ümlaut.yml", "new\nline", "quote'\"", "$(id)", ":(top)x"]
)
def test_any_name_that_is_safe_to_write_is_written(work: Work, tmp_path: Path, name: str) -> None:
    work.write(name, "content\n")
    work.write("empty", "")
    assert exported(work, work.commit(), tmp_path) == {name: "content\n", "empty": ""}


def test_attributes_change_nothing(work: Work, canary: Path, tmp_path: Path) -> None:
    work.write("secret.yml", "$Id$\n$Format:%H$\n")
    work.write(".gitattributes", "* export-ignore export-subst ident text eol=crlf filter=x\n")
    work("config", "filter.x.smudge", touching(canary))
    content = exported(work, work.commit(), tmp_path)
    assert content["secret.yml"] == "$Id$\n$Format:%H$\n"
    assert not canary.exists()


def test_links_and_submodules_are_left_out_and_named(work: Work, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    work.write("a.yml")
    (work.root / "link").symlink_to(tmp_path / "outside")
    (work.root / "folder").symlink_to("/")
    Work(work.root / "inner").commit()
    folder = tmp_path / "exported"
    folder.mkdir()
    assert export(work.root, work.commit(), folder) == Exported(files=1, left_out=("folder", "inner", "link"))
    assert [path.name for path in folder.iterdir()] == ["a.yml"]


@pytest.mark.parametrize("step", ["..", ".", ".git", ".GIT", "a\\b"])
def test_a_path_that_would_leave_the_folder_is_refused(work: Work, tmp_path: Path, step: str) -> None:
    tree = work("mktree", "-z", stdin=f"100644 blob {work.blob()}\tx\0")
    commit = work.commit_tree(f"040000 tree {tree}\t{step}")
    folder = tmp_path / "a" / "exported"
    folder.mkdir(parents=True)
    with pytest.raises(GitError, match="cannot be written"):
        export(work.root, commit, folder)
    assert files(tmp_path / "a") == {}


def test_a_link_that_is_a_folder_as_well_leads_nowhere(work: Work, tmp_path: Path) -> None:
    target = work.blob(str(tmp_path))
    tree = work("mktree", "-z", stdin=f"100644 blob {work.blob()}\towned\0")
    commit = work.commit_tree(f"120000 blob {target}\ta", f"040000 tree {tree}\ta")
    assert exported(work, commit, tmp_path) == {"a/owned": "x\n"}
    assert not (tmp_path / "owned").exists()


def test_a_file_that_is_there_twice_is_refused(work: Work, tmp_path: Path) -> None:
    entries = [f"100644 blob {work.blob(text)}\ta" for text in ("one", "two")]
    commit = work.commit_tree(*entries)
    with pytest.raises(GitError, match="`a` cannot be written"):
        exported(work, commit, tmp_path)


@pytest.mark.parametrize("name", ["--help", "HEAD", "main", "-x", "", "abc", "g" * 40])
def test_a_commit_is_asked_for_by_its_full_name_only(work: Work, tmp_path: Path, name: str) -> None:
    work.commit()
    with pytest.raises(GitError, match="no full name of a commit"):
        export(work.root, name, tmp_path)


def test_a_commit_that_is_gone_is_told_as_such(work: Work, tmp_path: Path) -> None:
    work.commit()
    with pytest.raises(GitError, match="the commit 000000000000 is not in the repository"):
        export(work.root, "0" * 40, tmp_path)


def test_a_commit_without_the_project_is_told_as_such(work: Work, tmp_path: Path) -> None:
    work.write("readme")
    commit = work.commit()
    work.write("ops/a.yml")
    with pytest.raises(GitError, match="holds no files of this project"):
        export(work.root / "ops", commit, tmp_path)


def test_what_is_too_large_is_refused_before_it_is_read(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.write("a", "x" * 100)
    work.write("b", "x" * 100)
    commit = work.commit()
    monkeypatch.setattr(files_of_git, "MAX_BYTES", 199)
    with pytest.raises(GitError, match="2 files of 200 bytes"):
        exported(work, commit, tmp_path)
    monkeypatch.setattr(files_of_git, "MAX_BYTES", 200)
    monkeypatch.setattr(files_of_git, "MAX_FILES", 1)
    with pytest.raises(GitError, match="at most 1 files"):
        export(work.root, commit, tmp_path)


def test_files_are_read_in_groups_that_memory_holds(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"{number:02}": "x" * number for number in range(20)}
    for name, text in names.items():
        work.write(name, text)
    monkeypatch.setattr(files_of_git, "BATCH_BYTES", 30)
    assert exported(work, work.commit(), tmp_path) == names
