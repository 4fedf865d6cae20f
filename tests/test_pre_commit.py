"""The hooks of this repository in a real pre-commit, on a repository of somebody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
GOOD = "name: Greet\njob_invocation: {targeting_type: static_query, search_query: web1}\nscript: uptime\n"
BAD = GOOD.replace("static_query", "statically")
FILES = {
    "playbooks/good.yml": GOOD,
    "playbooks/bad.yml": BAD,
    "inventory/hosts.ini": "web1\n",
    "notes/bad.yml": BAD,
}


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


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A repository with job files in its index, one of them bad."""
    folder = tmp_path / "theirs"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"]):
        assert run(folder, "git", *words).returncode == 0
    return folder


def test_the_hooks_name_the_place_of_a_mistake_and_let_good_files_pass(theirs: Path, tmp_path: Path) -> None:
    """One test, because the hooks' environment is installed once and takes most of the time."""
    kept = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "PRE_COMMIT_COLOR": "never"}

    def hooks(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return run(theirs, PRE_COMMIT, *words, **kept, **environ)

    bad = hooks("try-repo", str(ROOT), "chargehand-validate", "--all-files")
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "playbooks/bad.yml:2:34: error: `job_invocation.targeting_type`: expected" in bad.stdout
    assert "exit code: 3" in bad.stdout
    assert "notes/bad.yml" not in bad.stdout

    # What try-repo installed is used again, and nothing is fetched any more.
    config = bad.stdout.split("=" * 79)[2].strip() + "\n    -   id: chargehand-validate-all\n"
    (theirs / ".pre-commit-config.yaml").write_text(config)
    offline = {"PIP_NO_INDEX": "1"}
    good = hooks("run", "chargehand-validate", "--files", "playbooks/good.yml", **offline)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout
    every = hooks("run", "chargehand-validate-all", "--files", "inventory/hosts.ini", **offline)
    assert every.returncode == 1, every.stdout + every.stderr
    assert "playbooks/bad.yml:2:34: error:" in every.stdout
    assert hooks("run", "--files", "notes/bad.yml", **offline).stdout.count("Skipped") == 2
