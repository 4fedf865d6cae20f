"""The web server of a receiver, in a thread, the only module that imports uvicorn."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from chargehand.webhook.limits import Limits

_LEAVE_S: Final = 5
"""How long what is being answered may take when the server ends."""

Application = Callable[..., Any]


@contextmanager
def serve(
    application: Application, listener: socket.socket, *, tell: Callable[[str], None], limits: Limits
) -> Iterator[None]:
    """Serve an application in a thread to the end of the block; requests that are there then are answered.

    Args:
        application: An ASGI application.
        listener: Bound; closed at the end.
        tell: Told of an end before its time.
        limits: Of connections.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=cast("type[asyncio.Protocol]", partial(_Connection, limits)),
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # a stranger can make it say something again and again
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=[("connection", "close")],
            backlog=limits.connections,
            h11_max_incomplete_event_size=limits.header_bytes,
            timeout_graceful_shutdown=_LEAVE_S,
        )
    )

    def run() -> None:
        try:
            server.run(sockets=[listener])
        except Exception as error:  # noqa: BLE001 - the end of a thread that nobody waits for, which is told
            tell(f"webhook: nothing is listened to any more: {type(error).__name__}")

    thread = threading.Thread(target=run, name="chargehand-webhook", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * _LEAVE_S)
        listener.close()


class _Connection(H11Protocol):
    """A connection that does not last: one request, in the time it takes an honest sender.

    uvicorn itself waits for ever for the rest of a request, and answers all others with 503 meanwhile.
    """

    def __init__(self, limits: Limits, **given: Any) -> None:  # noqa: ANN401 - as uvicorn gives it
        super().__init__(**given)
        self._limits = limits
        self._end: asyncio.TimerHandle | None = None
        self.began_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(transport)
        self.began_at = self.loop.time()
        self._end = self.loop.call_later(self._limits.connection_s, transport.abort)
        if len(self.connections) > self._limits.connections:
            oldest = min(cast("set[_Connection]", self.connections), key=lambda each: each.began_at)
            self.connections.discard(oldest)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end:
            self._end.cancel()
        super().connection_lost(exc)
