"""``chargehand status``: whether the tracked branch is in force, and how its jobs do."""

from datetime import UTC

from chargehand.cli import screen
from chargehand.cli.requests.following import StatusRequest
from chargehand.moment import find_zone
from chargehand.project import Project
from chargehand.report.standing import HEADS, document, lines, row
from chargehand.tracking.standing import standing_of

_PENDING = 10


def answer(request: StatusRequest) -> int:
    """Tell it."""
    project = Project.load(".")
    try:
        standing = standing_of(project)
        zone = find_zone(project.settings.time_zone) if project.settings.time_zone else UTC
    finally:
        project.close()
    if request.output == "json":
        screen.say_json(document(standing))
    else:
        screen.say_text("".join(f"{line}\n" for line in lines(standing, zone)))
        if standing.jobs:
            screen.say("")
            screen.say_table(HEADS, [row(each, zone) for each in standing.jobs])
    return _PENDING if request.detailed_exitcode and not standing.ok else 0
