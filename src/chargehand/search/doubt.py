"""What was understood, but may not have been meant."""

from collections.abc import Sequence

from chargehand.errors import Problem
from chargehand.search.fields import FieldTable, R
from chargehand.search.query import Fault, Query
from chargehand.search.tree import Condition, Node, conditions


def doubts(query: Query, tree: Node, fields: FieldTable[R]) -> list[Problem]:
    """Warnings about words that mean something else in another language."""
    asked = list(conditions(tree))
    doubts = [_doubt(query, asked[at : at + 2], fields) for at in range(len(asked))]
    return [query.problem(doubt, severity="warning") for doubt in doubts if doubt is not None]


def _doubt(query: Query, asked: Sequence[Condition], fields: FieldTable[R]) -> Fault | None:
    first = asked[0]
    if first.operator != "text" or first.values[0].quoted:
        return None
    word = first.values[0].text
    if query.text.strip() == "all":
        message = "`all` is searched for as a text here; every host is `*`"
        return Fault(message, first.start, first.end, 'write `*`, or `"all"` for the text')
    field = fields.find(word)
    if field is None or field.kind == "boolean":
        return None
    if field.kind == "any" or _is_followed_by_a_word(query, asked):
        message = f"`{word}` is a field, but stands here as a text to search for"
        return Fault(
            message, first.start, first.end, f"write `{word} = value`, `{word} ^ (a, b)` or `has {word}`"
        )
    return None


def _is_followed_by_a_word(query: Query, asked: Sequence[Condition]) -> bool:
    first, *others = asked
    between = (
        query.text[first.end : others[0].start] if others and others[0].operator == "text" else "nothing"
    )
    return not between.strip()
