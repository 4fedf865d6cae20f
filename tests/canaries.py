"""Canaries: secrets to look for, in all of this machine while a command runs: both sides, on loopback."""

import base64
import os
import threading
import urllib.parse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

EVERY_S = 0.004


class Watch:
    """Reads the arguments and the environment of every process, and every file of a folder, again and again.

    Attributes:
        rounds: How often everything was read.
        programs: The names of all programs seen.
        leaks: Where one of the secrets was seen, and which.
    """

    def __init__(self, secrets: Sequence[str], folder: Path) -> None:
        self.rounds = 0
        self.programs: set[str] = set()
        self.leaks: set[tuple[str, str]] = set()
        self._secrets = [(secret, form) for secret in secrets for form in forms(secret)]
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            for entry in Path("/proc").glob("[0-9]*"):
                arguments, environment = _read(f"{entry}/cmdline"), _read(f"{entry}/environ")
                arguments = arguments or _read(f"{entry}/cmdline")  # a program that was just about to begin
                self.programs.add(Path(os.fsdecode(arguments.partition(b"\0")[0])).name)
                self._look(f"arguments of {arguments!r}", arguments)
                self._look(f"environment of {arguments!r}", environment)
            for folder, _, files in os.walk(self._folder):
                for name in files:
                    self._look(f"{folder}/{name}", _read(f"{folder}/{name}"))
            self.rounds += 1

    def _look(self, where: str, content: bytes) -> None:
        self.leaks.update((where, secret) for secret, form in self._secrets if form in content)


def forms(secret: str) -> list[bytes]:
    """A secret as it may be written: as it is, in a URL, in base64."""
    raw = secret.encode()
    return [raw, urllib.parse.quote(secret, safe="").encode(), base64.b64encode(raw).rstrip(b"=")[:-1]]


def found_in(content: str | bytes, secrets: Sequence[str]) -> list[str]:
    """Which of the secrets stand in `content`."""
    text = content.encode() if isinstance(content, str) else content
    return [secret for secret in secrets if any(form in text for form in forms(secret))]


def found_below(folder: Path, secrets: Sequence[str], besides: Path) -> list[str]:
    """Which files of a folder hold a secret, save those in `besides`."""
    files = (path for path in folder.rglob("*") if path.is_file() and besides not in path.parents)
    return [str(path) for path in files if found_in(path.read_bytes(), secrets)]


def _read(path: str) -> bytes:
    with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - thousands of times, quickly
        return file.read(1 << 22)
    return b""
