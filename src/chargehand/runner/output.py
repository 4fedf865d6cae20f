"""Capture: takes one stream of a script as it comes, in bounded memory, and gives a `CapturedOutput`."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from chargehand.result import CapturedOutput

HEAD_BYTES: Final = 1 << 20
TAIL_BYTES: Final = 1 << 20
_BUFFER_BYTES: Final = 1 << 18
_OF_NOTHING: Final = hashlib.sha256().hexdigest()


class Capture:
    """Keeps the beginning and the end of a stream in memory, and all of a long one in a file.

    The file is made when the first `head_bytes` are exceeded: in `folder`, under a new name that begins with
    `name`, readable by its owner only. When it cannot be written - a full disk - the stream is still counted,
    hashed and kept in part: the result of a script that ran is worth more than its whole output.

    Attributes:
        trouble: One line of why the file is missing; empty when nothing is.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        name: str = "output",
        head_bytes: int = HEAD_BYTES,
        tail_bytes: int = TAIL_BYTES,
    ) -> None:
        self.trouble = "" if folder else "no folder for long output"
        self._folder = folder
        self._name = name
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._size = 0
        self._hash: hashlib._Hash | None = None

    def __enter__(self) -> "Capture":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._size += len(chunk)
        if self._hash is None:
            self._hash = hashlib.sha256()
        self._hash.update(chunk)
        room = self._head_bytes - len(self._head)
        if len(chunk) <= room:
            self._head += chunk
            return
        self._head += chunk[:room]
        rest = chunk[room:]
        self._spool(rest)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_bytes:
            del self._tail[: -self._tail_bytes]

    def finish(self) -> CapturedOutput:
        """The stream as a value; nothing can be written any more."""
        self.close()
        return CapturedOutput(
            head=bytes(self._head),
            tail=bytes(self._tail[-self._tail_bytes :]),
            size_bytes=self._size,
            sha256=self._hash.hexdigest() if self._hash else _OF_NOTHING,
            path=None if self.trouble else self._path,
        )

    def close(self) -> None:
        """Let go of the file; it stays where it is."""
        file, self._file = self._file, None
        if file:
            try:
                file.close()
            except OSError as error:
                self._give_up(error)

    def _spool(self, rest: bytes) -> None:
        if self.trouble or not self._folder:
            return
        try:
            if not self._file:
                self._file = self._create(self._folder)
                self._file.write(self._head)
            self._file.write(rest)
        except OSError as error:
            self._give_up(error)

    def _create(self, folder: Path) -> BinaryIO:
        descriptor, path = tempfile.mkstemp(prefix=f"{self._name}-", dir=folder)
        self._path = Path(path)
        return os.fdopen(descriptor, "wb", _BUFFER_BYTES)

    def _give_up(self, error: OSError) -> None:
        """A part of a file would be taken for all of it."""
        self.trouble = f"{self._path or self._folder}: {error.strerror}"
        file, self._file = self._file, None
        with suppress(OSError):  # the same trouble again, from the buffer
            if file:
                file.close()
        if self._path:
            self._path.unlink(missing_ok=True)
