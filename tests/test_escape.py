"""Nothing a host says is obeyed by a terminal."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chargehand.report.escape import escape, escape_bytes, escape_json, escape_line

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def obeyed(char: str) -> bool:
    """Whether a terminal may do something else than show `char`, by Unicode's own tables."""
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(char) in BIDI


@given(st.text(st.characters()))
@example("\x1b]52;c;ZXZpbA==\x07")
@example("\x9b31m")
@example("safe\u202egnp.exe")
@example("50 %\r100 %")
@example("\ud800")
def test_no_character_a_terminal_obeys_passes(text):
    assert not [char for char in escape(text) if obeyed(char) and char not in "\n\t"]
    assert not [char for char in escape_line(text) if obeyed(char)]


@given(st.text(st.characters()))
@example("\x9b31m\x7f\u202e")
def test_json_means_the_same_and_no_terminal_obeys_it(text):
    safe = escape_json(json.dumps({text: [text]}, indent=2, ensure_ascii=False))
    assert json.loads(safe) == {text: [text]}
    assert not [char for char in safe if obeyed(char) and char != "\n"]
    safe.encode("utf-8")


@given(st.binary())
def test_no_byte_of_a_control_sequence_passes(chunk):
    safe = escape_bytes(chunk)
    assert not [char for char in safe if obeyed(char) and char not in "\n\t"]
    safe.encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"])))
def test_text_without_controls_stays_as_it_is(text):
    assert escape(text) == escape_line(text) == text


@pytest.mark.parametrize("code", [code for code in range(256) if code not in (0x09, 0x0A)])
def test_each_of_256_bytes_on_its_own_is_harmless(code):
    assert all(char.isprintable() for char in escape_bytes(bytes([code])))


def test_what_is_escaped_can_be_read():
    assert escape("a\x1b[2J\r\n\tb\u202e") == "a\\x1b[2J\\r\n\tb\\u202e"
    assert escape_line("a\n\tb") == "a\\n\\tb"
    assert escape_bytes(b"caf\xc3\xa9 \xff") == "café \\xff"
