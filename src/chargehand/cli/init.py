"""``chargehand init``."""

import shlex

from chargehand.cli import screen
from chargehand.cli.requests import InitRequest
from chargehand.scaffold import write_project
from chargehand.schema import schema_path


def init(request: InitRequest) -> int:
    """Write the scaffold and say what to do next."""
    for written in write_project(request.folder, schema_path()):
        screen.say(f"{'wrote' if written.new else 'kept '}  {request.folder / written.path}")
    step = "chargehand run playbooks/hello.yml --lab 5"
    if request.folder.resolve() != request.folder.cwd():
        step = f"cd {shlex.quote(str(request.folder))} && {step}"
    screen.note(f"next: {step}")
    return 0
