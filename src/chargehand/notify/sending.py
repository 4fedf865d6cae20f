"""Sending: a message on its way by Apprise, the only module that imports it.

An Apprise URL is a secret as a whole: nothing is told of one but its scheme, and what the library logs goes
nowhere, since it holds parts of URLs.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

import apprise

from chargehand.expression import expression
from chargehand.notify.message import Message
from chargehand.secret import Secret

_ERROR: Final = expression(r"error=(\d{3})\b")


class _Silence(logging.Filter):
    """Drops every record; whoever listens is told the number of an HTTP status and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Callable[[str], None]] = []

    def filter(self, record: logging.LogRecord) -> bool:
        found = _ERROR.search(record.getMessage())
        for listener in tuple(self.listeners):
            if found:
                listener(found[1])
        return False


_SILENCE: Final = _Silence()
logging.getLogger("apprise").addFilter(_SILENCE)


def send_by_apprise(url: Secret, message: Message, *, timeout_s: float) -> str:
    """Send one message; what went wrong, in a few words without the URL, or an empty text.

    Args:
        url: Where to, as Apprise writes it.
        message: What to send.
        timeout_s: Longer than that nobody waits for it.
    """
    refusals: list[str] = []
    said = ["it was not answered in time"]

    def send() -> None:
        try:
            said[0] = _send(url, message, refusals)
        except Exception as error:  # noqa: BLE001 - a defect of one of very many services, which is told
            said[0] = f"Apprise failed with {type(error).__name__}"

    _SILENCE.listeners.append(refusals.append)
    try:
        sender = threading.Thread(target=send, name="chargehand-notify", daemon=True)
        sender.start()
        sender.join(timeout_s)
    finally:
        _SILENCE.listeners.remove(refusals.append)
    return said[0]


def _send(url: Secret, message: Message, refusals: list[str]) -> str:
    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Chargehand"))
    if not service.add(url.reveal()):
        return "it leads to no URL that Apprise understands"
    if service.notify(title=message.title, body=message.body, body_format=apprise.NotifyFormat.TEXT):
        return ""
    return f"it was refused with {refusals[-1]}" if refusals else "it did not arrive"
