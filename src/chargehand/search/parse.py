"""Reading a search query into its tree.

    query    = [ sequence ]
    sequence = chain { [","] chain } [","]            adjacency and comma: and, weakest
    chain    = term [ ("and" | "or") chain ]          one level of precedence, grouping to the right
    term     = "not" term | "(" sequence ")" | ("has" | "null?") field | test
    test     = field compare value | field ("^" | "!^") list | ("=" | "~") value | "^" bare | value
    list     = value | "(" [ value { [","] value } [","] ] ")"
    bare     = value { [","] value } | "(" ... ")"

Nothing here recurses, so that no query is too deep for it. Source: the grammar of scoped_search
4.3.0; what that parser guesses or drops is an error here.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from chargehand.errors import Problem
from chargehand.search.lexer import COMPARISONS, MEMBERSHIPS, Token, read_tokens
from chargehand.search.query import Fault, Query, QueryError
from chargehand.search.tree import Condition, Node, Not, Word, group

Junction = Literal["and", "or"]
_WITHOUT_FIELD = frozenset({"eq", "like", "in"})


class Reading(NamedTuple):
    """A query as read: its tree, and what its author may have meant otherwise."""

    tree: Node
    warnings: tuple[Problem, ...]


def parse(query: Query) -> Reading:
    """Read a query.

    Raises:
        QueryError: It is not of the grammar; says where, what was expected, and the fix.
    """
    return _Parser(query).read()


class _Level:
    """What was read since an opening parenthesis."""

    def __init__(self, opening: Token | None) -> None:
        self.opening = opening
        self.chains: list[Node] = []
        self.terms: list[Node] = []
        self.junctions: list[Token] = []
        self.nots: list[Token] = []
        self.comma: Token | None = None
        self.mixed: list[Token] = []

    def due_after(self) -> Token | None:
        """The symbol after which a term must follow, if one must."""
        if self.nots:
            return self.nots[-1]
        return self.junctions[-1] if self.junctions and len(self.junctions) == len(self.terms) else None

    def add(self, term: Node) -> None:
        for _ in self.nots:
            term = Not(term)
        self.nots = []
        self.comma = None
        if len(self.junctions) < len(self.terms):
            self.end_chain()
        self.terms.append(term)

    def end_chain(self) -> None:
        """Close the chain of terms joined by written and / or; what follows is joined more weakly."""
        kinds = [_junction(token) for token in self.junctions]
        if "and" in kinds and "or" in kinds[kinds.index("and") :]:
            self.mixed.append(self.junctions[kinds.index("or", kinds.index("and"))])
        if self.terms:
            self.chains.append(_chained(self.terms, kinds))
        self.terms, self.junctions = [], []

    def is_empty(self) -> bool:
        return not self.chains and not self.terms

    def node(self) -> Node:
        self.end_chain()
        return group("and", self.chains)


class _Parser:
    def __init__(self, query: Query) -> None:
        self.query = query
        self.tokens = read_tokens(query)
        self.at = 0
        self.levels = [_Level(None)]
        self.warnings: list[Problem] = []

    def read(self) -> Reading:
        while (token := self.peek()) is not None:
            level = self.levels[-1]
            if token.kind == "(":
                self.open(token)
            elif token.kind == ")":
                self.close(token)
            elif token.kind == ",":
                self.separate(token)
            elif token.kind in ("and", "or"):
                self.join(token)
            elif token.kind == "not":
                level.nots.append(self.take())
            else:
                level.add(self.term())
        self.check_nothing_is_due(None)
        unclosed = self.levels[-1].opening
        if unclosed is not None:
            raise self.refused(unclosed, "this parenthesis is never closed", "close it with `)`")
        return Reading(self.end_level(), tuple(self.warnings))

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def refused(self, token: Token, message: str, hint: str | None = None) -> QueryError:
        return QueryError(self.query, [Fault(message, token.start, token.end, hint)])

    def refused_after(self, token: Token, message: str, hint: str | None = None) -> QueryError:
        return QueryError(self.query, [Fault(message, token.end, token.end, hint)])

    def open(self, token: Token) -> None:
        self.take()
        self.levels.append(_Level(token))

    def close(self, token: Token) -> None:
        opening = self.levels[-1].opening
        if opening is None:
            raise self.refused(
                token, "closing parenthesis without an opening one", "quote it if it belongs to a text"
            )
        self.check_nothing_is_due(token)
        if self.levels[-1].is_empty():
            raise self.refused(opening, "nothing stands between these parentheses")
        self.take()
        node = self.end_level()
        self.levels[-1].add(node)
        following = self.peek()
        if following is not None and following.kind in COMPARISONS | MEMBERSHIPS:
            raise self.refused(
                following, f"a group is no field: `{following.text}` needs a field name before it"
            )

    def end_level(self) -> Node:
        level = self.levels.pop()
        node = level.node()
        for token in level.mixed:
            message = "`a and b or c` means `a and (b or c)` here"
            fault = Fault(message, token.start, token.end, "write the parentheses you mean")
            self.warnings.append(self.query.problem(fault, severity="warning"))
        return node

    def separate(self, token: Token) -> None:
        level = self.levels[-1]
        self.check_nothing_is_due(token)
        if level.comma is not None or level.is_empty():
            raise self.refused(token, "nothing stands before this comma")
        level.end_chain()
        level.comma = self.take()

    def join(self, token: Token) -> None:
        level = self.levels[-1]
        self.check_nothing_is_due(token)
        if level.comma is not None:
            raise self.refused(
                token, f"`{token.text}` after a comma: a comma alone means and", "remove one of them"
            )
        if level.is_empty():
            raise self.refused(
                token, f"nothing stands before `{token.text}`", f'quote it if it is a text: "{token.text}"'
            )
        level.junctions.append(self.take())

    def check_nothing_is_due(self, token: Token | None) -> None:
        due = self.levels[-1].due_after()
        if due is None:
            return
        hint = f'quote it if it is a text: "{due.text}"' if due.is_keyword else None
        if token:
            raise self.refused(token, f"expected a term after `{due.text}`, found `{token.text}`", hint)
        raise self.refused_after(due, f"expected a term after `{due.text}`", hint)

    def term(self) -> Condition:
        """One condition: everything that is no parenthesis, comma, and, or, not."""
        token = self.take()
        if token.kind in ("notnull", "null"):
            return self.presence(token)
        if token.kind != "word":
            return self.test(None, token)
        following = self.peek()
        if following is not None and following.kind in COMPARISONS | MEMBERSHIPS:
            return self.test(token, self.take())
        return Condition("text", None, (_word(token),), token.start, token.end)

    def presence(self, operator: Token) -> Condition:
        field = self.peek()
        if field is None:
            raise self.refused_after(operator, f"expected a field name after `{operator.text}`")
        if field.kind != "word":
            raise self.refused(field, f"expected a field name after `{operator.text}`, found `{field.text}`")
        self.take()
        return Condition(operator.kind, _word(field), (), operator.start, field.end)

    def test(self, field: Token | None, operator: Token) -> Condition:
        if field is None and operator.kind not in _WITHOUT_FIELD:
            negative = operator.kind in ("ne", "unlike", "notin")
            hint = "`not text` is every host a text does not match" if negative else "name a field"
            raise self.refused(operator, f"`{operator.text}` needs a field name before it", hint)
        several = operator.kind in MEMBERSHIPS
        values = self.members(field, operator) if several else [self.value(operator)]
        start = (field or operator).start
        end = self.tokens[self.at - 1].end
        return Condition(operator.kind, _word(field) if field else None, tuple(values), start, end)

    def value(self, after: Token) -> Word:
        """One value; also a negative number, which begins with the sign of negation."""
        token = self.peek()
        if token is None:
            raise self.refused_after(
                after, f"expected a value after `{after.text}`", 'the empty text is written ""'
            )
        self.take()
        if token.kind == "word":
            self.check_end_of(token)
            return _word(token)
        number = self.peek()
        if number is not None and token.text == "-" and _is_digits_after(token, number):
            self.take()
            self.check_end_of(number)
            return Word("-" + number.text, token.start, number.end)
        raise self.refused_as_value(token, after)

    def refused_as_value(self, token: Token, after: Token) -> QueryError:
        message = f"expected a value after `{after.text}`, found `{token.text}`"
        if token.is_keyword:
            return self.refused(token, f"{message}, which is a keyword", f'quote it: "{token.text}"')
        if token.kind == "(" and after.kind in COMPARISONS:
            list_operator = "!^" if after.kind in ("ne", "unlike") else "^"
            hint = f"for a list use `{list_operator}`: field {list_operator} (a, b)"
            return self.refused(token, f"`{after.text}` takes one value", hint)
        return self.refused(token, message, "quote it if it is a text")

    def check_end_of(self, value: Token) -> None:
        """Refuse ``!`` and ``^`` inside a value; after a field name they are operators."""
        token = self.peek()
        if token is not None and token.start == value.end and token.text[0] in "!^":
            hint = f'quote it: "{value.text}{token.text}..."'
            raise self.refused(token, f"a word that holds `{token.text[0]}` must be quoted", hint)

    def members(self, field: Token | None, operator: Token) -> list[Word]:
        opening = self.peek()
        if opening is not None and opening.kind == "(":
            self.take()
            return self.listed(opening)
        values = [self.value(operator)]
        while field is None and self.is_plain_value(self.at + self.is_comma(self.at)):
            self.at += self.is_comma(self.at)
            values.append(self.value(operator))
        return values

    def listed(self, opening: Token) -> list[Word]:
        values: list[Word] = []
        before = opening
        while (token := self.peek()) is not None:
            if token.kind == ")":
                self.take()
                return values
            if token.kind == ",":
                if before.kind != "word":
                    raise self.refused(token, "nothing stands before this comma in the list")
                before = self.take()
                continue
            if token.kind != "word" and token.text != "-":
                raise self.refused(
                    token, f"a list holds values only, found `{token.text}`", f'quote it: "{token.text}"'
                )
            values.append(self.value(before))
            before = self.tokens[self.at - 1]
        raise self.refused(opening, "the parenthesis of this list is never closed", "close it with `)`")

    def is_comma(self, at: int) -> bool:
        return at < len(self.tokens) and self.tokens[at].kind == ","

    def is_plain_value(self, at: int) -> bool:
        """Whether a word stands at `at` that is not the field of a further condition."""
        if at >= len(self.tokens) or self.tokens[at].kind != "word":
            return False
        return at + 1 == len(self.tokens) or self.tokens[at + 1].kind not in COMPARISONS | MEMBERSHIPS


def _chained(terms: Sequence[Node], junctions: Sequence[Junction]) -> Node:
    """Group ``a and b or c`` to the right; a run of one junction becomes one group."""
    run = [terms[-1]]
    for place in range(len(junctions) - 1, -1, -1):
        run.append(terms[place])
        if place == 0 or junctions[place - 1] != junctions[place]:
            run = [group(junctions[place], run[::-1])]
    return run[0]


def _junction(token: Token) -> Junction:
    return "and" if token.kind == "and" else "or"


def _word(token: Token) -> Word:
    return Word(token.text, token.start, token.end, token.quoted)


def _is_digits_after(sign: Token, token: Token) -> bool:
    return not token.quoted and token.start == sign.end and token.text[:1].isdigit()
