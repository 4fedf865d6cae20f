"""From text to a tree of nodes: every value with its place and its source text.

The parser's events are taken one by one and the tree is grown on a stack of our own: no input, however
deep, meets the recursion of a parser written in C, and every limit holds before memory is spent.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Never, cast

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from chargehand.document.dialect import Dialect, Limits, MeaninglessError, tag_name
from chargehand.document.source import PROBLEMS_SHOWN, Source
from chargehand.errors import DocumentError, Place, Problem, did_you_mean
from chargehand.expression import expression

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_MERGE = "<<"
_JSON_TEXT_OR_TAB = expression(r'("(?:[^"\\]|\\.)*")|\t')
_SURROGATE_PAIR_OR_ESCAPE = expression(r"\\u([dD][89abAB]\w\w)\\u([dD][c-fC-F]\w\w)|\\.")
_HINTS = (
    (expression("cannot start any token"), "indent with spaces, and quote text that begins with @ ` or %"),
    (expression("mapping values are not allowed"), "check the indentation, or quote text that contains `: `"),
    (expression("expected ':'"), "a key needs a colon and a space after it"),
    (expression("block (end|mapping|sequence|collection)"), "check the indentation"),
    (expression("end of stream"), "a quote or a bracket is opened and never closed"),
    (expression("flow (mapping|sequence)"), "check the commas and brackets"),
)


@dataclass(slots=True, eq=False)
class Node:
    """A value and where it stands.

    Attributes:
        value: As plain data.
        line: From 1.
        column: From 1, in code points.
        size: How many values it holds, itself included, aliases written out.
    """

    value: object
    line: int
    column: int
    size: int = 1


@dataclass(slots=True, eq=False)
class Leaf(Node):
    """A scalar: `written` is its text as its author wrote it, without quotes."""

    written: str = ""
    plain: bool = False


@dataclass(slots=True, eq=False)
class Branch(Node):
    """A mapping or a list; `children` by key or index, `keys` holds the nodes of a mapping's keys."""

    children: dict[object, Node] = field(default_factory=dict)
    keys: dict[object, Node] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Frame:
    """A branch that is still growing."""

    branch: Branch
    anchor: str | None
    key: Node | None = None
    merged: list[Branch] = field(default_factory=list)


def grow(source: Source, dialect: Dialect, limits: Limits) -> tuple[Node, list[Problem]]:
    """The tree of a text, and what it is warned of.

    Raises:
        DocumentError: With everything that is wrong with it.
    """
    grower = _Grower(source, dialect, limits)
    grower.grow()
    return grower.root or Leaf(None, 1, 1), grower.warnings


class _Grower:
    def __init__(self, source: Source, dialect: Dialect, limits: Limits) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._source = source
        self._dialect = dialect
        self._mean = dialect.mean
        self._limits = limits
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._aliased = 0
        self._documents = 0

    def grow(self) -> None:
        try:
            parser = _LOADER(_without_json_oddities(self._source.text))
            try:
                self._take_all(parser.get_event)
            finally:
                parser.dispose()
        except yaml.MarkedYAMLError as error:
            problem = self._syntax_problem(error)
            if "nesting depth" in str(error.problem):  # a parser that looks ahead has a limit of its own
                self._refuse_depth(problem.place or Place(self._source.file))
            raise DocumentError([*self.problems, problem]) from None
        except yaml.YAMLError:
            self._refuse(f"not valid {self._dialect.name}", Place(self._source.file), rule="syntax")
        if self.problems:
            raise DocumentError(self.problems)

    def _take_all(self, next_event: Callable[[], Event | None]) -> None:
        takers: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._take_scalar,
            SequenceStartEvent: self._open,
            MappingStartEvent: self._open,
            SequenceEndEvent: self._close,
            MappingEndEvent: self._close,
            AliasEvent: self._take_alias,
            DocumentStartEvent: self._begin,
        }
        while (kind := type(event := next_event())) is not StreamEndEvent:
            if (take := takers.get(kind)) is not None:
                take(event)

    def _begin(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse("a second document begins", self._place(event), "one file, one document")

    def _take_alias(self, event: AliasEvent) -> None:
        self._add(self._find_alias(event))

    def _take_scalar(self, event: ScalarEvent) -> None:
        text, plain = event.value, event.implicit[0]
        mark: Any = event.start_mark
        try:
            value = self._mean(text, event.tag, plain)
        except MeaninglessError as error:
            value = None
            self._complain(str(error), self._place(event))
        leaf = Leaf(value, mark.line + 1, mark.column + 1, 1, text, plain)
        if event.anchor is not None:
            self._anchors[event.anchor] = leaf
        self._add(leaf)

    def _open(self, event: CollectionStartEvent) -> None:
        if len(self._stack) >= self._limits.depth:
            self._refuse_depth(self._place(event))
        if event.tag is not None and event.tag not in self._dialect.collection_tags:
            self._complain(f"the tag {tag_name(event.tag)} is not allowed here", self._place(event))
        empty: dict[object, object] | list[object] = {} if isinstance(event, MappingStartEvent) else []
        self._stack.append(_Frame(Branch(empty, *_start(event)), event.anchor))

    def _close(self, _event: CollectionEndEvent) -> None:
        frame = self._stack.pop()
        if frame.merged:
            _merge(frame.branch, frame.merged)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = frame.branch
        self._add(frame.branch)

    def _find_alias(self, event: AliasEvent) -> Node:
        name = str(event.anchor)
        if any(frame.anchor == name for frame in self._stack):
            self._refuse(f"the alias `*{name}` stands inside what it refers to", self._place(event))
        if name not in self._anchors:
            hint = did_you_mean(name, self._anchors)
            self._refuse(f"nothing before this place is called `&{name}`", self._place(event), hint)
        node = self._anchors[name]
        self._aliased += node.size
        if self._aliased > self._limits.aliased:
            message = f"aliases stand for more than {self._limits.aliased} values"
            self._refuse(message, self._place(event), "write the values out", rule="limit")
        return node

    def _add(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        branch = frame.branch
        branch.size += node.size
        value = branch.value
        if isinstance(value, list):
            branch.children[len(value)] = node
            value.append(node.value)
        elif (key := frame.key) is None:
            frame.key = node
        else:
            frame.key = None
            if key.value == _MERGE and isinstance(key, Leaf) and key.plain:
                self._take_merge(frame, key, node)
            elif self._check_key(branch, key):
                _put(branch, key, node)

    def _take_merge(self, frame: _Frame, key: Node, node: Node) -> None:
        if self._dialect.strict:
            self._complain("merge keys are not part of YAML 1.2", self._place(key), "write the keys out")
            return
        # Of several in a list the first wins, so it is laid on last.
        wanted = [node]
        if isinstance(node, Branch) and isinstance(node.value, list):
            wanted = list(reversed(node.children.values()))
        sources = [
            source for source in wanted if isinstance(source, Branch) and isinstance(source.value, dict)
        ]
        frame.merged.extend(sources)
        if len(sources) < len(wanted):
            self._complain("only a mapping, or a list of mappings, can be merged", self._place(node))

    def _check_key(self, branch: Branch, key: Node) -> bool:
        if isinstance(key, Branch) or (self._dialect.strict and not isinstance(key.value, str)):
            self._complain("a key must be text", self._place(key), "put it in quotes")
            return False
        if (first := branch.keys.get(key.value)) is None:
            return True
        message = f"the key `{_shown(key)}` is written twice, first in line {first.line}"
        if self._dialect.strict:
            self._complain(message, self._place(key), "keep one of them", rule="duplicate-key")
            return False
        self.warnings.append(
            Problem(message, self._place(key), "the last one counts", "duplicate-key", "warning")
        )
        return True

    def _syntax_problem(self, error: yaml.MarkedYAMLError) -> Problem:
        message = " ".join(filter(None, (error.context, error.problem)))
        # At the end of the text only the beginning of what is not finished says something.
        end = len(self._source.text.rstrip())
        marks = [mark for mark in (error.problem_mark, error.context_mark) if mark and mark.index < end]
        place = (
            self._source.place(marks[0].line + 1, marks[0].column + 1)
            if marks
            else self._source.place_at(end)
        )
        hint = next((hint for pattern, hint in _HINTS if pattern.search(message)), None)
        return Problem(f"not valid {self._dialect.name}: {message}", place, hint, "syntax")

    def _complain(self, message: str, place: Place, hint: str | None = None, rule: str = "yaml") -> None:
        self.problems.append(Problem(message, place, hint, rule))
        if len(self.problems) == PROBLEMS_SHOWN:
            self._refuse("too much is wrong with this file; the rest is not told", place)

    def _refuse(self, message: str, place: Place, hint: str | None = None, rule: str = "yaml") -> Never:
        raise DocumentError([*self.problems, Problem(message, place, hint, rule)])

    def _refuse_depth(self, place: Place) -> Never:
        self._refuse(f"more than {self._limits.depth} levels of nesting", place, rule="limit")

    def _place(self, spot: Event | Node) -> Place:
        line, column = (spot.line, spot.column) if isinstance(spot, Node) else _start(spot)
        return self._source.place(line, column)


def _start(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _put(branch: Branch, key: Node, node: Node) -> None:
    name, entries = key.value, branch.value
    entries[name] = node.value  # type: ignore[index]  # of a mapping
    branch.children[name] = node
    branch.keys[name] = key


def _merge(branch: Branch, merged: list[Branch]) -> None:
    """Lay the branch's own keys over those it merges; like PyYAML, the merged ones come first."""
    own = [(branch.keys[key], branch.children[key]) for key in branch.keys]
    for entries in (cast("dict[object, object]", branch.value), branch.children, branch.keys):
        entries.clear()
    for source in merged:
        for key in source.keys:
            _put(branch, source.keys[key], source.children[key])
    for key_node, node in own:
        _put(branch, key_node, node)


def _shown(key: Node) -> str:
    return str(key.value)[:60]


def _without_json_oddities(text: str) -> str:
    r"""Rewrite what JSON allows and YAML's parser does not: tabs between values, ``\ud83d\ude00``."""
    if not re.search(r"\t|\\u[dD]", text):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    spaced = _JSON_TEXT_OR_TAB.sub(lambda found: found[1] or " ", text)
    return _SURROGATE_PAIR_OR_ESCAPE.sub(_joined, spaced)


def _joined(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[0]
    high, low = int(found[1], 16), int(found[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"
