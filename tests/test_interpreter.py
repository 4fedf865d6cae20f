"""A Python started anew finds us wherever we are installed, and nothing of the working directory."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import chargehand

SOURCE = Path(chargehand.__file__).parents[1]


@pytest.mark.parametrize("variable", ["HOME", "PYTHONUSERBASE"])
def test_a_template_is_rendered_where_chargehand_is_installed_for_the_user_alone(
    tmp_path: Path, variable: str
) -> None:
    python = getattr(sys, "_base_executable", sys.executable)
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], variable: str(tmp_path / "own")}

    def said(*words: str, folder: Path = tmp_path) -> str:
        done = subprocess.run(
            [python, *words], env=environ, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    installed = Path(said("-c", "import site; print(site.getusersitepackages())").strip())
    installed.mkdir(parents=True)
    (installed / "ours.pth").write_text(f"{SOURCE}\n{sysconfig.get_path('purelib')}\n")
    said("-m", "chargehand", "init", "fleet")
    fleet = tmp_path / "fleet"
    (fleet / "jinja2.py").write_text("raise SystemExit('the project was imported')\n")
    (fleet / "inventory" / "hosts.ini").write_text("web1\n")
    rendered = said("-P", "-m", "chargehand", "render", "playbooks/hello.yml", folder=fleet)
    assert "Hello web1" in rendered
