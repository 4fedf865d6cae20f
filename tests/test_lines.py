"""Lines out of bytes that come in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from chargehand.report.lines import LINE_CHARACTERS, LineReader


@given(chunks=st.lists(st.binary(max_size=20), max_size=12))
def test_lines_are_the_same_however_the_bytes_were_cut(chunks):
    reader = LineReader()
    lines = [line for chunk in chunks for line in reader.feed(chunk)] + reader.flush()
    text = b"".join(chunks).decode("utf-8", "backslashreplace")
    assert lines == text.removesuffix("\n").split("\n") if text else lines == []


def test_a_line_without_an_end_is_handed_on_in_parts():
    reader = LineReader()
    parts = [part for _ in range(10) for part in reader.feed(b"x" * 1000)]
    assert [len(part) for part in parts] == [LINE_CHARACTERS] * 2
    assert [len(part) for part in reader.flush()] == [10_000 - 2 * LINE_CHARACTERS]
