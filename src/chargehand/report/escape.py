r"""Escape: text from hosts made safe for a terminal.

What moves the cursor, changes a title, writes a clipboard or turns text around is shown, not obeyed:
``\x1b``, ``\u202e``. Source: the C0 and C1 control sets of ECMA-48, the explicit formatting characters
of Unicode's bidirectional algorithm (UAX 9), and line and paragraph separators, which some terminals obey.
"""

from functools import cache

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SEPARATORS = [0x2028, 0x2029]
_SURROGATES = range(0xD800, 0xE000)
_OBEYED = {*_CONTROLS, *_BIDI, *_SEPARATORS, *_SURROGATES}
_KEPT = {ord("\n"), ord("\t")}


def _shown(code: int) -> str:
    if code == ord("\r"):
        return r"\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@cache
def _table() -> dict[int, str]:
    return {code: _shown(code) for code in _OBEYED - _KEPT}


@cache
def _line_table() -> dict[int, str]:
    return {**_table(), ord("\n"): r"\n", ord("\t"): r"\t"}


@cache
def _json_table() -> dict[int, str]:
    return {code: f"\\u{code:04x}" for code in _OBEYED if code >= 0x20}


def escape(text: str) -> str:
    """`text` with nothing in it that a terminal obeys but new lines and tabs."""
    return text if text.isprintable() else text.translate(_table())


def escape_line(text: str) -> str:
    """`text` as one line: new lines and tabs are shown as well."""
    return text if text.isprintable() else text.translate(_line_table())


def escape_json(text: str) -> str:
    """JSON text that means the same, with what a terminal or GitHub's runner obeys in JSON's own escape."""
    return text.translate(_json_table()).replace("##[", "#\\u0023[")


def escape_bytes(chunk: bytes) -> str:
    r"""Bytes as safe text; what is no UTF-8 is shown as ``\xNN``."""
    return escape(chunk.decode("utf-8", "backslashreplace"))
