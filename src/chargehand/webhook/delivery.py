"""Deliveries: what a request says once it is known who sent it, and why one is refused.

A delivery is a hint to look for something new and nothing else: no input, host or address is taken from it.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from chargehand.frozen import frozen
from chargehand.webhook.push import Push, read_payload, read_pushes, read_repository
from chargehand.webhook.rules import Rules
from chargehand.webhook.sender import Headers, Sender, find_sender
from chargehand.webhook.signature import is_signed, read_timestamp

_MEDIA_TYPES: Final = (b"application/json", b"application/x-www-form-urlencoded")


@frozen
class Hint:
    """Something may be new; whoever gets it looks for themselves.

    Attributes:
        branch: Where; None when it may be anywhere.
        commit: What is claimed to be there; not to be believed.
    """

    branch: str | None = None
    commit: str | None = None


@frozen
class Delivery:
    """What somebody sent who knows a secret.

    Attributes:
        sender: The kind of sender.
        key: Stands for it and its repeats; None when nothing tells repeats from news.
        hint: What is to be looked at; None when nothing is.
        note: What to answer, in a line.
    """

    sender: str
    key: bytes | None
    hint: Hint | None
    note: str


@frozen
class Refusal:
    """Why a request is refused.

    Attributes:
        status: Of HTTP.
        answer: For whoever sent it; says nothing to those who know no secret.
        reason: For whoever runs the receiver, in words of ours.
    """

    status: int
    answer: str
    reason: str


def verify(headers: Headers, body: bytes, rules: Rules, now: datetime) -> Delivery | Refusal:
    """Say what a request is: nothing is read of its body before it is known who sent it.

    Args:
        headers: Of the request.
        body: Exactly as it came.
        rules: What is accepted.
        now: The time, aware.
    """
    sender = find_sender(headers, rules.senders)
    if sender is None:
        return _unknown("a request of no sender that is accepted")
    if not is_signed(sender, headers, body, rules.secrets):
        return _unknown(f"a request that claims to be of {sender.name}, and no secret fits its signature")
    if sender.scheme == "standard":
        sent = read_timestamp(headers)
        if sent is None or abs(now.timestamp() - sent) > rules.window_s:
            return _unknown(f"a delivery of {sender.name} whose time is too far from this machine's clock")
    if sender.event and headers[sender.event] in sender.pings:
        return _delivery(sender, headers, None, "pong")
    if sender.event and headers[sender.event] not in sender.pushes:
        return _delivery(sender, headers, None, "ignored: not a push")
    return _read(sender, headers, body, rules)


def _unknown(reason: str) -> Refusal:
    return Refusal(status=401, answer="no valid signature", reason=reason)


def _delivery(sender: Sender, headers: Headers, hint: Hint | None, note: str) -> Delivery:
    found = next((headers[name] for name in sender.ids if headers.get(name)), None)
    key = hashlib.sha256(sender.name.encode() + b"\0" + found).digest() if found else None
    return Delivery(sender=sender.name, key=key, hint=hint, note=note)


def _read(sender: Sender, headers: Headers, body: bytes, rules: Rules) -> Delivery | Refusal:
    """What the body of a push comes to."""
    media_type = headers.get("content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        answer = "send application/json"
        return Refusal(status=415, answer=answer, reason=f"a push of {sender.name} that is not sent as JSON")
    payload = read_payload(media_type, body)
    if payload is None:
        reason = f"a push of {sender.name} whose body is no JSON object"
        return Refusal(status=400, answer="the body is no JSON object", reason=reason)
    repository = read_repository(payload)
    if rules.repository and repository and repository.casefold() != rules.repository.casefold():
        return _delivery(sender, headers, None, "ignored: another repository")
    hint = _hint(read_pushes(payload), rules.branch)
    note = "accepted" if hint else "ignored: another branch" if rules.branch else "ignored: no branch"
    return _delivery(sender, headers, hint, note)


def _hint(pushes: Iterable[Push], branch: str | None) -> Hint | None:
    """What pushes hint at, in all; a push that names no branch may be of any."""
    wanted = [each for each in pushes if branch is None or each.branch in (branch, None)]
    if not wanted:
        return None
    if len(wanted) > 1:
        return Hint(branch=branch)
    return Hint(branch=wanted[0].branch, commit=wanted[0].commit)
