"""Attempt: one attempt to log in, as paramiko makes it, with fewer round trips and without its looks."""

import time
from typing import Any, Final

from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_REQUEST
from paramiko.message import Message
from paramiko.util import asbytes

from chargehand.ssh.message import text
from chargehand.strand import Signal

_SERVICE: Final = b"ssh-userauth"
_LOGIN_SERVICE: Final = cMSG_SERVICE_REQUEST + text(_SERVICE)
_BY_KEY: Final = text(b"ssh-connection") + text(b"publickey") + b"\1"


class Attempt(AuthHandler):
    """One attempt to log in.

    Args:
        transport: The connection.
        ahead: Whether the host gets the attempt along with the request for the service, which OpenSSH always
            grants.
    """

    transport: Any  # an `SshTransport`
    private_key: Any

    def __init__(self, transport: Any, *, ahead: bool) -> None:  # noqa: ANN401 - an `SshTransport`
        super().__init__(transport)
        self._ahead = ahead

    def _request_auth(self) -> None:
        self.transport.packetizer.send(_LOGIN_SERVICE)
        if self._ahead:
            self._show(Message(text(_SERVICE)))

    def _parse_service_accept(self, m: Message) -> None:
        if not self._ahead:
            self._show(m)

    def _show(self, granted: Message) -> None:
        """Say who we are, and prove it, when the service that was granted is the one for it."""
        if self.auth_method != "publickey":
            super()._parse_service_accept(granted)  # type: ignore[misc]  # not in its stubs
            return
        if granted.get_string() != _SERVICE:
            return
        kind, blob = self._get_key_type_and_bits(self.private_key)  # type: ignore[attr-defined]  # not in its stubs
        algorithm = self._finalize_pubkey_algorithm(kind)  # type: ignore[attr-defined]  # not in its stubs
        asked = cMSG_USERAUTH_REQUEST + text((self.username or "").encode()) + _BY_KEY
        asked += text(algorithm.encode()) + text(_plain(blob))
        signed = self.private_key.sign_ssh_data(text(self.transport.session_id or b"") + asked, algorithm)
        self.transport.packetizer.send(asked + text(_plain(signed)))


class Answer(Signal):
    """An answer that is waited for until a deadline, also by whoever looks for it every tenth of a second."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._until = time.monotonic() + timeout_s

    def wait(self, timeout: float | None = None) -> bool:
        """As `Signal.wait`, but not back before the deadline."""
        return super().wait(max(self._until - time.monotonic(), timeout or 0.0))


def _plain(value: object) -> bytes:
    """Bytes, or what paramiko has in their place."""
    plain: bytes = asbytes(value)  # type: ignore[assignment]  # so its stubs, wrongly
    return plain
