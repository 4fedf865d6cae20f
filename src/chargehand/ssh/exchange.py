"""Exchange: key exchanges that are cheaper than paramiko's, and such that begin early."""

# ruff: noqa: SLF001 - it is called by paramiko's transport, and calls it

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.message import Message

from chargehand.ssh.message import mpint, text

_INIT: Final = b"\x1e"
_REPLY: Final = 31


class CurveExchange(KexCurve25519):
    """curve25519-sha256 (RFC 8731), as paramiko does it, with what is hashed put together at once."""

    transport: Any

    def start_kex(self) -> None:
        """Send our half, and expect the host's."""
        self.key = X25519PrivateKey.generate()
        self._half = text(self.key.public_key().public_bytes_raw())
        self.transport.packetizer.send(_INIT + self._half)
        self.transport._expect_packet(_REPLY)

    def _parse_kexecdh_reply(self, m: Message) -> None:
        """Take the host's half; check that the host has the key that it shows."""
        host_key, half, signature = m.get_binary(), m.get_binary(), m.get_binary()
        shared: bytes = self._perform_exchange(  # type: ignore[attr-defined]  # not in its stubs
            X25519PublicKey.from_public_bytes(half)
        )
        secret = int.from_bytes(shared)
        transport = self.transport
        known = (
            transport.local_version.encode(),
            transport.remote_version.encode(),
            transport.local_kex_init,
            transport.remote_kex_init,
            host_key,
        )
        hashed = b"".join(map(text, known)) + self._half + text(half) + mpint(secret)
        transport._set_K_H(secret, self.hash_algo(hashed).digest())
        transport._verify_key(host_key, signature)
        transport._activate_outbound()


class Begun:
    """A key exchange whose first message went out before the host's offer was known.

    RFC 4253 section 7.1 lets it follow our own offer, and the host comes to it when it has read that. This is
    not the guess of section 7, for which the host would have to like the exchange best of all that it offers.

    Args:
        kind: Makes the exchange, as those of paramiko's table do.
        transport: For this connection.

    Attributes:
        kind: As given.
        hash_algo: Of the exchange.
        parse_next: Takes its messages.
    """

    def __init__(self, kind: type[Any], transport: Any) -> None:  # noqa: ANN401 - a `SecuredTransport`
        exchange = kind(transport)
        exchange.start_kex()
        self.kind = kind
        self.hash_algo = exchange.hash_algo
        self.parse_next = exchange.parse_next
        self._transport = transport
        self._answers = transport._expected_packet

    def start_kex(self) -> None:
        """Expect the answer."""
        self._transport._expect_packet(*self._answers)


EXCHANGES: Final[Mapping[str, Any]] = {
    "curve25519-sha256": CurveExchange,
    "curve25519-sha256@libssh.org": CurveExchange,
}
"""For paramiko's table."""
