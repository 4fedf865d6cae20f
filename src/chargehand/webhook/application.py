"""The receiver as a web application, the only module that imports Starlette."""

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chargehand.settings import HEALTH_PATH
from chargehand.webhook.delivery import Refusal
from chargehand.webhook.limits import Limits
from chargehand.webhook.receiver import Answer, Receiver
from chargehand.webhook.sender import Headers, find_sender


def make_application(
    receiver: Receiver,
    *,
    path: str,
    is_alive: Callable[[], bool],
    tell: Callable[[str], None],
    limits: Limits,
) -> Starlette:
    """An application that passes deliveries on to a receiver, and says whether all is well.

    Args:
        receiver: Hears whatever is sent to `path`.
        path: Of the URL.
        is_alive: Whether all is well.
        tell: Told of a defect.
        limits: Of what strangers may send.
    """
    intake = _Intake(receiver, limits)

    async def hear(request: Request) -> Response:
        return _response(await intake.hear(request))

    async def health(_: Request) -> Response:
        alive = is_alive()
        return _response(
            Answer(status=200 if alive else 503, text="ok" if alive else "the scheduler is stuck")
        )

    async def fail(_: Request, error: Exception) -> Response:
        tell(f"webhook: internal error: {type(error).__name__}")  # what it says may quote a body
        return _response(Answer(status=500, text="internal error"))

    application = Starlette(
        routes=[Route(path, hear, methods=["POST"]), Route(HEALTH_PATH, health, methods=["GET"])],
        exception_handlers={Exception: fail},
    )
    application.router.redirect_slashes = False  # a redirect repeats the host that a stranger named
    return application


class _Intake:
    """Reads requests, none for long, and together not much at a time."""

    def __init__(self, receiver: Receiver, limits: Limits) -> None:
        self._receiver = receiver
        self._limits = limits
        self._held_bytes = 0

    async def hear(self, request: Request) -> Answer:
        headers = _headers(request)
        if find_sender(headers, self._receiver.rules.senders) is None:
            return self._receiver.hear(headers, b"")  # which refuses it, unread
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_s):
                refusal = await self._read(request, body)
        except TimeoutError:
            refusal = Refusal(status=408, answer="too slow", reason="a request whose body came too slowly")
        except ClientDisconnect:
            refusal = Refusal(status=400, answer="cut short", reason="a request that was cut short")
        finally:
            self._held_bytes -= len(body)
        return self._receiver.refuse(refusal) if refusal else self._receiver.hear(headers, bytes(body))

    async def _read(self, request: Request, body: bytearray) -> Refusal | None:
        """Append to a body what comes of it; why it is refused, if it is."""
        most = self._receiver.rules.max_body_bytes
        too_long = Refusal(
            status=413, answer="the body is too long", reason="a request whose body is longer than `max_body`"
        )
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            return too_long
        async for chunk in request.stream():
            if len(body) + len(chunk) > most:
                return too_long
            if self._held_bytes + len(chunk) > max(self._limits.held_bytes, most):
                return Refusal(
                    status=429, answer="too much at once", reason="a request while too many others were read"
                )
            body += chunk
            self._held_bytes += len(chunk)
        return None


def _headers(request: Request) -> Headers:
    headers: dict[str, bytes] = {}
    for name, value in request.headers.raw:
        key = name.decode("latin-1").lower()
        headers[key] = headers[key] + b", " + value if key in headers else value
    return headers


def _response(answer: Answer) -> Response:
    return PlainTextResponse(answer.text + "\n", answer.status)
