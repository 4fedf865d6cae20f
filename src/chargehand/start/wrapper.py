"""The wrapper program of the start protocol, made ready for one script."""

import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from chargehand.frozen import frozen
from chargehand.script import RenderedScript

GRACE_S: Final = 10
"""Seconds between TERM and KILL when a script is stopped."""

TEXT_BYTES: Final = 1024
"""The longest script that travels in the wrapper's line, which a shell reads byte by byte."""

_ESCAPES: Final = (("\\", r"\\"), ("\n", r"\n"), ("\t", r"\t"), ("'", r"'\''"))
_OTHERS: Final = re.compile(r"[^ -~]")
"""How bytes are written between single quotes for ``printf %b``: others than these and printable in octal."""

_OPENERS: Final = re.compile(r"(?:^|\s)(?:then|do|else|in|\{|\|\||&&|\|)$|;;$|&$|\($")


def join_lines(program: str) -> str:
    """Make a shell program one line: comments and indentation go, statements are joined with ``;``.

    Written for `wrapper.sh`, where a comment has a line of its own and no quoted text spans lines.
    """
    lines = [line.strip() for line in program.splitlines()]
    joined = ""
    for line in lines:
        if line and not line.startswith("#"):
            joined += line + (" " if _OPENERS.search(line) else ";")
    return joined.rstrip("; ")


_PROGRAM, _FORGOTTEN = Path(__file__).with_name("wrapper.sh").read_text("utf-8").split("# forgotten:", 1)
_UPLOAD: Final = join_lines(_PROGRAM)
"""The program for a script that comes after its line."""

_TEXT: Final = join_lines(re.sub(r"(?s)# upload:.*# :upload", "", _PROGRAM))
"""The program for a script in its line."""

_CLEANING: Final = ";" + join_lines("#" + _FORGOTTEN)
"""Removes what was forgotten; every sixteenth token asks for it."""

_LOCALE: Final = '[ "${LC_ALL-}" != C ] || LC_ALL=${3-}; [ "${LC_ALL-}" ] || unset LC_ALL;'
"""The switching program runs with LC_ALL=C, so that its texts can be read; scripts get what the login had."""


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
        """The wrapper's line; then a script that is not in it, and a line that proves that all is there."""
        script, become = self.script, self.script.become
        terminal = self.pty or (become is not None and bool(become.flags or become.executable))
        kind = _Kind(
            pty=self.pty,
            terminal=terminal,
            switches=become is not None,
            transient=script.transient,
            cleans=self.name.endswith("0"),
            folders=self.folders,
        )
        rest, comes_after = _compose(script.content, kind)
        own = f"nonce={self.nonce} name={shlex.quote(self.name)}"
        line = f"{self.greeting} set +aefuvx; unset line text; {own} {rest}\n"
        encoded = line.encode("utf-8", "surrogateescape")
        return encoded + script.content + f"{self.nonce}\n".encode() if comes_after else encoded


@frozen
class _Kind:
    """What decides, beside a script's content, about the line that starts it; equal for many hosts.

    Attributes:
        pty: Whether both streams are one terminal.
        terminal: Whether a terminal may be between.
        switches: Whether another user runs it.
        transient: See `RenderedScript.transient`.
        cleans: Whether it removes what was forgotten.
        folders: To try first.
    """

    pty: bool
    terminal: bool
    switches: bool
    transient: bool
    cleans: bool
    folders: tuple[str, ...]


@lru_cache(maxsize=16)
def _compose(content: bytes, kind: _Kind) -> tuple[str, bool]:
    """The wrapper's line but for its beginning, and whether the script comes after it."""
    text = "" if kind.terminal else escape(content)
    script = RenderedScript(content=content)
    interpreter, argument = (*script.interpreter, "")[:2]
    values = {
        "size": str(len(content)),
        "sum": script.sha256 if kind.terminal else "",
        "grace": str(GRACE_S),
        "pty": "yes" if kind.pty else "",
        "keep": "" if kind.transient else "yes",
        "interpreter": interpreter,
        "argument": argument,
    }
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    locale = _LOCALE if kind.switches else ""
    program = (_TEXT if text else _UPLOAD) + (_CLEANING if kind.cleans else "")
    return f"{words} text='{text}'; {locale} set -- {candidates(kind.folders)}; {program}", not text


def escape(content: bytes) -> str:
    """A short script in printable characters, to stand between single quotes; of a long one nothing."""
    if len(content) > TEXT_BYTES:
        return ""
    text = content.decode("latin-1")
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    text = _OTHERS.sub(lambda found: rf"\0{ord(found[0]):03o}", text)
    return text if len(text) <= TEXT_BYTES else ""


def candidates(folders: Sequence[str]) -> str:
    """Where the script's folder may lie, as words for the host's shell, the first choice first."""
    first = " ".join(_folder_word(folder) for folder in folders)
    return f'{first} "${{TMPDIR-}}" /var/tmp /tmp "${{HOME-}}" /dev/shm'.lstrip()


def _folder_word(folder: str) -> str:
    """A folder as a word; ``~/`` is the effective user's home."""
    if folder == "~" or folder.startswith("~/"):
        return f'"${{HOME-}}"{shlex.quote(folder[1:])}'
    return shlex.quote(folder)
