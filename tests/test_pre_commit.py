"""The hooks of this repository in a real pre-commit, on a repository of somebody else."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
FILES = ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
FOLDERS = ("src", "schemas")
GOOD = "name: Greet\njob_invocation: {targeting_type: static_query, search_query: web1}\nscript: uptime\n"
BAD = GOOD.replace("static_query", "statically")


def run(folder: Path, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def repository(folder: Path, files: Mapping[str, str]) -> str:
    """Make a git repository with some files beside what is there; its commit."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    name = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    for words in (["init", "-q"], ["add", "-A"], [*name, "commit", "-q", "-m", "all"]):
        done = run(folder, "git", *words)
        assert done.returncode == 0, done.stderr
    return run(folder, "git", "rev-parse", "HEAD").stdout.strip()


def test_the_hooks_name_the_place_of_a_mistake_and_let_good_files_pass(tmp_path: Path) -> None:
    """One test, because the hooks' environment is installed once and takes most of the time."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    for name in FILES:  # as they stand here, committed or not
        shutil.copy2(ROOT / name, ours)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, ours / name, ignore=shutil.ignore_patterns("__pycache__"))
    hooks = [{"id": "chargehand-validate"}, {"id": "chargehand-validate-all"}]
    config = {"repos": [{"repo": str(ours), "rev": repository(ours, {}), "hooks": hooks}]}
    repository(
        theirs,
        {
            ".pre-commit-config.yaml": json.dumps(config),
            "playbooks/good.yml": GOOD,
            "playbooks/bad.yml": BAD,
            "inventory/hosts.ini": "web1\n",
            "notes/bad.yml": BAD,
        },
    )

    def pre_commit(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "PRE_COMMIT_COLOR": "never"}
        return run(theirs, PRE_COMMIT, *words, **kept, **environ)

    installed = pre_commit("install-hooks", PIP_NO_COMPILE="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    assert installed.returncode == 0, installed.stdout
    offline = {"PIP_NO_INDEX": "1", "https_proxy": "http://127.0.0.1:1"}

    bad = pre_commit("run", "chargehand-validate", "--all-files", **offline)
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "playbooks/bad.yml:2:34: error: `job_invocation.targeting_type`: expected" in bad.stdout
    assert "exit code: 3" in bad.stdout
    assert "notes/bad.yml" not in bad.stdout

    good = pre_commit("run", "chargehand-validate", "--files", "playbooks/good.yml", **offline)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout

    every = pre_commit("run", "chargehand-validate-all", "--files", "inventory/hosts.ini", **offline)
    assert every.returncode == 1, every.stdout + every.stderr
    assert "playbooks/bad.yml:2:34: error:" in every.stdout

    assert pre_commit("run", "--files", "notes/bad.yml", **offline).stdout.count("Skipped") == 2
