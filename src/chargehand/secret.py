"""A value that must not be seen: prints as ``***`` and can only be read through `reveal`."""

import hmac
from typing import Never

from chargehand.frozen import frozen

MASKED = "***"


class Secret:
    """Text that shows itself to nobody who does not ask for it by name.

    `str`, `repr`, `format`, logging and dataclass reprs all give ``***``; copying gives the same
    object; pickling and JSON are refused. Only `reveal` gives the text, so a search for that word
    finds every place where a secret is used.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASKED

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return MASKED

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a Secret cannot be pickled")


@frozen(kw_only=False)
class Vaulted:
    """A ``!vault`` scalar, still encrypted; `chargehand.vault` decrypts its text."""

    text: str
