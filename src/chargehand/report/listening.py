"""Listening: what scripts printed, piece by piece as it was kept, made text that a terminal may be shown.

A piece that does not begin where the one before it ended leaves a gap, and every gap is told.
"""

import codecs
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from chargehand.event import Stream
from chargehand.report.escape import escape, escape_line
from chargehand.report.lines import LineReader
from chargehand.report.plain import MARKS

Sizes = Mapping[Stream, int]
"""How many bytes a host sent on each stream."""


class Piece(Protocol):
    """Something that a host printed, at a place in one of its streams."""

    @property
    def host_name(self) -> str:
        """Whose script."""

    @property
    def at(self) -> datetime:
        """When it was heard, aware."""

    @property
    def stream(self) -> Stream:
        """Which of the two."""

    @property
    def offset_bytes(self) -> int:
        """How many bytes the stream had before."""

    @property
    def content(self) -> bytes:
        """As sent, secrets masked."""


class Gaps:
    """Finds what was left out of every stream."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, Stream], int] = {}

    def before(self, piece: Piece) -> int:
        """How many bytes are missing before a piece."""
        key = (piece.host_name, piece.stream)
        missing = piece.offset_bytes - self._ends.get(key, 0)
        self._ends[key] = piece.offset_bytes + len(piece.content)
        return missing

    def at_end(self, host: str, sizes: Sizes) -> dict[Stream, int]:
        """How many bytes of whole streams are missing after their last pieces, where any are."""
        missing = {stream: size - self._ends.get((host, stream), 0) for stream, size in sizes.items()}
        return {stream: count for stream, count in missing.items() if count > 0}


class WholeText:
    """The output of one host as it is, but for what a terminal would obey.

    Args:
        timestamps: Whether every line begins with when it was heard.
    """

    def __init__(self, *, timestamps: bool = False) -> None:
        self._timestamps = timestamps
        self._decoders: dict[Stream, codecs.IncrementalDecoder] = {}
        self._gaps = Gaps()
        self._begins_line = True

    def feed(self, piece: Piece) -> str:
        """The text of a piece."""
        missing = self._gaps.before(piece)
        told = self._gap(piece.stream, missing, piece.at) if missing else ""
        decoder = self._decoders.setdefault(
            piece.stream, codecs.getincrementaldecoder("utf-8")("backslashreplace")
        )
        return told + self._dated(escape(decoder.decode(piece.content)), piece.at)

    def end(self, host: str, sizes: Sizes, at: datetime) -> str:
        """What is left when nothing comes after."""
        told = "".join(self._rest(stream, at) for stream in MARKS)
        missing = self._gaps.at_end(host, sizes)
        return told + "".join(self._gap(stream, count, at) for stream, count in missing.items())

    def _gap(self, stream: Stream, missing: int, at: datetime) -> str:
        """A line of our own, which begins where a line begins."""
        told = self._rest(stream, at)
        told += "" if self._begins_line else "\n"
        self._begins_line = True
        return told + self._dated(f"{left_out(missing)}\n", at)

    def _rest(self, stream: Stream, at: datetime) -> str:
        decoder = self._decoders.pop(stream, None)
        return self._dated(escape(decoder.decode(b"", final=True)), at) if decoder else ""

    def _dated(self, text: str, at: datetime) -> str:
        if not text:
            return ""
        begins, self._begins_line = self._begins_line, text.endswith("\n")
        if not self._timestamps:
            return text
        head = f"{stamp(at)} "
        body = text.removesuffix("\n").replace("\n", f"\n{head}") + ("\n" if self._begins_line else "")
        return (head if begins else "") + body


class NamedLines:
    """The output of several hosts as lines that name their host: ``web1 | text``, of stderr ``web1 ! text``.

    Args:
        timestamps: Whether every line begins with when its end was heard.
    """

    def __init__(self, *, timestamps: bool = False) -> None:
        self._timestamps = timestamps
        self._readers: dict[tuple[str, Stream], LineReader] = {}
        self._gaps = Gaps()

    def feed(self, piece: Piece) -> str:
        """The lines that a piece completes."""
        host, stream = piece.host_name, piece.stream
        missing = self._gaps.before(piece)
        lines = [*self._rest(host, stream), left_out(missing)] if missing else []
        lines += self._readers.setdefault((host, stream), LineReader()).feed(piece.content)
        return self._told(host, stream, lines, piece.at)

    def end(self, host: str, sizes: Sizes, at: datetime) -> str:
        """What a host that is done left without an end of line."""
        told = "".join(self._told(host, stream, self._rest(host, stream), at) for stream in MARKS)
        missing = self._gaps.at_end(host, sizes)
        return told + "".join(
            self._told(host, stream, [left_out(count)], at) for stream, count in missing.items()
        )

    def _rest(self, host: str, stream: Stream) -> list[str]:
        reader = self._readers.pop((host, stream), None)
        return reader.flush() if reader else []

    def _told(self, host: str, stream: Stream, lines: list[str], at: datetime) -> str:
        head = f"{stamp(at)} " if self._timestamps else ""
        return "".join(f"{head}{escape_line(host)} {MARKS[stream]} {escape(line)}\n" for line in lines)


def left_out(missing: int) -> str:
    """The line that stands for bytes that were not kept."""
    return f"[... {missing} bytes left out ...]"


def stamp(at: datetime) -> str:
    """``2026-11-24T19:08:41.123Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
