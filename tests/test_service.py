"""What `init --systemd` and `init --cron` print is what systemd and cron understand."""

import shutil
import subprocess
from pathlib import Path

import pytest

from chargehand.cronline import read_cron_line
from chargehand.errors import UsageError
from chargehand.scaffold.service import crontab_line, systemd_unit

NAMES = ["fleet", "two words", "100%", "it's $HOME", 'say "hi"', "back\\slash"]


def called(folder: Path, shown: Path) -> list[str]:
    """A program that writes down where it was called and with which words."""
    program = folder / "chargehand"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > "{shown}"\n')
    program.chmod(0o755)
    return [str(program)]


@pytest.mark.parametrize("name", NAMES)
def test_cron_calls_tick_in_the_project_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    line = crontab_line(folder, called(tmp_path, tmp_path / "shown"))
    times, _, command = line.rstrip("\n").partition(" cd ")
    assert read_cron_line(times).text == "* * * * *"
    assert "%" not in command.replace("\\%", ""), "a bare % ends a line of a crontab"
    subprocess.run(["/bin/sh", "-c", "cd " + command.replace("\\%", "%")], check=True)
    assert (tmp_path / "shown").read_text().splitlines() == [str(folder), "tick"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    unit = tmp_path / "chargehand.service"
    unit.write_text(systemd_unit(folder, called(tmp_path, tmp_path / "shown"), "root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert str(unit) not in done.stderr, done.stderr
    assert "chargehand.service" not in done.stderr, done.stderr


def test_the_unit_leaves_serve_the_time_it_takes_to_let_hosts_finish() -> None:
    unit = systemd_unit(Path("/srv/fleet"), ["/usr/bin/chargehand"], "ops")
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    assert settings["ExecStart"] == "/usr/bin/chargehand serve --grace 30"
    assert int(settings["TimeoutStopSec"]) > 30 + 60, "the grace, and a minute in which hosts confirm"
    assert (settings["Restart"], settings["KillMode"]) == ("on-failure", "mixed")


def test_a_folder_that_would_end_a_line_is_refused() -> None:
    with pytest.raises(UsageError, match="rename the folder"):
        crontab_line(Path("/srv/a\nb"), ["/usr/bin/chargehand"])


def test_a_program_that_systemd_would_not_start_is_refused() -> None:
    with pytest.raises(UsageError, match="install it elsewhere"):
        systemd_unit(Path("/srv/fleet"), ["/opt/it's/chargehand"], "ops")
