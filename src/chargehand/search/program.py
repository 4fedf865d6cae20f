"""A tree of conditions laid out flat, so that asking it needs no recursion."""

from collections.abc import Callable
from typing import Final, Generic, NamedTuple

from chargehand.search.fields import R
from chargehand.search.tree import Condition, Node, Not

_YES: Final = -1
_NO: Final = -2


class Step(NamedTuple, Generic[R]):
    """One condition and the steps to go on with."""

    holds: Callable[[R], bool]
    if_true: int
    if_false: int


def lay_out(tree: Node, predicate: Callable[[Condition], Callable[[R], bool]]) -> Callable[[R], bool]:
    """Compile a tree into one predicate that asks no condition more than it must.

    Every node knows where to go on when it holds and when it does not; ``not`` swaps the two.

    Args:
        tree: Of any depth.
        predicate: Compiles one condition; called for every one, in the order of the query.
    """
    steps: dict[int, Step[R]] = {}
    waiting: list[tuple[Node, int, int, int]] = [(tree, 0, _YES, _NO)]
    labels = 1
    while waiting:
        node, label, if_true, if_false = waiting.pop()
        if isinstance(node, Condition):
            steps[label] = Step(predicate(node), if_true, if_false)
        elif isinstance(node, Not):
            waiting.append((node.child, label, if_false, if_true))
        elif not node.children:
            steps[label] = Step(lambda _: True, if_true, if_false)
        else:
            entries = [label, *range(labels, labels + len(node.children) - 1)]
            labels += len(node.children) - 1
            nexts = entries[1:]
            targets = (
                [(following, if_false) for following in nexts]
                if node.operator == "and"
                else [(if_true, following) for following in nexts]
            )
            children = zip(node.children, entries, [*targets, (if_true, if_false)], strict=True)
            waiting.extend(reversed([(child, entry, *goals) for child, entry, goals in children]))
    if len(steps) == 1 and steps[0].if_true == _YES:
        return steps[0].holds
    return _asked([steps[label] for label in range(labels)])


def _asked(steps: list[Step[R]]) -> Callable[[R], bool]:
    def matches(record: R) -> bool:
        at = 0
        while at >= 0:
            holds, if_true, if_false = steps[at]
            at = if_true if holds(record) else if_false
        return at == _YES

    return matches
