"""The tree a search query is read into."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.search.lexer import KEYWORDS

_BARE = expression(r"[\w.:/%*][\w.:/%*-]*")


@frozen(kw_only=False)
class Word:
    """A field name or a value, and where it stands; two words are equal when their texts are."""

    text: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)
    quoted: bool = dataclasses.field(default=False, compare=False)


@frozen(kw_only=False)
class Condition:
    """One question about one record.

    Attributes:
        operator: eq ne gt gte lt lte like unlike in notin notnull null, or ``text`` for a word alone.
        field: None asks the fields of free text.
        values: One, several for in and notin, none for notnull and null.
        start: Where it begins in the query.
        end: Just past its end.
    """

    operator: str
    field: Word | None = None
    values: tuple[Word, ...] = ()
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@frozen(kw_only=False)
class Not:
    """The exact complement of a node."""

    child: "Node"


@frozen(kw_only=False)
class Group:
    """All of, or any of, some nodes; all of none is everybody."""

    operator: Literal["and", "or"]
    children: tuple["Node", ...] = ()


Node: TypeAlias = Condition | Not | Group

_SPELLED = {
    "eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "~", "unlike": "!~",
    "in": "^", "notin": "!^", "notnull": "has", "null": "null?",
}  # fmt: skip


def group(operator: Literal["and", "or"], nodes: list[Node]) -> Node:
    """Join nodes: groups of the same operator flatten into one, a single node stays itself."""
    children: list[Node] = []
    for node in nodes:
        if isinstance(node, Group) and node.operator == operator:
            children.extend(node.children)
        else:
            children.append(node)
    return children[0] if len(children) == 1 else Group(operator, tuple(children))


def conditions(node: Node) -> Iterator[Condition]:
    """Every question of the tree, in the order of the query."""
    waiting: list[Node] = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Condition):
            yield node
        elif isinstance(node, Not):
            waiting.append(node.child)
        else:
            waiting.extend(reversed(node.children))


def notation(node: Node) -> str:
    """The tree in prefix form: ``(and (eq os Debian) (not (in name "a,b")))``."""
    written: list[str] = []
    waiting: list[Node | str] = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            written.append(item)
        elif isinstance(item, Condition):
            written.append(_condition_notation(item))
        elif isinstance(item, Not):
            waiting += [")", item.child, "(not "]
        else:
            waiting.append(")")
            for child in reversed(item.children):
                waiting += [child, " "]
            waiting.append(f"({item.operator}")
    return "".join(written)


def spelled(node: Node) -> str:
    """The tree as a query again, with parentheses around every inner group."""
    written: list[str] = []
    waiting = _parts(node) if isinstance(node, Group) else [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            written.append(item)
        elif isinstance(item, Condition):
            written.append(_condition_spelled(item))
        elif isinstance(item, Not):
            waiting += [item.child, "not "]
        else:
            waiting += [")", *_parts(item), "("]
    return "".join(written)


def _parts(node: Group) -> list[Node | str]:
    """The children with the operator between them, last first."""
    parts: list[Node | str] = []
    for child in reversed(node.children):
        parts += [child, f" {node.operator} "]
    return parts[:-1]


def _condition_notation(condition: Condition) -> str:
    if condition.operator == "text":
        return _plain(condition.values[0].text)
    names = [] if condition.field is None else [condition.field.text]
    if condition.operator not in ("in", "notin"):
        texts = [_plain(text) for text in (*names, *(word.text for word in condition.values))]
        return f"({' '.join([condition.operator, *texts])})"
    if names:
        members = ",".join(re.sub(r'([\\",])', r"\\\1", word.text) for word in condition.values)
        return f"({condition.operator} {_plain(names[0])}" + (f' "{members}")' if condition.values else ")")
    single, joined = ("eq", "or") if condition.operator == "in" else ("ne", "and")
    tests = [f"({single} {_plain(word.text)})" for word in condition.values]
    return tests[0] if len(tests) == 1 else f"({' '.join([joined, *tests])})"


def _condition_spelled(condition: Condition) -> str:
    values = [_value(word) for word in condition.values]
    if condition.operator == "text":
        return values[0]
    name = "" if condition.field is None else _value(condition.field)
    if condition.operator in ("notnull", "null"):
        return f"{_SPELLED[condition.operator]} {name}"
    written = f"({', '.join(values)})" if condition.operator in ("in", "notin") else values[0]
    return f"{name} {_SPELLED[condition.operator]} {written}".strip()


def _value(word: Word) -> str:
    bare = not word.quoted and _BARE.fullmatch(word.text) and word.text.lower() not in KEYWORDS
    return word.text if bare else _quoted(word.text)


def _plain(text: str) -> str:
    return _quoted(text) if not text or any(char.isspace() or char in '()"' for char in text) else text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
