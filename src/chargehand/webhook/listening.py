"""Listening: a receiver on an address, with libraries that are an extra."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, Protocol, cast

from chargehand.errors import UsageError
from chargehand.webhook.limits import Limits
from chargehand.webhook.receiver import Receiver


class _Application(Protocol):
    def make_application(
        self,
        receiver: Receiver,
        *,
        path: str,
        is_alive: Callable[[], bool],
        tell: Callable[[str], None],
        limits: Limits,
    ) -> Callable[..., Any]: ...


class _Server(Protocol):
    def serve(
        self,
        application: Callable[..., Any],
        listener: socket.socket,
        *,
        tell: Callable[[str], None],
        limits: Limits,
    ) -> AbstractContextManager[None]: ...


@contextmanager
def listen(
    receiver: Receiver,
    address: tuple[str, int],
    *,
    path: str,
    is_alive: Callable[[], bool],
    tell: Callable[[str], None],
    limits: Limits = Limits(),  # noqa: B008 - a value
) -> Iterator[str]:
    """Have a receiver hear what is sent to an address, to the end of the block; gives the URL.

    Args:
        receiver: Hears it, in a thread of its own.
        address: Host and port; port 0 takes a free one.
        path: Of the URL.
        is_alive: What ``/health`` says.
        tell: Told of defects.
        limits: Of what strangers may send.

    Raises:
        UsageError: The packages are not installed, or the address cannot be listened on.
    """
    try:
        application = cast("_Application", import_module("chargehand.webhook.application"))
        server = cast("_Server", import_module("chargehand.webhook.server"))
    except ModuleNotFoundError as error:
        message = f"webhooks need the package `{error.name}`, which is not installed"
        raise UsageError(f"{message} (pip install 'chargehand[server]')") from None
    listener = _bind(*address)
    host, port = listener.getsockname()[:2]
    made = application.make_application(receiver, path=path, is_alive=is_alive, tell=tell, limits=limits)
    with server.serve(made, listener, tell=tell, limits=limits):
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise UsageError(f"cannot listen on {host}:{port}: {said}; see `--listen`") from None
