"""``chargehand lab``: up, down, status."""

import getpass
from pathlib import Path

from chargehand.cli import screen
from chargehand.cli.opening import open_project
from chargehand.cli.requests.setup import LabRequest, LabUpRequest
from chargehand.errors import UsageError
from chargehand.lab import Lab, LabHost, doubles, fleet
from chargehand.layout import find_root

_FOLDER = Path(".chargehand/lab")


def up(request: LabUpRequest) -> int:
    """Start the lab, in the background unless asked to stay."""
    lab = Lab(_folder(), _hosts(request))
    if request.foreground:
        return lab.serve()
    lab.start()
    screen.say(str(lab.inventory))
    hosts, user = screen.count(len(lab.hosts), "host"), getpass.getuser()
    screen.note(
        f"{hosts} on 127.0.0.1, running what they are asked as {user}\n"
        f"next: chargehand run playbooks/hello.yml -i {lab.inventory}\n"
        "end:  chargehand lab down"
    )
    return 0


def down(_request: LabRequest) -> int:
    """End the lab; fine when there is none."""
    screen.note("the lab has ended" if Lab(_folder()).stop() else "no lab runs here")
    return 0


def show(_request: LabRequest) -> int:
    """Say whether a lab runs."""
    lab = Lab(_folder())
    if lab.pid is None:
        screen.note("no lab runs here")
        return 1
    screen.say(str(lab.inventory))
    screen.note(f"runs as process {lab.pid}, log {lab.log}")
    return 0


def _hosts(request: LabUpRequest) -> tuple[LabHost, ...]:
    if request.hosts == "all":
        return doubles(open_project(request).inventory)
    if request.inventory:
        raise UsageError("-i goes with `lab up all`: made-up hosts come from no inventory")
    if not request.hosts.isdecimal():
        raise UsageError(f"`lab up` takes a number of hosts or `all`, not `{request.hosts}`")
    return fleet(int(request.hosts))


def _folder() -> Path:
    return find_root(Path()) / _FOLDER
