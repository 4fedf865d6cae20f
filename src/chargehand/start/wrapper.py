"""The wrapper program of the start protocol, made ready for one script."""

import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from chargehand.frozen import frozen
from chargehand.script import RenderedScript

GRACE_S: Final = 10
"""Seconds between TERM and KILL when a script is stopped."""

_OPENERS: Final = re.compile(r"(?:^|\s)(?:then|do|else|in|\{|\|\||&&|\|)$|;;$|&$|\($")


def join_lines(program: str) -> str:
    """Make a shell program one line: comments and indentation go, statements are joined with ``;``.

    Written for `wrapper.sh`, where a comment has a line of its own and no quoted text spans lines.
    """
    lines = [line.strip() for line in program.splitlines()]
    joined = ""
    for line in lines:
        if line and not line.startswith("#"):
            joined += line + (" " if _OPENERS.search(line) else "; ")
    return joined.rstrip("; ")


_PROGRAM: Final = join_lines(files("chargehand.start").joinpath("wrapper.sh").read_text("utf-8"))


@frozen
class Wrapper:
    """What is sent over stdin to run one script.

    Attributes:
        script: What runs.
        greeting: How the line begins; the host evaluates no line that begins otherwise, so that a start-up
            file that eats a part of stdin can never make it run a line of the script.
        nonce: Begins every record of the wrapper; the script cannot know it.
        name: Unpredictable end of the folder's name.
        folders: To try first.
        pty: Whether both streams are one terminal.
    """

    script: RenderedScript
    greeting: str
    nonce: str
    name: str
    folders: tuple[str, ...] = ()
    pty: bool = False

    def encode(self) -> bytes:
        """The wrapper's line, the script, and the line that proves that nothing is missing between them."""
        head = f"{self._assignments()} {_PROGRAM}\n".encode("utf-8", "surrogateescape")
        return head + self.script.content + f"{self.nonce}\n".encode()

    def _assignments(self) -> str:
        interpreter, argument = (*self.script.interpreter, "")[:2]
        values = {
            "nonce": self.nonce,
            "size": str(len(self.script.content)),
            "sum": self.script.sha256,
            "name": self.name,
            "grace": str(GRACE_S),
            "pty": "yes" if self.pty else "",
            "become": "yes" if self.script.become else "",
            "keep": "" if self.script.transient else "yes",
            "interpreter": interpreter,
            "argument": argument,
        }
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
        folders = candidates(self.folders)
        return f"{self.greeting} set +aefuvx; unset line; {words} locale=${{3-}}; set -- {folders};"


def candidates(folders: Sequence[str]) -> str:
    """Where the script's folder may lie, as words for the host's shell, the first choice first."""
    first = " ".join(_folder_word(folder) for folder in folders)
    return f'{first} "${{TMPDIR-}}" /var/tmp /tmp "${{HOME-}}" /dev/shm'.lstrip()


def _folder_word(folder: str) -> str:
    """A folder as a word; ``~/`` is the effective user's home."""
    if folder == "~" or folder.startswith("~/"):
        return f'"${{HOME-}}"{shlex.quote(folder[1:])}'
    return shlex.quote(folder)
