"""Senders: what each kind of git host sends with a delivery, as data."""

from collections.abc import Collection, Mapping
from typing import Final, Literal

from chargehand.frozen import frozen

Headers = Mapping[str, bytes]
"""Values as they came, by names in lower case; of a name that came twice both, with a comma between."""
Scheme = Literal["hex", "sha256=hex", "token", "standard"]

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"


@frozen
class Sender:
    """What one kind of git host sends.

    Attributes:
        name: What the setting `senders` calls it.
        signature: The header that proves who sent the body.
        scheme: How: with the HMAC-SHA256 of the body, as ``hex`` or ``sha256=hex``; by being the secret,
            as ``token``; or as Standard Webhooks has it.
        event: The header that says what happened; None when nothing but pushes are sent.
        pushes: What it says of a push.
        pings: What it says of a trial, which only wants an answer.
        ids: Headers that a repeat has in common with what it repeats, the best first.
    """

    name: str
    signature: str
    scheme: Scheme
    event: str | None
    pushes: frozenset[bytes] = frozenset({b"push"})
    pings: frozenset[bytes] = frozenset()
    ids: tuple[str, ...]


_GITLAB_IDS: Final = ("idempotency-key", "x-gitlab-event-uuid")
_GITLAB_PUSHES: Final = frozenset({b"Push Hook"})

_TABLE: Final = (
    *(  # Forgejo also sends what Gitea sends, and both what Gogs and GitHub send
        Sender(
            name=name,
            signature=f"x-{name}-signature",
            scheme="hex",
            event=f"x-{name}-event",
            ids=(f"x-{name}-delivery",),
        )
        for name in ("forgejo", "gitea", "gogs")
    ),
    Sender(
        name="github",
        signature="x-hub-signature-256",
        scheme="sha256=hex",
        event="x-github-event",
        pings=frozenset({b"ping"}),
        ids=("x-github-delivery",),
    ),
    Sender(
        name="bitbucket",
        signature="x-hub-signature",
        scheme="sha256=hex",
        event="x-event-key",
        pushes=frozenset({b"repo:push", b"repo:refs_changed"}),
        pings=frozenset({b"diagnostics:ping"}),
        ids=("x-request-uuid", "x-request-id"),
    ),
    Sender(  # before the token: who signs is not believed for less
        name="gitlab",
        signature="webhook-signature",
        scheme="standard",
        event="x-gitlab-event",
        pushes=_GITLAB_PUSHES,
        ids=(ID,),
    ),
    Sender(
        name="gitlab",
        signature="x-gitlab-token",
        scheme="token",
        event="x-gitlab-event",
        pushes=_GITLAB_PUSHES,
        ids=_GITLAB_IDS,
    ),
    Sender(name="generic", signature="x-signature", scheme="sha256=hex", event=None, ids=("x-delivery-id",)),
)


def find_sender(headers: Headers, accepted: Collection[str]) -> Sender | None:
    """The kind of sender whose headers these are, of those that are accepted."""
    for sender in _TABLE:
        marks = {sender.signature, sender.event or sender.signature}
        if sender.name in accepted and marks <= headers.keys():
            return sender
    return None
