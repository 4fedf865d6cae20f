"""Foresight: what a host may get ahead of its answers, and what is learned of those that do not bear it."""

from typing import Any, Final

from paramiko.ssh_exception import SSHException

PATIENCE_S: Final = 10.0
"""How long a host may say nothing to what came ahead; then it is taken for one that does not bear that."""

_OPENSSH: Final = "SSH-2.0-OpenSSH_"


class Unforeseen(SSHException):
    """A host did not go along with what it got ahead of its answers."""


class Misjudged(Unforeseen):
    """A host wants another key exchange than the one that was begun, or ended the connection over it."""


class Unheard(Unforeseen):
    """A host said nothing to what came along with its login.

    Attributes:
        version: What it calls itself.
    """

    def __init__(self, version: str) -> None:
        super().__init__(f"{version} does not answer what comes ahead")
        self.version = version


class Foresight:
    """What is thought of hosts that nothing is known of yet, by those that answered before.

    Args:
        blind: Whether nothing may go ahead, whatever is learned.

    Attributes:
        exchange: The key exchange that all wanted so far, a class of paramiko's; None before the first, and
            when they differ.
    """

    exchange: type[Any] | None

    def __init__(self, *, blind: bool = False) -> None:
        self.exchange = None
        self._differ = blind
        self._blind = blind
        self._plain: set[str] = set()

    def bears(self, version: str) -> bool:
        """Whether a host that calls itself so takes messages that it could only expect after its own."""
        return not self._blind and version.startswith(_OPENSSH) and version not in self._plain

    def note(self, exchange: type[Any]) -> None:
        """Take note of what a host wants."""
        if self.exchange is not exchange and not self._differ:
            self._differ = self.exchange is not None
            self.exchange = None if self._differ else exchange

    def learn(self, surprise: Unforeseen) -> None:
        """Do without from now on: for all of its version, or for all hosts."""
        if isinstance(surprise, Unheard):
            self._plain.add(surprise.version)
        else:
            self._differ, self.exchange = True, None
