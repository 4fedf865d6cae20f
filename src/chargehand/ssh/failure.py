"""Failure: everything that goes wrong on the way to a session, told as `Unreachable`. Nowhere else."""

import errno
import socket

from paramiko.ssh_exception import IncompatiblePeer

from chargehand.frozen import frozen
from chargehand.provider import Unreachable
from chargehand.ssh.base import Transport
from chargehand.ssh.foresight import Unforeseen
from chargehand.ssh.wire import Wire

SHOWN = 100

# sshd's own words to a connection that it does not want (sshd.c, drop_connection).
THROTTLED = b"Exceeded MaxStartups"
PENALISED = b"Not allowed at this time"

# paramiko's words when it, or who waited for it, lost patience before there was a session.
TIMED_OUT = ("Error reading SSH protocol banner", "No existing session")

# paramiko's words when there are algorithms, and not when there is no version, that both sides have.
NOTHING_IN_COMMON = "Incompatible ssh peer"

_ERRNO_CODES = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "no-route",
    errno.ENETUNREACH: "no-route",
    errno.ENETDOWN: "no-route",
    errno.EHOSTDOWN: "no-route",
    errno.EADDRNOTAVAIL: "no-route",
    errno.ETIMEDOUT: "timeout",
    errno.EMFILE: "no-descriptors",
    errno.ENFILE: "no-descriptors",
}
_WORDS = {
    "refused": "the connection was refused: nothing listens there, or a firewall says no",
    "no-route": "there is no route to it",
    "no-descriptors": "this machine has no file descriptors left (`ulimit -n`): run fewer hosts at once",
}


class Throttled(Exception):  # noqa: N818 - a host's trouble, not a defect
    """The host hung up before its version line, as sshd does when too many connect at once."""


def ours(error: OSError | RuntimeError, target: str) -> Unreachable:
    """What this machine lacks, rather than the host."""
    if isinstance(error, RuntimeError):
        words = f"this machine starts no more threads: run fewer hosts at once ({error})"
        return Unreachable("no-threads", f"{target}: {words}", again=True)
    file = f"{error.filename}: " if error.filename else ""
    told = network(error, target)
    return Unreachable(
        told.code, told.reason if told.code != "network" else f"{target}: {file}{error.strerror}"
    )


def network(error: OSError, target: str, *, timeout_s: float = 0.0) -> Unreachable:
    """What kept a connection from being made."""
    if isinstance(error, socket.gaierror):
        again = error.errno == socket.EAI_AGAIN
        return Unreachable("dns", f"{target}: the name cannot be resolved: {error.strerror}", again=again)
    if isinstance(error, TimeoutError):
        return Unreachable("timeout", f"{target}: no answer within {timeout_s:g} s", again=True)
    code = _ERRNO_CODES.get(error.errno or 0, "network")
    words = _WORDS.get(code, error.strerror or str(error))
    return Unreachable(code, f"{target}: {words}", again=code != "network")


@frozen(kw_only=False)
class Handshake:
    """What is known of a handshake that failed.

    Attributes:
        target: The host, for people.
        wire: Its bytes.
        transport: Its state; None when it did not come so far.
        timeout_s: What the version line and the key exchange had together.
    """

    target: str
    wire: Wire
    transport: Transport | None
    timeout_s: float

    def failure(self, error: Exception) -> Unreachable | Throttled | Unforeseen:
        """Why there is no session."""
        if isinstance(error, Unreachable | Unforeseen):
            return error
        if isinstance(error, RuntimeError):
            return ours(error, self.target)
        if isinstance(error, IncompatiblePeer):
            return self._incompatible(error)
        if self.wire.ended == "broken":
            return Unreachable("connection-lost", f"{self.target}: {self.wire.trouble}", again=True)
        if not self.wire.greeted:
            return self._ungreeted(error)
        if self.wire.ended in ("eof", "reset"):
            farewell = self.transport.farewell if self.transport else ""
            words = f"it hung up during the key exchange{': ' + shown(farewell) if farewell else ''}"
            return Unreachable("protocol", f"{self.target}: {words}", again=True)
        if str(error) in TIMED_OUT:
            words = f"the key exchange was not finished within {self.timeout_s:g} s"
            return Unreachable("banner-timeout", f"{self.target}: {words}", again=True)
        return Unreachable("protocol", f"{self.target}: not the SSH protocol: {shown(str(error))}")

    def _ungreeted(self, error: Exception) -> Unreachable | Throttled:
        seen = self.wire.greeting.strip()
        hung_up = self.wire.ended in ("eof", "reset")
        if seen.startswith(PENALISED):
            words = f"sshd refuses this address for a while (PerSourcePenalties): {shown(seen)}"
            return Unreachable("refused", f"{self.target}: {words}", again=True)
        if hung_up and (not seen or seen.startswith(THROTTLED)):
            return Throttled(f"{self.target}: it hung up before its version line")
        if hung_up or self.wire.ended == "flood" or str(error) not in TIMED_OUT:
            return Unreachable("protocol", f"{self.target}: no SSH server speaks there, but: {shown(seen)}")
        said = f"; it said: {shown(seen)}" if seen else ""
        words = f"no SSH version line within {self.timeout_s:g} s{said}"
        return Unreachable("banner-timeout", f"{self.target}: {words}", again=True)

    def _incompatible(self, error: IncompatiblePeer) -> Unreachable:
        mismatch = self.transport.mismatch() if self.transport else None
        if mismatch is None:
            line = shown(self.wire.greeting.strip().split(b"\n")[-1])
            code = "algorithms" if str(error).startswith(NOTHING_IN_COMMON) else "protocol"
            return Unreachable(code, f"{self.target}: {shown(str(error))}; it said: {line}")
        words = f"no common {mismatch.what}; it offers {mismatch.theirs}; we take {mismatch.ours}"
        return Unreachable("algorithms", f"{self.target}: {words}")


def shown(seen: bytes | str) -> str:
    """The first line of what a stranger said, escaped and cut."""
    text = seen.decode("utf-8", "backslashreplace") if isinstance(seen, bytes) else seen
    line = text.strip().split("\n")[0].rstrip("\r")
    safe = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    return f"`{safe[:SHOWN]}{'…' if len(safe) > SHOWN else ''}`"
