"""Sending: a message on its way by Apprise, the only module that imports it.

An Apprise URL is a secret as a whole: nothing is told of one but its scheme, and what the library logs goes
nowhere, since it holds parts of URLs.
"""

import logging
import re
import threading
from typing import Final

import apprise

from chargehand.notify.message import Message
from chargehand.secret import Secret

_LOG: Final = logging.getLogger("apprise")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())
_ERROR: Final = re.compile(r"error=(\d{3})\b")


class _Heard(logging.Handler):
    """Keeps of what the library says nothing but the number of an HTTP status."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.status = ""

    def emit(self, record: logging.LogRecord) -> None:
        found = _ERROR.search(record.getMessage())
        self.status = found[1] if found else self.status


def send_by_apprise(url: Secret, message: Message, *, timeout_s: float) -> str:
    """Send one message; what went wrong, in a few words without the URL, or an empty text.

    Args:
        url: Where to, as Apprise writes it.
        message: What to send.
        timeout_s: Longer than that nobody waits for it.
    """
    heard = _Heard()
    said = ["it was not answered in time"]

    def send() -> None:
        service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Chargehand"))
        if not service.add(url.reveal()):
            said[0] = "it leads to no URL that Apprise understands"
        elif service.notify(title=message.title, body=message.body, body_format=apprise.NotifyFormat.TEXT):
            said[0] = ""
        else:
            said[0] = f"it was refused with {heard.status}" if heard.status else "it did not arrive"

    _LOG.addHandler(heard)
    try:
        sender = threading.Thread(target=send, name="chargehand-notify", daemon=True)
        sender.start()
        sender.join(timeout_s)
    finally:
        _LOG.removeHandler(heard)
    return said[0]
