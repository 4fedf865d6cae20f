"""``chargehand init``."""

import getpass
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from chargehand.cli import screen
from chargehand.cli.requests.setup import InitRequest
from chargehand.layout import find_root
from chargehand.scaffold import write_project
from chargehand.scaffold.service import crontab_line, systemd_unit
from chargehand.schema import schema_path


def init(request: InitRequest) -> int:
    """Write the scaffold and say what to do next; or print what starts Chargehand by itself."""
    if request.service is not None:
        folder = find_root(request.folder.resolve())
        if request.service == "cron":
            screen.say_text(crontab_line(folder, _program()))
            screen.note("add this line with `crontab -e`; what is printed when a job is due is mailed")
        else:
            screen.say_text(systemd_unit(folder, _program(), getpass.getuser()))
        return 0
    for written in write_project(request.folder, schema_path()):
        screen.say(f"{'wrote' if written.new else 'kept '}  {request.folder / written.path}")
    step = "chargehand run playbooks/hello.yml --lab 5"
    if request.folder.resolve() != request.folder.cwd():
        step = f"cd {shlex.quote(str(request.folder))} && {step}"
    screen.note(f"next: {step}")
    return 0


def _program() -> Sequence[str]:
    """The words that call this very installation from anywhere."""
    script = Path(sys.executable).absolute().with_name("chargehand")
    return [str(script)] if script.exists() else [str(Path(sys.executable).absolute()), "-m", "chargehand"]
