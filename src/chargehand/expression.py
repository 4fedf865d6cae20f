"""Expression: a regular expression that is compiled when it is first used.

A command loads a hundred of them and uses a few; one takes about as long to compile as a module to load.
"""

import re
from typing import AnyStr, Generic, cast


def expression(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What ``re.compile`` makes of the same, later; the functions of `re` itself do not take it."""
    return cast("re.Pattern[AnyStr]", _Expression(text, flags))


class _Expression(Generic[AnyStr]):
    """Has the attributes of a compiled one, each from its first use on."""

    def __init__(self, text: AnyStr, flags: int) -> None:
        self._text: AnyStr = text
        self._flags = flags

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, value)
        return value
