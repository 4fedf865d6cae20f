"""Push: which pushes start a job, by branch and by changed path.

Patterns are those of git's ``:(glob)`` pathspecs, without backslashes: ``*`` and ``?`` stay within one name,
``[ab]`` is one of some characters, ``**`` stands for any number of folders. As in GitHub's workflows a
pattern that begins with ``!`` takes back what those before it took, and the last one that fits counts.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from chargehand.errors import InvalidError, Problem
from chargehand.expression import expression
from chargehand.frozen import frozen

RULE: Final = "on"
_ANY_FOLDERS: Final = "**"
_WILD: Final = expression(r"[*?\[]")
_CLASS: Final = expression(r"\[!?+.[^\]]*\]", re.DOTALL)


@frozen
class Push:
    """Which pushes start a job.

    Attributes:
        branches: Patterns of branches; None means any that is tracked.
        paths: Patterns of files, relative to the project; None means any.
    """

    branches: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None

    def concerns(self, branch: str, paths: Iterable[str]) -> bool:
        """Whether a push to a branch, which changed some files, is one of them."""
        if self.branches is not None and not _is_meant(self.branches, branch, within=False):
            return False
        return self.paths is None or any(_is_meant(self.paths, path, within=True) for path in paths)


def check_pattern(pattern: str, *, first: bool) -> None:
    """Refuse a pattern that means nothing, or something else in git than in GitHub's workflows.

    Args:
        pattern: As the job has it.
        first: Whether no pattern stands before it.

    Raises:
        InvalidError: It is wrong; names what to write instead.
    """
    rest = pattern.removeprefix("!")
    steps = rest.split("/")
    if first and rest != pattern:
        raise _refused(f"`{pattern}` only takes back what a pattern before it took", "begin with `**`")
    if "\\" in rest:
        raise _refused(f"`{pattern}` holds a backslash", "a character in brackets is taken as it is: `[*]`")
    if "[^" in rest:
        raise _refused(f"`{pattern}` begins brackets with `^`", "write `[!a]` for any character but `a`")
    if any("[" in _CLASS.sub("", step) for step in steps):
        raise _refused(f"`{pattern}` has a bracket without its partner", "write `[[]` for a bracket")
    if any(_ANY_FOLDERS in step and step != _ANY_FOLDERS for step in steps):
        raise _refused(f"`**` in `{pattern}` is no step of its own", "write `**/*.yml` or `web/**`")
    if any(step in ("", ".", "..") for step in (steps[:-1] if len(steps) > 1 and not steps[-1] else steps)):
        raise _refused(f"`{pattern}` is no path below the project", "such as `playbooks/web.yml`")
    if not steps[-1] and _WILD.search(rest):
        raise _refused(f"`{pattern}` means folders, and only files change", f"write `{pattern}**`")


def _is_meant(patterns: Sequence[str], name: str, *, within: bool) -> bool:
    """What the last pattern that fits says; `within` takes the files of a folder for the folder."""
    for pattern in reversed(patterns):
        if _fits(pattern.removeprefix("!").split("/"), name.split("/"), within=within):
            return not pattern.startswith("!")
    return False


def _fits(steps: Sequence[str], names: Sequence[str], *, within: bool) -> bool:
    if within and not any(map(_WILD.search, steps)):
        folder = steps[:-1] if not steps[-1] else steps
        return folder == names[: len(folder)] and len(names) >= len(steps)
    reached = {0}  # how many names the steps so far may stand for
    for number, step in enumerate(steps, start=1):
        if step == _ANY_FOLDERS:
            least = min(reached) + (number == len(steps))  # at the end, one name is left for it
            reached = set(range(least, len(names) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(names) and fnmatchcase(names[at], step)}
        if not reached:
            return False
    return len(names) in reached


def _refused(message: str, hint: str) -> InvalidError:
    return InvalidError(Problem(message, hint=hint, rule=RULE))
