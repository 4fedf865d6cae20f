"""Signatures: whether a body was sent by somebody who knows a secret.

Every secret is compared, whether or not one before it fits, and in a time that says nothing of it.

Source: the signature schemes of GitHub, GitLab, Gitea and Bitbucket; Standard Webhooks 1.0.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from chargehand.expression import expression
from chargehand.secret import Secret
from chargehand.webhook.sender import ID, TIMESTAMP, Headers, Sender

PREFIX: Final = "whsec_"
"""Begins a secret of Standard Webhooks; the rest is the key in base64."""
_SECONDS: Final = expression(rb"[0-9]{1,12}")


def is_signed(sender: Sender, headers: Headers, body: bytes, secrets: Sequence[Secret]) -> bool:
    """Whether one of the secrets made the signature.

    Args:
        sender: Whose headers these are.
        headers: Of the delivery.
        body: Exactly as it came.
        secrets: Each may be it.
    """
    given = headers.get(sender.signature, b"")
    match sender.scheme:
        case "token":
            fits = [_same(given, secret.reveal().encode()) for secret in secrets]
        case "standard":
            fits = [_is_standard(given, headers, body, secret) for secret in secrets]
        case "hex" | "sha256=hex":
            prefix = sender.scheme.removesuffix("hex").encode()
            fits = [_same(given, prefix + _hmac(secret, body).hex().encode()) for secret in secrets]
    return any(fits)


def read_timestamp(headers: Headers) -> int | None:
    """When a delivery was sent, in seconds since 1970; None when its headers do not say."""
    text = headers.get(TIMESTAMP, b"")
    return int(text) if _SECONDS.fullmatch(text) else None


def standard_key(secret: Secret) -> bytes | None:
    """The key in a secret of Standard Webhooks; None when the secret is of another kind.

    Raises:
        ValueError: It is of that kind, and no base64 or empty.
    """
    text = secret.reveal()
    if not text.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None  # the error would quote nothing, but holds on to the text
    if not key:
        raise ValueError("empty")
    return key


def _is_standard(given: bytes, headers: Headers, body: bytes, secret: Secret) -> bool:
    """Whether one of the signatures given is that of id, timestamp and body."""
    key = standard_key(secret)
    if key is None or ID not in headers or TIMESTAMP not in headers:
        return False
    content = b".".join((headers[ID], headers[TIMESTAMP], body))
    expected = b"v1," + base64.b64encode(hmac.digest(key, content, "sha256"))
    return any([_same(each, expected) for each in given.split(b" ")])  # noqa: C419 - all, in the same time


def _hmac(secret: Secret, body: bytes) -> bytes:
    return hmac.digest(secret.reveal().encode(), body, "sha256")


def _same(given: bytes, expected: bytes) -> bool:
    """Compare without telling by the time how much is alike, or how long a secret is."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(expected).digest())
