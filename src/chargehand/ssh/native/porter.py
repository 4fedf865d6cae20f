"""NativePorter: the host's side of a login, as libssh speaks with it."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from ssh.exceptions import AuthenticationDenied, AuthenticationPartial, BaseSSHError, KeyImportError
from ssh.key import SSHKey, import_privkey_base64
from ssh.session import SSH_AUTH_AGAIN, SSH_AUTH_INFO

from chargehand.provider import Unreachable
from chargehand.ssh.failure import OutOfTime
from chargehand.ssh.identity import Identity
from chargehand.ssh.login import Answers, Denied, NotTaken, Unanswered
from chargehand.ssh.native.peer import Broken, Peer

# libssh's bits for the methods of RFC 4252 (libssh.h).
_METHODS: Final = {
    1 << 1: "password",
    1 << 2: "publickey",
    1 << 3: "hostbased",
    1 << 4: "keyboard-interactive",
    1 << 5: "gssapi-with-mic",
}


class Keys:
    """Private keys as libssh has them, each read once; used from many threads."""

    def __init__(self) -> None:
        self._read: dict[bytes, SSHKey] = {}

    def key(self, identity: Identity) -> SSHKey:
        """The key of an identity that holds its text.

        Raises:
            Unreachable: libssh does not take it; code ``key``.
        """
        blob = identity.key.asbytes()
        if blob not in self._read:
            assert identity.text is not None  # noqa: S101 - the others never come here
            try:
                self._read[blob] = import_privkey_base64(identity.text.reveal().encode())
            except KeyImportError:
                raise Unreachable("key", f"private key {identity.name}: libssh cannot use it") from None
        return self._read[blob]


class NativePorter:
    """See `chargehand.ssh.login.Porter`."""

    def __init__(self, peer: Peer, keys: Keys) -> None:
        self.auth_timeout = 0.0
        self._peer = peer
        self._keys = keys

    @property
    def farewell(self) -> str:
        """What the host said when it disconnected."""
        return self._peer.farewell

    def is_active(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self._peer.is_active

    def show_key(self, user: str, identity: Identity) -> Sequence[str]:  # noqa: ARG002 - the session knows
        """See `Porter.show_key`."""
        key = self._keys.key(identity)
        return self._prove("publickey", lambda: self._peer.session.userauth_publickey(key))

    def show_password(self, user: str, password: str) -> Sequence[str]:
        """See `Porter.show_password`."""
        return self._prove("password", lambda: self._peer.session.userauth_password(user, password))

    def answer_prompts(self, user: str, answers: Answers) -> Sequence[str]:
        """See `Porter.answer_prompts`."""

        def ask() -> int:
            code: int = SSH_AUTH_INFO
            while (code := self._peer.session.userauth_kbdint(user, "")) == SSH_AUTH_INFO:
                self._answer(answers)
            return code

        return self._prove("keyboard-interactive", ask)

    def _prove(self, method: str, attempt: Callable[[], int]) -> Sequence[str]:
        """Make one attempt.

        Returns:
            The methods that must follow, none when that was all.
        """
        partial: list[str] | None = None
        denied: list[str] | None = None

        def call() -> int:
            nonlocal partial, denied
            try:
                return attempt()
            except AuthenticationPartial:
                partial = self._methods()
            except AuthenticationDenied as error:
                self._peer.told(error)
                if not self._peer.is_active:
                    raise
                denied = self._methods()
            return 0

        try:
            self._peer.finish(call, time.monotonic() + self.auth_timeout, SSH_AUTH_AGAIN)
        except OutOfTime as error:
            raise Unanswered(str(error)) from None
        except Broken as error:
            raise Unanswered(self._peer.trouble or str(error)) from None
        if denied is None:
            return partial or ()
        if method in denied:
            raise Denied(method)
        raise NotTaken(denied)

    def _methods(self) -> list[str]:
        try:
            bits = self._peer.session.userauth_list()
        except BaseSSHError:
            return []
        return [name for bit, name in _METHODS.items() if bits & bit]

    def _answer(self, answers: Answers) -> None:
        session = self._peer.session
        prompts: list[tuple[str, bool]] = []
        for number in range(session.userauth_kbdint_getnprompts()):
            echo = bytes(2)  # libssh writes into it; so it must be nobody else's, as one byte would be
            text = session.userauth_kbdint_getprompt(number, echo)
            prompts.append((text.decode("utf-8", "replace"), bool(echo[0])))
        for number, answer in enumerate(answers("", "", prompts)):
            session.userauth_kbdint_setanswer(number, answer.encode())
