"""PathPattern: which paths are meant; ``*`` is any text without a slash, ``**`` any at all."""

import re
from functools import lru_cache
from typing import Final

_WILD: Final = re.compile(r"\*\*/|\*\*|\*|\?")
_MEANT: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def fits(path: str, pattern: str) -> bool:
    """Whether a path is meant by a pattern; one that ends with a slash means all below it."""
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = f"{pattern}**" if pattern.endswith("/") else pattern
    pieces, end = [], 0
    for found in _WILD.finditer(pattern):
        pieces += [re.escape(pattern[end : found.start()]), _MEANT[found[0]]]
        end = found.end()
    return re.compile("".join([*pieces, re.escape(pattern[end:])]), re.DOTALL)
