"""Summary: what a command came to, in Markdown, for the page of a workflow run."""

import re
from typing import Final

from chargehand.expression import expression

MOST_BYTES: Final = 1 << 20
"""Of all summaries of one step. Source: GitHub Docs, "Adding a job summary"."""

_PUNCTUATION: Final = expression(r"[^\w\s]|_", re.ASCII)
_LEFT_OUT: Final = "[... the rest is left out ...]\n"


def summary(title: str, text: str, room_bytes: int = MOST_BYTES) -> str:
    """A heading and the lines of a text, of at most `room_bytes`; empty when there is no room for that.

    Args:
        title: One line; nothing in it is Markdown.
        text: Whole lines, safe to print; nothing in them is Markdown.
        room_bytes: How much may be added, in bytes of UTF-8.
    """
    heading = "### " + _PUNCTUATION.sub(lambda found: f"&#{ord(found[0])};", title)
    runs = (len(run) for run in re.findall("`+", text))
    fence = "`" * max(3, *(length + 1 for length in runs), 3)
    around = f"{heading}\n\n{fence}text\n", f"{fence}\n\n"
    room = room_bytes - sum(len(part.encode()) for part in around)
    content = text.encode("utf-8", "backslashreplace")
    if len(content) > room:
        kept = content[: max(0, room - len(_LEFT_OUT))]
        content = kept[: kept.rfind(b"\n") + 1] + _LEFT_OUT.encode()
    return "" if len(content) > room else around[0] + content.decode() + around[1]
