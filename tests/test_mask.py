import base64
import json
import re
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.mask import Mask
from chargehand.secret import Secret

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*\r\n"), min_size=4, max_size=12)


def in_pieces(mask: Mask, stream: bytes, cuts: list[int]) -> bytes:
    edges = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    shown = b"".join(mask.feed(stream[a:b]) for a, b in pairwise(edges))
    return shown + mask.flush()


def lower_hex(text: str) -> str:
    return re.sub("%..", lambda code: code[0].lower(), quote(text))


@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda secret: json.dumps(secret)[1:-1],
        lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
        lambda secret: quote(secret, safe=""),
        quote_plus,
        lower_hex,
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    ],
    ids=["raw", "json", "json-utf8", "url", "form", "url-lower", "base64", "base64-url"],
)
@pytest.mark.parametrize("secret", ["hunter2-secret", 'pa$$ "wörd"', "a/b+c?d=e&f", "tab\there"])
def test_every_form_of_a_secret_is_masked(write, secret):
    assert Mask([Secret(secret)]).text(f"before {write(secret)} after") == "before *** after"


@pytest.mark.parametrize("before", ["", "u:", "us:", "user:"])
@pytest.mark.parametrize("after", ["", "!", "!!"])
def test_a_secret_inside_longer_base64_is_masked(before, after):
    code = base64.b64encode(f"{before}hunter2-secret{after}".encode()).decode()
    start, end, left = Mask([Secret("hunter2-secret")]).text(code).partition("***")
    assert end == "***"
    # What is left tells the neighbours, and at most the bits that share a character with them.
    assert len(start) <= -(-len(before) * 8 // 6)
    assert len(left) <= 4 + len(after)


def test_a_secret_that_a_terminal_broke_over_lines_is_masked():
    assert Mask([Secret("hunter2-secret")]).text("x hunter2\r\n-secret y") == "x ***\r\n y"


def test_a_secret_of_several_lines_is_masked_whole_and_line_by_line():
    key = "-----BEGIN-----\nabcdefgh\nijklmnop\n-----END-----"
    mask = Mask([Secret(key)])
    assert mask.text(f"<{key}>") == "<***\n\n\n>"
    assert mask.text("only ijklmnop here") == "only *** here"


def test_overlapping_secrets_are_masked_together():
    assert Mask([Secret("abcd"), Secret("cdef")]).text("1abcdef2") == "1***2"


def test_the_longer_of_two_secrets_wins_though_the_shorter_comes_first():
    mask = Mask([Secret("hunter"), Secret("hunter2-secret")])
    assert in_pieces(mask, b"hunter2-secret hunter2", [6, 9]) == b"*** ***2"


def test_secrets_too_short_to_tell_from_words_are_left():
    assert Mask([Secret("abc"), Secret("")]).text("abc") == "abc"


def test_output_that_cannot_begin_a_secret_is_shown_at_once():
    mask = Mask([Secret("hunter2-secret")])
    assert mask.feed(b"a line\n") == b"a line\n"
    assert mask.feed(b"a hun") == b"a "
    assert mask.feed(b"dred\n") == b"hundred\n"


def test_bytes_that_are_no_text_stay_as_they_are():
    mask = Mask([Secret("hunter2-secret")])
    assert mask.feed(b"\xff\xfe hunter2-secret \x00\x80") + mask.flush() == b"\xff\xfe *** \x00\x80"


def test_what_is_held_stays_small_however_long_a_masked_stretch_is():
    mask = Mask([Secret("aaaa")])
    shown = b"".join(mask.feed(b"a" * 1000) for _ in range(50))
    assert len(mask._held) < 4
    assert shown + mask.flush() == b"***"


@given(st.lists(SECRETS, min_size=1, max_size=3), st.data())
def test_any_split_into_chunks_masks_the_same_and_leaks_nothing(secrets, data):
    pieces = st.one_of(st.sampled_from(secrets), st.text("ab \n\r", max_size=4), SECRETS.map(lambda s: s[:3]))
    text = "".join(data.draw(st.lists(pieces, max_size=8)))
    cuts = data.draw(st.lists(st.integers(0, 80), max_size=8))
    hidden = [Secret(secret) for secret in secrets]
    stream = text.encode()
    shown = in_pieces(Mask(hidden), stream, cuts)
    assert shown == in_pieces(Mask(hidden), stream, [])
    left = shown.replace(b"\n", b"").replace(b"\r", b"").split(b"***")
    assert not [secret for secret in secrets for part in left if secret.encode() in part]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_output_without_a_secret_passes_unchanged(stream, cuts):
    assert in_pieces(Mask([Secret("hunter2-secret")]), stream, cuts) == stream
