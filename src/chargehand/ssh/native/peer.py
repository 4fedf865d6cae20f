"""Peer: the other end of one SSH connection, as libssh speaks with it by way of ssh-python.

libssh never waits here: what it cannot finish is asked for again when the socket is ready. It is told the
algorithms, the user and the socket, and reads no file of its own; who the host is, and how we log in, is
decided elsewhere.
"""

import base64
import errno
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from ssh import options
from ssh.channel import Channel
from ssh.error_codes import SSH_AGAIN
from ssh.exceptions import BaseSSHError
from ssh.session import SSH_WRITE_PENDING, Session

from chargehand.ssh.failure import Incompatible, Mismatch, OutOfTime
from chargehand.ssh.hostkey import HostKey
from chargehand.ssh.native.greeting import Greeting
from chargehand.ssh.native.line import ReadyLine
from chargehand.ssh.native.watchdog import Watchdog

T = TypeVar("T")

_CIPHERS: Final = (
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,"
    "aes128-ctr,aes192-ctr,aes256-ctr"
)
_NOWHERE: Final = "/dev/null"
_QUESTION: Final = "chargehand.keepalive"

# How the names of libssh (kex.c) for what is agreed on begin, and ours.
_KINDS: Final = {
    "kex": "key exchange",
    "server host key": "host key algorithm",
    "encryption": "cipher",
    "mac": "MAC",
}
_OLD: Final = re.compile(rb"SSH-(?!2\.|1\.99-)\d+\.\d+-")
# Words of libssh (kex.c, packet_cb.c, session.c and socket.c).
_NO_MATCH: Final = re.compile(r"no match for method ([^:]*): server \[([^\]]*)\]?(?:, client \[([^\]]*))?")
_FAREWELL: Final = re.compile(r"Received SSH_MSG_DISCONNECT: \d+:(.*)", re.DOTALL)
_SOCKET: Final = re.compile(
    r"(?:Socket error|Writing packet: error on socket \(or connection closed\)): (.*)", re.DOTALL
)
_RESETS: Final = tuple(map(os.strerror, (errno.ECONNRESET, errno.EPIPE)))


class Broken(Exception):  # noqa: N818 - a host's trouble, not a defect
    """libssh gave up, in its words."""


class Owner(Protocol):
    """What holds something of libssh's session."""

    def release(self) -> None:
        """Let go of it."""


class Peer:
    """The other end of one connection.

    The one reference to libssh's session is kept here: the session ends, and gives its descriptor back, when
    it is let go of, whatever remembers the calls that went through it.

    Args:
        line: A connected socket.
        user: Login name.
        host_key_algorithms: To offer.
        watchdog: Ends a call that does not come back.

    Attributes:
        ended: How the stream ended; see `chargehand.ssh.wire.Wire`.
        trouble: What broke it, in words, where more is known than that.
        farewell: What the host said when it disconnected.
        owners: What else holds something of the session.
        watchdog: As given.
    """

    def __init__(
        self, line: ReadyLine, *, user: str, host_key_algorithms: Sequence[str], watchdog: Watchdog
    ) -> None:
        self.ended = ""
        self.trouble = ""
        self.farewell = ""
        self.owners: list[Owner] = []
        self.watchdog = watchdog
        self._line = line
        self._heard = Greeting(line)
        self._mismatch: Mismatch | None = None
        self._session: Session | None = _session(user, host_key_algorithms)

    @property
    def session(self) -> Session:
        """libssh's; never kept by whoever asks for it.

        Raises:
            Broken: It was let go of.
        """
        if self._session is None:
            raise Broken("it was closed")
        return self._session

    @property
    def greeting(self) -> bytes:
        """What the host said up to its version line."""
        return self._heard.said

    @property
    def greeted(self) -> bool:
        """Whether the version line came."""
        return self._heard.done

    @property
    def heard_at(self) -> float:
        """Monotonic time of the last byte that came."""
        return self._line.heard_at

    @property
    def is_active(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self._session is not None and not self.ended and self._session.is_connected()

    @property
    def host_key(self) -> HostKey:
        """The key that the host proved to have."""
        return HostKey(base64.b64decode(self.session.get_server_publickey().export_pubkey_base64()))

    def mismatch(self) -> Mismatch | None:
        """Why no algorithms could be agreed on; None when that is not what failed."""
        return self._mismatch

    def exchange_keys(self, timeout_s: float) -> None:
        """Say hello, hear the host's version line, agree on keys.

        Raises:
            OSError: The stream ended before the version line.
            Broken: It ended later, or the host speaks no SSH.
            Incompatible: We have nothing in common.
            OutOfTime: It took too long.
        """
        end = time.monotonic() + timeout_s
        self.session.set_socket(os.dup(self._line.socket.fileno()))  # libssh closes it when it likes
        with suppress(Broken):  # who hung up is told by what he said before
            self.once(self._connect)
        self._line.socket.setblocking(False)  # libssh has made it wait
        try:
            self._heard.hear(end)
        finally:
            self.ended = self._heard.ended or ("" if self.greeted else self.ended)
        version = self.greeting.rpartition(b"\n")[2]
        if _OLD.match(version):
            raise Incompatible("another version of the protocol")
        self.finish(self._connect, end)

    def ask_for_reply(self) -> None:
        """Send a request that every server answers, if only with a refusal; do not wait for it.

        ssh-python has but one such request, and sends none while it was not answered; then a message goes out
        that asks for nothing.

        Raises:
            Broken: The connection ended.
        """
        try:
            waits = self.once(lambda: self.session.cancel_forward(_QUESTION, 1) == SSH_AGAIN)
        except Broken:
            if not self.is_active:
                raise
            return  # refused, as it should be
        if waits:
            self.once(lambda: self.session.send_ignore(b""))

    def reset(self) -> None:
        """See `ReadyLine.reset`."""
        self._line.reset()

    def wait(self, timeout_s: float | None) -> None:
        """Wait until libssh may have something to do; see `ReadyLine.wait`.

        Raises:
            Broken: The connection was ended by us.
        """
        if self._line.is_shut:
            raise Broken("it was closed")
        self._line.wait(timeout_s, writing=bool(self.session.get_status() & SSH_WRITE_PENDING))

    def stir(self) -> None:
        """See `ReadyLine.stir`."""
        self._line.stir()

    def shut(self) -> None:
        """End the stream under whatever libssh does; called from any thread."""
        with suppress(OSError):
            self._line.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the session and the socket. Never raises."""
        for owner in self.owners:
            owner.release()
        self.owners.clear()
        self._session = None
        self._line.close()

    def once(self, call: Callable[[], T]) -> T:
        """Call libssh once.

        Raises:
            Broken: It failed, or the host refuses; then the connection still stands.
            Incompatible: We have nothing in common.
        """
        try:
            return call()
        except BaseSSHError as error:
            raise self.told(error) from None

    def finish(self, call: Callable[[], int], end: float, again: int = SSH_AGAIN) -> int:
        """Call libssh until it answers something else than `again`, or the monotonic time `end`.

        Raises:
            OutOfTime: It did not.
            Broken, Incompatible: See `once`.
        """
        while True:
            self.reset()
            code = self.once(call)
            if code != again:
                return code
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise OutOfTime("no answer")
            self.wait(left_s)

    def told(self, error: BaseSSHError) -> Broken | Incompatible:
        """What an error of libssh says of the connection."""
        last = error.args[-1] if error.args else b""
        words = last.decode("utf-8", "backslashreplace") if isinstance(last, bytes) else str(last)
        if found := _FAREWELL.match(words):
            self.farewell = found[1]
            self.ended = self.ended or "eof"
        elif found := _SOCKET.match(words):
            self._end(found[1])
        elif found := _NO_MATCH.search(words):
            kind = next((ours for theirs, ours in _KINDS.items() if found[1].startswith(theirs)), found[1])
            self._mismatch = Mismatch(kind, found[2], found[3] or "")
            return Incompatible(words)
        return Broken(words)

    def _connect(self) -> int:
        code: int = self.session.connect()
        return code

    def _end(self, words: str) -> None:
        """Only the first end counts: what follows comes of it."""
        if self.ended:
            return
        if words == "disconnected":
            self.ended = "eof"
        elif words in _RESETS:
            self.ended = "reset"
        else:
            self.ended, self.trouble = "broken", words


class PeerChannel:
    """A channel of libssh's, let go of with its session."""

    def __init__(self, peer: Peer) -> None:
        self._channel: Channel | None = peer.session.channel_new()
        peer.owners.append(self)

    def open(self) -> int:
        """Open it; libssh's code for whether it is open."""
        code: int = self.live.open_session()
        return code

    @property
    def live(self) -> Channel:
        """libssh's; never kept by whoever asks for it.

        Raises:
            Broken: It was let go of.
        """
        if self._channel is None:
            raise Broken("it was closed")
        return self._channel

    def release(self) -> None:
        """Let go of it, and close it when its session stands."""
        self._channel = None


def _session(user: str, host_key_algorithms: Sequence[str]) -> Session:
    session = Session()
    session.options_set_int_val(options.PROCESS_CONFIG, 0)
    for option in (options.SSH_DIR, options.KNOWNHOSTS, options.GLOBAL_KNOWNHOSTS):
        session.options_set(option, _NOWHERE)
    session.options_set(options.USER, user)
    session.options_set(options.HOSTKEYS, ",".join(host_key_algorithms))
    session.options_set(options.CIPHERS_C_S, _CIPHERS)
    session.options_set(options.CIPHERS_S_C, _CIPHERS)
    session.set_blocking(0)
    return session
