"""Foresight: what a host may get ahead of its answers, and what is learned of those that do not bear it."""

from typing import Final

from paramiko.ssh_exception import SSHException

from chargehand.ssh.memory import Memory

PATIENCE_S: Final = 10.0
"""How long a host may say nothing to what came ahead; then it is taken for one that does not bear that."""

_OPENSSH: Final = "SSH-2.0-OpenSSH_"
_NOTHING: Final = ""


class Unforeseen(SSHException):
    """A host did not go along with what it got ahead of its answers."""


class Misjudged(Unforeseen):
    """A host wants another key exchange than the one that was begun."""


class Unheard(Unforeseen):
    """A host said nothing to what it got ahead, or hung up.

    Attributes:
        version: What it calls itself; empty when the key exchange was the matter.
    """

    def __init__(self, what: str, version: str = "") -> None:
        super().__init__(f"no answer to {what} that came ahead")
        self.version = version


class Foresight:
    """What is thought of hosts, by what they wanted before and by what others want that were just met.

    Args:
        memory: What hosts wanted before; None is blind: nothing goes ahead.
    """

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._usual = ""
        self._differ = False
        self._plain: set[str] = set()

    def bears(self, version: str) -> bool:
        """Whether a host that calls itself so takes messages that it could only expect after its own."""
        return self._memory is not None and version.startswith(_OPENSSH) and version not in self._plain

    def expect(self, target: str) -> str:
        """The key exchange that a host will want; empty when that is not known."""
        if self._memory is None or target in self._plain:
            return ""
        wanted = self._memory.recall(target)
        return self._usual if wanted is None else wanted

    def note(self, target: str, exchange: str) -> None:
        """Take note of what a host wants: what all want that were met, others are taken to want as well."""
        if self._memory is None:
            return
        wanted = self._memory.recall(target)
        if wanted not in (exchange, _NOTHING):
            self._memory.note(target, exchange)
        if self._usual != exchange and not self._differ:
            self._differ = bool(self._usual)
            self._usual = "" if self._differ else exchange

    def learn(self, target: str, surprise: Unforeseen) -> None:
        """Send nothing ahead any more to a host, or to all of its version, that do not bear it."""
        if isinstance(surprise, Unheard):
            self._plain.add(surprise.version or target)

    def confirm(self, target: str) -> None:
        """Remember that a host answered when nothing came ahead, after what was learned of it."""
        if self._memory is not None and target in self._plain:
            self._memory.note(target, _NOTHING)
