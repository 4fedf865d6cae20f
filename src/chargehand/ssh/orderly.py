"""Orderly: channels of paramiko's that threads may share."""

import paramiko
from paramiko.common import cMSG_CHANNEL_CLOSE
from paramiko.message import Message

from chargehand.strand import Mutex


class QuietChannel(paramiko.Channel):
    """paramiko's, which does not spell out what it does."""

    def _log(self, level: int, msg: str, *args: object) -> None:
        """Nothing."""


class Orderly:
    """A channel's view of its transport that sends nothing of the channel after its CLOSE.

    paramiko decides to send and sends in two steps; when the channel is closed by another thread in between,
    the data comes after CLOSE, and OpenSSH then ends the whole connection («data packet referred to
    nonexistent channel») with everybody else's channels on it.
    """

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self._turn = Mutex()
        self._closed = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def _send_user_message(self, message: Message) -> None:
        with self._turn:
            if self._closed:
                return
            self._closed = message.asbytes()[:1] == cMSG_CHANNEL_CLOSE
            self._transport._send_user_message(message)  # type: ignore[attr-defined]  # noqa: SLF001 - in its place
