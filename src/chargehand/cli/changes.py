"""``chargehand plan --from REV --to REV``: what a change would do."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from chargehand.cli import screen
from chargehand.cli.planning import open_planner
from chargehand.cli.requests.checking import PlanRequest
from chargehand.comparison import compare
from chargehand.errors import InvalidError, UsageError
from chargehand.git.head import read_branch
from chargehand.planner import Planner
from chargehand.report.change import ProjectChange, document
from chargehand.report.changemarkdown import markdown
from chargehand.report.changetext import Style, lines
from chargehand.revision import Revision, open_revision

CHANGED: Final = 10
_SHADES: Final[Mapping[Style, Mapping[str, Any]]] = {
    "head": {"bold": True},
    "added": {"fg": "green"},
    "removed": {"fg": "red"},
    "hunk": {"fg": "cyan"},
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
}


def show_change(request: PlanRequest) -> int:
    """Show what differs between two revisions of a project."""
    if request.limit is not None or request.exclude is not None or request.inputs:
        raise UsageError("-l, --exclude and -e do not go together with --from and --to")
    project = open_planner(request, "skip")
    with ExitStack() as stack:
        begin = "HEAD" if request.before is None else request.before
        before = stack.enter_context(open_revision(project.root, begin, "--from"))
        after = stack.enter_context(open_revision(project.root, request.after, "--to"))
        change = compare(
            before,
            after,
            project,
            files=_files(project, request.files, (before, after)) or None,
            programs="run" if request.run_programs else "skip",
            branch=request.branch or read_branch(project.root),
        )
    _say(change, request.output)
    return _status(change, detailed=request.detailed_exitcode)


def _files(project: Planner, files: Sequence[str], revisions: Sequence[Revision]) -> list[str]:
    """The job files that were named, relative to the project.

    Raises:
        UsageError: One lies outside of the project, or is in neither revision.
    """
    root = project.root.resolve()
    found = []
    for file in files:
        path = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links
        if not path.is_relative_to(root):
            raise UsageError(f"`{file}` lies outside of the project, so that no revision has it")
        name = path.relative_to(root).as_posix()
        if not any((revision.root / name).is_file() for revision in revisions):
            raise UsageError(f"`{file}` is in neither revision")
        found.append(name)
    return found


def _say(change: ProjectChange, output: str) -> None:
    if output == "json":
        screen.say_json(document(change))
    elif output == "markdown":
        screen.say_text(markdown(change))
    else:
        in_colour = screen.colour_wanted(sys.stdout, os.environ)
        for line in lines(change):
            screen.say_styled(line.text, _SHADES.get(line.style, {}) if in_colour else {})


def _status(change: ProjectChange, *, detailed: bool) -> int:
    """3 when what is to come is invalid, or when nothing can be told of it and that is asked for."""
    if not change.after.valid or (detailed and not change.valid):
        return InvalidError.exit_code
    return CHANGED if detailed and change else 0
