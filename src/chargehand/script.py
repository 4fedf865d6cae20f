"""RenderedScript: the bytes that run on one host, and how they are to be run."""

import hashlib
import secrets
from dataclasses import field

from chargehand.connection import Become
from chargehand.frozen import frozen


@frozen
class RenderedScript:
    """The bytes that run on one host.

    Attributes:
        content: Exactly what arrives on the host; carriage returns and a missing last newline are kept.
            Left out of a repr, since it may hold secrets.
        become: How the effective user is taken on; None runs it as the user who logged in.
        timeout_s: Seconds the script may run, from its start; None for ever.
        idle_timeout_s: Seconds it may stay silent; None for ever.
        token: Names the script's folder on the host; a host on which that folder is starts nothing with it.
        transient: Whether its folder goes at its end even when nobody hears of it, because nobody will ask.
    """

    content: bytes = field(repr=False)
    become: Become | None = None
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16), compare=False)
    transient: bool = False

    @property
    def sha256(self) -> str:
        """Of the content, in hex: what a run is recognised by."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def interpreter(self) -> tuple[str, ...]:
        """The program that reads the script, with its one argument, by the kernel's ``#!`` rule.

        No ``#!`` line means ``/bin/sh``. Naming it ourselves lets a script run from a folder mounted
        noexec.
        """
        if not self.content.startswith(b"#!"):
            return ("/bin/sh",)
        line = self.content[2:].split(b"\n", 1)[0].decode("utf-8", "surrogateescape").strip(" \t\r")
        words = line.split(None, 1)
        return tuple(words) if words else ("/bin/sh",)
