"""Agreement: the algorithms that we and a host settle on (RFC 4253 section 7.1).

Many hosts offer the very same, so that what we say, and what comes of what they say, is worked out once.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from paramiko.message import Message

from chargehand.frozen import frozen

COOKIE_BYTES: Final = 16
"""Of chance, before an offer."""

CHOICES: Final = frozenset(
    {
        "_remote_ext_info",
        "_remote_strict_kex",
        "agreed_on_strict_kex",
        "host_key_type",
        "local_cipher",
        "local_compression",
        "local_mac",
        "remote_cipher",
        "remote_compression",
        "remote_mac",
        "_offered",
    }
)
"""What a transport of paramiko, and ours, keep of an agreement."""

_OFFER_BYTES: Final = 1 << 13
_KEPT: Final = 64
_Key = tuple[bytes, tuple[str, ...]]


@frozen(kw_only=False)
class Agreement:
    """What came of a host's offer on a new connection.

    Attributes:
        engine: Makes the key exchange, of a transport.
        choices: By `CHOICES`.
        size_bytes: Of the cookie and the offer, without what some hosts send after it.
    """

    engine: Callable[..., Any]
    choices: Mapping[str, object]
    size_bytes: int


class Agreements:
    """The newest ones, by offer and by the host key algorithms that we offered; used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[_Key, Agreement] = {}

    def recall(self, key: _Key) -> Agreement | None:
        """What came of the same before."""
        return self._known.get(key)

    def remember(self, key: _Key, agreement: Agreement) -> None:
        """Keep what came of an offer, unless it is uncommonly long."""
        if len(key[0]) > _OFFER_BYTES:
            return
        with self._lock:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = agreement


AGREEMENTS: Final = Agreements()


@frozen(kw_only=False)
class Mismatch:
    """The kind of algorithm that both sides have none in common of, and both lists."""

    what: str
    theirs: str
    ours: str


def find_mismatch(
    offered: Mapping[str, Sequence[str]],
    kex: Sequence[str],
    keys: Sequence[str],
    ciphers: Sequence[str],
    macs: Sequence[str],
) -> Mismatch | None:
    """The first kind of which an offer, as paramiko reads it, and ours have none in common."""
    for what, name, ours in (
        ("key exchange", "kex_algo_list", kex),
        ("host key algorithm", "server_key_algo_list", keys),
        ("cipher", "client_encrypt_algo_list", ciphers),
        ("cipher", "server_encrypt_algo_list", ciphers),
        ("MAC", "client_mac_algo_list", macs),
        ("MAC", "server_mac_algo_list", macs),
    ):
        theirs = offered.get(name)
        if theirs is not None and not set(theirs) & set(ours):
            return Mismatch(what, ",".join(theirs), ",".join(ours))
    return None


@cache
def compose_offer(
    kex: tuple[str, ...],
    keys: tuple[str, ...],
    ciphers: tuple[str, ...],
    macs: tuple[str, ...],
    compression: tuple[str, ...],
) -> bytes:
    """What we take, after the cookie: extensions may be told, order is strict."""
    message = Message()
    message.add_list([*kex, "ext-info-c", "kex-strict-c-v00@openssh.com"])
    message.add_list(list(keys))
    for both_ways in (ciphers, macs, compression):
        for _ in range(2):
            message.add_list(list(both_ways))
    for _languages in range(2):
        message.add_string("")
    message.add_boolean(False)  # no guess follows
    message.add_int(0)
    return message.asbytes()
