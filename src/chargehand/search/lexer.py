"""The words and symbols of a search query.

Source: the tokenizer of scoped_search 4.3.0 as specified in Foreman's query syntax, with these
differences: quotes must be closed, ``!=``, ``!~``, ``!^`` and ``^`` end a word, single quotes are refused.
"""

import re
from typing import Final

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.search.query import Fault, Query, QueryError

OPERATORS: Final = {
    "=": "eq", "==": "eq", "!=": "ne", "<>": "ne", ">": "gt", "<": "lt", ">=": "gte", "<=": "lte",
    "~": "like", "!~": "unlike", "^": "in", "!^": "notin",
    "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "-": "not",
}  # fmt: skip
KEYWORDS: Final = {
    "and": "and", "or": "or", "not": "not", "has": "notnull", "set?": "notnull", "null?": "null",
    "at": "eq", "after": "gt", "before": "lt",
}  # fmt: skip
COMPARISONS: Final = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "like", "unlike"})
MEMBERSHIPS: Final = frozenset({"in", "notin"})

_BLANK = expression(r"[ \t\r\n\v\f]+")
_OPERATOR = expression(r"==|!=|<>|>=|<=|!~|!\^|&&|\|\||[&|=<>^!~\-]")
_QUOTED = expression(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = expression(r"[^ \t\r\n\v\f=~<>&|(),!^]+")
_WRONG_QUOTES = "'‘’“”„`"  # noqa: RUF001 - the look-alikes are what is looked for
_ANSIBLE_HINT = "this is an Ansible pattern: give it with `-l`, or write `name ~ web* and hostgroup = prod`"


@frozen(kw_only=False)
class Token:
    """One word or symbol.

    Attributes:
        kind: ``word``, ``(``, ``)``, ``,`` or the name of an operator: eq, ne, and, notnull, ...
        text: A word without its quotes and escapes, a symbol as written.
        start: First code point, from 0.
        end: Just past the last one.
        quoted: Whether a word stood in quotes.
    """

    kind: str
    text: str
    start: int
    end: int
    quoted: bool = False

    @property
    def is_keyword(self) -> bool:
        """Whether this operator is spelled with letters."""
        return self.kind != "word" and self.text[0].isalpha()


def read_tokens(query: Query) -> list[Token]:
    """Split a query into its words and symbols.

    Raises:
        QueryError: A quote is never closed, or a word holds a character that must be quoted.
    """
    text, at = query.text, 0
    tokens: list[Token] = []
    while at < len(text):
        blank = _BLANK.match(text, at)
        if blank:
            at = blank.end()
            continue
        token = _token_at(query, at)
        _check_neighbour(query, tokens[-1] if tokens else None, token)
        tokens.append(token)
        at = token.end
    return tokens


def _token_at(query: Query, at: int) -> Token:
    text, char = query.text, query.text[at]
    if char in "(),":
        return Token(char, char, at, at + 1)
    if char == '"':
        return _quoted_at(query, at)
    if char in _WRONG_QUOTES:
        hint = 'write text with blanks in double quotes: "two words"'
        raise QueryError(query, [Fault(f"`{char}` does not quote anything here", at, at + 1, hint)])
    operator = _OPERATOR.match(text, at)
    if operator:
        return Token(OPERATORS[operator[0]], operator[0], at, operator.end())
    word = _WORD.match(text, at)
    end = word.end() if word else at + 1
    written = text[at:end]
    return Token(KEYWORDS.get(written.lower(), "word"), written, at, end)


def _quoted_at(query: Query, at: int) -> Token:
    quoted = _QUOTED.match(query.text, at)
    if quoted is None:
        fault = Fault(
            "this quote is never closed", at, at + 1, 'end the text with `"`; inside it write `\\"`'
        )
        raise QueryError(query, [fault])
    return Token("word", re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), at, quoted.end(), quoted=True)


def _check_neighbour(query: Query, before: Token | None, token: Token) -> None:
    """Refuse a bare word that runs straight into ``!`` or, in Ansible's manner, ``:&``."""
    if before is None or before.kind != "word" or before.quoted or before.end != token.start:
        return
    if token.text in ("!", "&") and before.text.endswith(":"):
        raise QueryError(
            query, [Fault("`:&` and `:!` are not understood", before.end - 1, token.end, _ANSIBLE_HINT)]
        )
    if token.text == "!":
        hint = f'quote it: "{before.text}!..."'
        raise QueryError(
            query, [Fault("a word that holds `!` must be quoted", before.start, token.end, hint)]
        )
