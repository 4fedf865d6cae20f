"""Workflow: the lines by which a program talks to a runner of GitHub Actions, and how to say nothing to it.

Source:
    GitHub Docs, "Workflow commands for GitHub Actions". How the runner reads a line is what its class
    ``ActionCommand`` does: ``::name `` counts after white space, ``##[name]`` anywhere in a line.
"""

import re
from collections.abc import Iterable

from chargehand.expression import expression

_OBEYED = expression(r"^([^\S\n]*)::|##\[", re.MULTILINE)


def command(name: str, message: str = "", **properties: str | int | None) -> str:
    """A line that the runner obeys; properties that are None are left out."""
    said = ",".join(
        f"{key}={_data(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
        if value is not None
    )
    return f"::{name}{' ' if said else ''}{said}::{_data(message)}"


def masks(texts: Iterable[str]) -> str:
    """Lines after which the runner shows none of `texts` in any log; the texts themselves stand in them."""
    return "".join(f"{command('add-mask', text)}\n" for text in texts)


def inert(text: str) -> str:
    """`text` with nothing in it that the runner obeys: a backslash stands in the way."""
    return _OBEYED.sub(lambda found: r"#\#[" if found[1] is None else rf"{found[1]}\::", text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
