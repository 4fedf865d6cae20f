"""Ansible's host patterns: ``web*:&debian:!web3``, ``db[0]``, ``~regex``."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from chargehand.errors import Place, Problem, SearchError, UnknownHostError, did_you_mean
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.inventory.address import is_host_pattern

LOCALHOSTS = ("localhost", "127.0.0.1", "::1")

_SUBSCRIPT = expression(r"(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]")
_TERM = expression(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_GLOB = frozenset("*?[")


@frozen(kw_only=False)
class Names:
    """The names a pattern chooses from, each in inventory order.

    Attributes:
        hosts: Names of all hosts.
        groups: Group to names of its hosts.
    """

    hosts: Mapping[str, object]
    groups: Mapping[str, tuple[str, ...]]


def match_names(pattern: str, names: Names) -> list[str]:
    """Names of the hosts that `pattern` chooses.

    Plain terms are united in the order written, then ``&term`` keeps what it also matches, then
    ``!term`` takes away. A word that names nothing is refused, where Ansible only warns: a
    misspelt ``!web3`` would run on the very host it means to spare. ``localhost`` and its
    addresses may be named without being in the inventory; ``@file`` holds one term a line.

    Raises:
        UnknownHostError: A word names nothing.
        SearchError: A term is no valid regular expression, or the pattern cannot be split.
    """
    terms = [word for term in split_pattern(pattern) for word in _open(term, pattern)]
    if not terms:
        raise SearchError(_problem("the host pattern is empty", pattern, "`all` is every host"))
    plain = [term for term in terms if term[0] not in "&!"] or ["all"]
    chosen: dict[str, None] = {}
    for term in plain:
        found = [term] if term in names.hosts else _match_term(term, names, pattern)
        chosen |= dict.fromkeys(found)
    for term in terms:
        if term[0] == "&":
            kept = set(_match_term(term[1:], names, pattern))
            chosen = {name: None for name in chosen if name in kept}
    for term in terms:
        if term[0] == "!":
            for name in _match_term(term[1:], names, pattern):
                chosen.pop(name, None)
    return list(chosen)


def split_pattern(pattern: str) -> list[str]:
    """Terms of a pattern: split at commas, or, where there is none and it is no address, at colons.

    Raises:
        SearchError: A bracket is not closed.
    """
    if "," in pattern:
        terms = pattern.split(",")
    elif is_host_pattern(pattern):
        terms = [pattern]
    elif _TERM.sub("", pattern).strip(" \t\n:"):
        raise SearchError(_problem("a bracket has no partner", pattern, None))
    else:
        terms = _TERM.findall(pattern)
    return [term.strip() for term in terms if term.strip()]


def _open(term: str, pattern: str) -> list[str]:
    """The term itself, or the terms that the lines of ``@file`` are."""
    if not term.startswith("@"):
        return [term]
    try:
        lines = [line.strip() for line in Path(term[1:]).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise SearchError(
            _problem(f"`{term[1:]}` cannot be read as a list of hosts", pattern, None)
        ) from error
    terms = [line for line in lines if line and not line.startswith("#")]
    if not terms:
        raise SearchError(_problem(f"`{term[1:]}` names no host", pattern, None))
    return terms


def _match_term(term: str, names: Names, pattern: str) -> Iterable[str]:
    if not term.strip("~"):
        raise SearchError(_problem("a term of the host pattern is empty", pattern, None))
    if term.startswith("~"):
        return _match_expression(term, names, pattern)
    expression, subscript = _split_subscript(term)
    found = list(dict.fromkeys(_match_expression(expression, names, pattern)))
    return found if subscript is None else found[subscript]


def _split_subscript(term: str) -> tuple[str, slice | None]:
    match = _SUBSCRIPT.fullmatch(term)
    if not match:
        return term, None
    expression, index, first, last = match.groups()
    if index:
        start = int(index)
        return expression, slice(start, start + 1 or None)
    return expression, slice(int(first), int(last) + 1 if last else None)


def _match_expression(expression: str, names: Names, pattern: str) -> Iterable[str]:
    matcher = _compile(expression, pattern)
    groups = [group for group in names.groups if matcher.match(group)]
    found = [host for group in groups for host in names.groups[group]]
    is_word = not expression.startswith("~") and not _GLOB.intersection(expression)
    if not groups or not is_word or "." in expression:
        found += [host for host in names.hosts if matcher.match(host)]
    if not found and not groups and is_word:
        if expression in LOCALHOSTS:
            return [next((name for name in LOCALHOSTS if name in names.hosts), expression)]
        raise UnknownHostError(
            _problem(
                f"`{expression}` is neither a host nor a group of the inventory",
                pattern,
                did_you_mean(expression, [*names.groups, *names.hosts]),
            )
        )
    return found


def _compile(expression: str, pattern: str) -> re.Pattern[str]:
    try:
        if expression.startswith("~"):
            return re.compile(expression[1:])
        return re.compile(fnmatch.translate(expression))
    except re.error as error:
        raise SearchError(
            _problem(f"`{expression}` is no valid regular expression: {error}", pattern, None)
        ) from error


def _problem(message: str, pattern: str, hint: str | None) -> Problem:
    return Problem(message, Place("<host pattern>", 1, None, pattern), hint, "pattern")
