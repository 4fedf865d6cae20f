"""RecordReader: finds the lines that begin with a secret word in a stream that comes in pieces."""

from collections.abc import Iterator
from typing import Final

from chargehand.frozen import frozen

RECORD_BYTES: Final = 4096
"""No record is longer; what goes on longer than this is plain output."""


@frozen(kw_only=False)
class Record:
    """One line that the host addressed to us: a word, and what follows it."""

    word: str
    rest: str = ""


class RecordReader:
    """Splits a stream into plain bytes, exactly as sent, and records.

    A record may begin anywhere, so that output without a last newline stays as it is. Plain bytes are handed
    on at once, save a last few that may be the beginning of a mark.

    Attributes:
        mark: What begins a record; may be changed while `feed` is being iterated.
    """

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self._held = b""

    def feed(self, chunk: bytes) -> Iterator[bytes | Record]:
        """Take in a piece and yield what it completes, in order."""
        rest = self._held + chunk
        self._held = b""
        while rest:
            at = rest.find(self.mark)
            if at < 0:
                keep = _overlap(rest, self.mark)
                self._held = rest[len(rest) - keep :]
                rest = rest[: len(rest) - keep]
                if rest:
                    yield rest
                return
            if at:
                yield rest[:at]
            end = rest.find(b"\n", at)
            if end < 0 and len(rest) - at < RECORD_BYTES:
                self._held = rest[at:]
                return
            line = rest[at + len(self.mark) : end if end >= 0 else None]
            rest = rest[end + 1 :] if end >= 0 else b""
            word, _, text = line.decode("utf-8", "backslashreplace").strip().partition(" ")
            yield Record(word, text)


def _overlap(data: bytes, mark: bytes) -> int:
    """How many of the last bytes of `data` are the beginning of `mark`."""
    for length in range(min(len(mark) - 1, len(data)), 0, -1):
        if data.endswith(mark[:length]):
            return length
    return 0
