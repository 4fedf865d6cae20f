"""Interpreter: our own Python started anew, to run one of our modules with a socket as its standard input."""

import os
import site
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

_ENVIRONMENT: Final = ("LD_LIBRARY_PATH", "PATH", "LANG")
"""What the interpreter may need to start at all.

Anybody on this machine who is us may read what a process is started with, so nothing else goes that way.
"""


def start(
    module: str, *words: str, channel: socket.socket, options: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Run a module in a process of its own, deaf to what the keyboard sends to us.

    Args:
        module: Its name; it is looked for where we are installed, not in the working directory.
        words: Its arguments; everybody on this machine may read them.
        channel: Its end of a pair of sockets.
        options: More of the interpreter's.

    Raises:
        OSError: The system starts no more processes.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
        [sys.executable, *_options(), *options, "-m", module, *words],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        env={name: os.environ[name] for name in (*_ENVIRONMENT, *_at_home()) if name in os.environ},
        start_new_session=True,
    )


def _options() -> Iterator[str]:
    """As ``-I`` with this environment, but for what the user installed, if we may be among that."""
    yield from ("-P", "-X", "utf8")
    if not site.ENABLE_USER_SITE:
        yield "-s"


def _at_home() -> Sequence[str]:
    """What tells where that is."""
    return ("HOME", "PYTHONUSERBASE") if site.ENABLE_USER_SITE else ()
