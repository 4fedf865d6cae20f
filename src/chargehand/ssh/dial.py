"""Dial: from an address, or a proxy command, to a connected socket, each step with a deadline."""

import os
import socket
import subprocess
import tempfile
import threading
import time

from chargehand.beside import NoThreadError, elsewhere
from chargehand.provider import Unreachable
from chargehand.ssh.failure import Throttled, network, shown
from chargehand.ssh.interrupt import Interrupt
from chargehand.ssh.line import Line, line_over
from chargehand.strand import Signal

USER_TIMEOUT_S = 30
LAST_WORDS_BYTES = 4096

Where = tuple[object, ...]
Address = tuple[socket.AddressFamily, Where]


def resolve(name: str, port: int, timeout_s: float, interrupt: Interrupt) -> list[Address]:
    """The addresses of a name, asked for in a thread of its own: the system's resolver knows no deadline.

    Raises:
        Unreachable: No such name, or no answer in time; code ``dns``.
    """
    found: list[Address] = []
    trouble: list[OSError] = []
    answered = Signal()

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            found.extend((family, where) for family, _, _, _, where in answers)
        except (OSError, UnicodeError) as error:
            trouble.append(error if isinstance(error, OSError) else OSError(f"no host name: {error}"))
        answered.set()

    if _is_v4(name):
        return [(socket.AF_INET, (name, port))]
    if ":" in name:  # of version 6, perhaps with a zone
        ask()
    else:
        threading.Thread(target=ask, name=f"chargehand-resolve {name}", daemon=True).start()
        with interrupt.calling(answered.set):
            if not answered.wait(timeout_s):
                words = f"{name}: the name was not resolved within {timeout_s:g} s"
                raise Unreachable("dns", words, again=True)
    if trouble:
        raise network(trouble[0], name)
    return found


def connect(name: str, port: int, timeout_s: float, interrupt: Interrupt) -> Line:
    """A TCP connection to the first address of `name` that answers; all of them share the deadline.

    Raises:
        Unreachable: None did; the last one's failure.
        Throttled: The host took the connection and reset it at once.
    """
    end = time.monotonic() + timeout_s
    addresses = resolve(name, port, timeout_s, interrupt)
    failure = Unreachable("dns", f"{name}: the name has no address")
    for number, (family, where) in enumerate(addresses):
        share_s = max(0.1, (end - time.monotonic()) / (len(addresses) - number))
        try:
            return _connect(family, where, share_s, interrupt)
        except ConnectionResetError:
            raise Throttled(f"{name}: it reset the connection at once") from None
        except OSError as error:
            failure = network(error, f"{where[0]} port {where[1]}", timeout_s=timeout_s)
    raise failure


def _connect(family: socket.AddressFamily, where: Where, timeout_s: float, interrupt: Interrupt) -> Line:
    connection = socket.socket(family, socket.SOCK_STREAM)
    line = line_over(connection)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_S * 1000)
        line.settimeout(timeout_s)
        with interrupt.calling(line.shut):
            line.connect(where)
    except BaseException:
        line.close()
        raise
    return line


PARTING_S = 2.0
"""For a proxy command to end by itself when it is told to."""


class ProxyCommand:
    """A running proxy command: a pair of sockets joins its stdin and stdout to the Wire."""

    def __init__(self, command: str) -> None:
        ours, theirs = socket.socketpair()
        self.line = line_over(ours)
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the command
        try:
            self._program = subprocess.Popen(  # noqa: S603 - the user's own ssh_config, or allowed by a setting
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._words,
                start_new_session=True,
            )
        except OSError:
            self._words.close()
            self.line.close()
            raise
        finally:
            theirs.close()

    def epitaph(self) -> str:
        """That it ended, and the last line it wrote to stderr."""
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - LAST_WORDS_BYTES))
        lines = self._words.read().strip().splitlines()
        return "the proxy command ended" + (f", saying {shown(lines[-1])}" if lines else "")

    def close(self) -> None:
        """End it; its line is closed by the Wire."""
        self._program.terminate()
        try:
            elsewhere(self._await_end)  # it may not want to
        except NoThreadError:
            self._program.kill()
            self._program.wait()
        self._words.close()

    def _await_end(self) -> None:
        try:
            self._program.wait(PARTING_S)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()


def _is_v4(name: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, name)
    except OSError:
        return False
    return True
