"""Excerpt: the output of one script on its way into the store - the beginning of each stream, and its end."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from chargehand.event import Stream
from chargehand.result import CapturedOutput, HostResult
from chargehand.store.entry import Chunk

CHUNK_BYTES: Final = 64 << 10
END_BYTES: Final = 256 << 10
"""How much of the end of a stream is kept when its beginning is not all of it."""


class _Part:
    """What is kept of one stream, and not cut into chunks yet."""

    __slots__ = ("at", "offset", "waiting")

    def __init__(self) -> None:
        self.offset = 0
        self.waiting = bytearray()
        self.at: datetime | None = None

    @property
    def kept(self) -> int:
        return self.offset + len(self.waiting)


class Excerpt:
    """Cuts the output of one share into chunks; a gap between their offsets is what was left out.

    Args:
        share_id: Of the template invocation.
        kept_bytes: Of the beginning of each stream.
    """

    def __init__(self, share_id: int, kept_bytes: int) -> None:
        self._share_id = share_id
        self._kept_bytes = kept_bytes
        self._sequence = 0
        self._parts: dict[Stream, _Part] = {}

    def hear(self, stream: Stream, content: bytes, at: datetime) -> int:
        """Take what was printed; how many bytes of it are kept."""
        part = self._parts.setdefault(stream, _Part())
        kept = content[: max(0, self._kept_bytes - part.kept)]
        if kept:
            part.at = part.at or at
            part.waiting += kept
        return len(kept)

    def end(self, result: HostResult, at: datetime) -> int:
        """Take the ends of streams that were longer than is kept; how many bytes more are kept.

        Everything before must have been cut into chunks.
        """
        outputs: tuple[tuple[Stream, CapturedOutput], ...] = (
            ("stdout", result.stdout),
            ("stderr", result.stderr),
        )
        more = 0
        for stream, output in outputs:
            part = self._parts.setdefault(stream, _Part())
            if missing := output.size_bytes - part.offset:
                last = output.tail if output.elided_bytes else output.head + output.tail
                part.at, part.waiting = at, bytearray(last[-min(missing, END_BYTES) :])
                part.offset = output.size_bytes - len(part.waiting)
                more += len(part.waiting)
        return more

    def chunks(self, *, full: bool = False) -> Iterator[Chunk]:
        """What was taken, cut; with `full` only as far as chunks are full."""
        least = CHUNK_BYTES if full else 1
        for stream, part in self._parts.items():
            while len(part.waiting) >= least:
                yield self._cut(stream, part)

    def _cut(self, stream: Stream, part: _Part) -> Chunk:
        content, at = bytes(part.waiting[:CHUNK_BYTES]), part.at
        assert at is not None  # noqa: S101 - set by whoever made it wait
        del part.waiting[:CHUNK_BYTES]
        chunk = Chunk(
            share_id=self._share_id,
            sequence=self._sequence,
            at=at,
            stream=stream,
            offset_bytes=part.offset,
            content=content,
        )
        self._sequence += 1
        part.offset += len(content)
        part.at = at if part.waiting else None
        return chunk
