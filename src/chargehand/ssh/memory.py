"""Memory: the key exchange that each host wanted last, in a file, so that the next command knows it."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOST: Final = 50_000


def usual_file() -> Path | None:
    """Where it is kept: below ``XDG_CACHE_HOME``, else ``~/.cache``; None where nobody is at home."""
    if not (folder := os.environ.get("XDG_CACHE_HOME")):
        with suppress(RuntimeError):
            home = Path.home()
            folder = str(home / ".cache") if home.is_dir() else ""
    return Path(folder) / "chargehand" / "key-exchanges.json" if folder else None


class Memory:
    """Names of key exchanges, by address and port; an empty one for a host that bears nothing ahead.

    Only a hint: a host that wants another one by now is asked anew. So a file that is missing, damaged or
    cannot be written is no trouble, and of two commands that write at once one may be forgotten.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: dict[str, str] | None = None
        self._news: dict[str, str] = {}

    def recall(self, target: str) -> str | None:
        """What a host wanted last; None when that is not known."""
        if self._kept is None:
            self._kept = self._load()
        return self._news.get(target, self._kept.get(target))

    def note(self, target: str, exchange: str) -> None:
        """Take note of what a host wants."""
        self._news[target] = exchange

    def save(self) -> None:
        """Write down what is new."""
        if not self._news or self._path is None:
            return
        news, self._news = self._news, {}
        together = self._load() | news
        self._kept = together if len(together) <= _MOST else news
        targets: dict[str, list[str]] = {}
        for target, exchange in self._kept.items():
            targets.setdefault(exchange, []).append(target)
        with suppress(OSError):
            _replace(self._path, json.dumps(targets, indent=0))

    def _load(self) -> dict[str, str]:
        if self._path is None:
            return {}
        kept: dict[str, str] = {}
        with suppress(OSError, ValueError, AttributeError, TypeError):
            for exchange, targets in json.loads(self._path.read_bytes()).items():
                kept.update(dict.fromkeys(targets, exchange))
        return kept


def _replace(path: Path, text: str) -> None:
    """Write a file that others read before or after, and nobody in between."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
