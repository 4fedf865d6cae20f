r"""LineReader: whole lines of text out of bytes that come in pieces."""

import codecs
from typing import Final

LINE_CHARACTERS: Final = 4096
"""A longer line is handed on in parts, so that one without an end does not grow for ever."""


class LineReader:
    r"""Gives whole lines of text; what is no UTF-8 is shown as ``\xNN``, wherever the pieces were cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that `chunk` completes, without their ends."""
        *lines, rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        while len(rest) >= LINE_CHARACTERS:
            lines.append(rest[:LINE_CHARACTERS])
            rest = rest[LINE_CHARACTERS:]
        self._rest = rest
        return lines

    def flush(self) -> list[str]:
        """The last line when it has no end; nothing comes after."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        return [rest] if rest else []
