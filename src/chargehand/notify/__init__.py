"""Notify: messages about runs to people who are elsewhere, by Apprise."""

from chargehand.notify.message import Message, compose_message, compose_not_run, occasions
from chargehand.notify.notifier import send, send_message, send_not_run
from chargehand.notify.wish import OCCASIONS, USUAL, Occasion, Wish, read_recipient

__all__ = [
    "OCCASIONS",
    "USUAL",
    "Message",
    "Occasion",
    "Wish",
    "compose_message",
    "compose_not_run",
    "occasions",
    "read_recipient",
    "send",
    "send_message",
    "send_not_run",
]
