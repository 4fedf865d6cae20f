"""Supervisor: what systemd is told of a service of ``Type=notify``; nothing where nobody asked."""

import socket
from collections.abc import Mapping


def tell(environ: Mapping[str, str], *facts: str) -> None:
    """Send facts such as ``READY=1`` or ``STATUS=...`` to whoever started this process as a service.

    Source: sd_notify(3), environment variable ``NOTIFY_SOCKET``.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        try:
            line.sendto("\n".join(facts).encode(), address.replace("@", "\0", 1))
        except OSError:
            return  # a supervisor that does not listen is no reason not to serve
