"""Mask: makes known secrets unreadable in what a script prints, however it arrives.

Every place of the output that a form of a secret covers becomes ``***``, wherever the output was cut into
chunks and wherever lines were broken. Secrets of fewer than four characters are not masked: they would
take half of the output with them.

Source:
    The forms are those in which secrets get into logs: as they are, quoted for a shell, in a URL
    (RFC 3986), in JSON (RFC 8259), and in base64 (RFC 4648) at each of its three alignments.
"""

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from chargehand.expression import expression
from chargehand.secret import MASKED, Secret

_SHORTEST = 4
_SHORTEST_LINE = 8
_MASKED = MASKED.encode()
_BREAKS = b"\r\n"
_NO_BREAK = expression(rb"[^\r\n]+")

_Span = tuple[int, int]


class Mask:
    """Masks the secrets of one stream; `feed` it in pieces and `flush` it at its end."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        forms = {form for secret in secrets for form in _forms(secret.reveal())}
        self._forms = sorted(forms, key=len, reverse=True)
        self._held = b""
        self._covered = 0

    def text(self, text: str) -> str:
        """A whole text, masked; the stream is not touched."""
        if not (text and self._forms):
            return text
        mask = Mask(())
        mask._forms = self._forms
        content = text.encode("utf-8", "surrogateescape")
        return (mask.feed(content) + mask.flush()).decode("utf-8", "surrogateescape")

    def feed(self, chunk: bytes) -> bytes:
        """What can be shown by now: all but an end that may be the beginning of a secret."""
        if not self._forms:
            return chunk
        return self._show(self._held + chunk, hold=True)

    def flush(self) -> bytes:
        """What was held back, now that the stream is at its end."""
        if not self._held:
            return b""
        return self._show(self._held, hold=False)

    def _show(self, stream: bytes, *, hold: bool) -> bytes:
        # Positions are counted without line breaks, so that a form is found wherever its line was broken.
        flat = stream.translate(None, _BREAKS)
        kept_from = self._beginning(flat) if hold else len(flat)
        spans = self._spans(flat)
        if not spans:
            cut = _position(stream, flat, kept_from)
            self._held = stream[cut:]
            return stream[:cut]
        positions = [at for at, byte in enumerate(stream) if byte not in _BREAKS]
        positions.append(len(stream))
        shown, at, covered = [], 0, 0
        for start, end in spans:
            begun = start == 0 and self._covered > 0
            if start >= kept_from and not begun:
                break
            if not begun:
                shown += [stream[at : positions[start]], _MASKED]
            stop = positions[min(end, kept_from)]
            shown.append(_NO_BREAK.sub(b"", stream[positions[start] : stop]))
            at = stop
            covered = max(0, end - kept_from)
        cut = positions[kept_from]
        shown.append(stream[at:cut])
        self._held, self._covered = stream[cut:], covered
        return b"".join(shown)

    def _spans(self, flat: bytes) -> list[_Span]:
        """Every stretch that forms cover, in order; those that overlap are one."""
        found = [(0, self._covered)] if self._covered else []
        for form in self._forms:
            at = flat.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = flat.find(form, at + 1)
        spans: list[_Span] = []
        for start, end in sorted(found):
            if spans and start < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans

    def _beginning(self, flat: bytes) -> int:
        """From where on the end of `flat` may be the beginning of a form; its length when it is none."""
        earliest = len(flat)
        for form in self._forms:
            at = flat.find(form[:_SHORTEST], max(0, len(flat) - len(form) + 1))
            while 0 <= at < earliest:
                if form.startswith(flat[at:]):
                    earliest = at
                at = flat.find(form[:_SHORTEST], at + 1)
            for at in range(max(0, len(flat) - _SHORTEST + 1), earliest):
                if form.startswith(flat[at:]):
                    earliest = at
                    break
        return earliest


def lines_to_mask(secret: Secret) -> tuple[str, ...]:
    """The lines of a secret for a log that masks line by line; without those that would mask half of it."""
    lines = [line for line in re.split("[\r\n]+", secret.reveal()) if line.strip()]
    shortest = _SHORTEST if len(lines) == 1 else _SHORTEST_LINE
    return tuple(line for line in lines if len(line) >= shortest)


def _position(stream: bytes, flat: bytes, index: int) -> int:
    """Where in `stream` the byte stands that is at `index` without line breaks."""
    wanted = len(flat) - index
    if not wanted:
        return len(stream)
    at = len(stream) - wanted
    while missing := wanted - len(stream[at:].translate(None, _BREAKS)):
        at -= missing
    return at


def _forms(secret: str) -> Iterator[bytes]:
    """The ways in which a secret may be written, without line breaks."""
    lines = [line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE]
    for text in {secret, *lines}:
        written = {text, shlex.quote(text)[1:-1] if "'" in text else text}
        written |= {json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
        written |= {each.replace("/", "\\/") for each in written}
        in_url = {quote(text, safe=safe) for safe in ("", "/", "!'()*")} | {quote_plus(text)}
        written |= in_url | {re.sub("%..", lambda code: code[0].lower(), each) for each in in_url}
        encoded = {each.encode("utf-8", "surrogateescape") for each in written}
        encoded |= set(_base64_forms(text.encode("utf-8", "surrogateescape")))
        for form in encoded:
            flat = form.translate(None, _BREAKS)
            if len(flat) >= _SHORTEST and len(text) >= _SHORTEST:
                yield flat


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """A secret in base64, alone and as a part of something longer: what of it its neighbours leave alone."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret)
        for before in range(3):
            code = encode(b"\0" * before + secret)
            end = (before + len(secret)) * 8 // 6
            yield code[-(-before * 8 // 6) : end]
