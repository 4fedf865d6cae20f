"""Forge: whose continuous integration reads what is printed, and what its log obeys."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from chargehand.report import workflow


class Forge(StrEnum):
    """Who shows the log of this process."""

    NONE = ""
    GITHUB = "github"
    GITLAB = "gitlab"

    def inert(self, text: str) -> str:
        """`text` with nothing in it that the log obeys; control characters are escaped by then."""
        return workflow.inert(text) if self is Forge.GITHUB else text

    def folded(self, title: str, text: str, begun: datetime, ended: datetime) -> str:
        """Whole lines under a title that opens them, where the log can do that.

        Args:
            title: One line, safe to print.
            text: The lines, inert.
            begun: When what they tell of began; GitLab shows how long it took.
            ended: When it ended.

        Source:
            GitLab Docs, "Custom collapsible sections".
        """
        match self:
            case Forge.GITHUB:
                return f"{workflow.command('group', title)}\n{text}{workflow.command('endgroup')}\n"
            case Forge.GITLAB:
                name = f"chargehand_{begun.timestamp() * 1e6:.0f}"
                start = (
                    f"\x1b[0Ksection_start:{int(begun.timestamp())}:{name}[collapsed=true]\r\x1b[0K{title}\n"
                )
                return f"{start}{text}\x1b[0Ksection_end:{int(ended.timestamp())}:{name}\r\x1b[0K\n"
            case _:
                return text


def forge_of(environ: Mapping[str, str]) -> Forge:
    """The forge that an environment is of, by the variable that each sets in every job."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return Forge.GITHUB
    return Forge.GITLAB if environ.get("GITLAB_CI") == "true" else Forge.NONE
