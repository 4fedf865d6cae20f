"""Tracked: the table ``[git]`` of the settings, which names the repository that is tracked and its policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chargehand.errors import InvalidError, Place, Problem, did_you_mean
from chargehand.expression import expression
from chargehand.push import check_pattern
from chargehand.remote import SCHEMES, Remote, SignerRule, is_branch, is_path, refuse_url

_RULE: Final = "settings"
_COMMIT: Final = expression(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_USER: Final = expression(r"[!-~]{1,100}\Z")

_Check = tuple[str, Callable[[Any], bool]]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_seconds(value: object, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= 86400


_TEXT: Final[_Check] = ("a text", _is_text)
_TEXTS: Final[_Check] = ("a list of texts", _is_texts)
_REFERENCE: Final[_Check] = (
    'a secret reference such as { env = "NAME" }',
    lambda value: isinstance(value, dict) and "prompt" not in value,
)
_CHECKS: Final[Mapping[str, _Check]] = {
    "url": ("the URL of a repository", lambda value: isinstance(value, str)),
    "branch": ("the name of a branch", lambda value: isinstance(value, str) and is_branch(value)),
    "path": ("a folder of the repository", lambda value: isinstance(value, str) and is_path(value)),
    "interval": ("seconds, 5 to 86400", lambda value: _is_seconds(value, 5)),
    "timeout": ("seconds, 1 to 86400", lambda value: _is_seconds(value, 1)),
    "protocols": (
        "a list of " + ", ".join(f'"{scheme}"' for scheme in SCHEMES),
        lambda value: _is_texts(value) and all(each in SCHEMES for each in value),
    ),
    "user": ("a user's name", lambda value: isinstance(value, str) and bool(_USER.match(value))),
    "token": _REFERENCE,
    "private_key_file": _TEXT,
    "private_key": _REFERENCE,
    "force_push": ('"refuse" or "allow"', lambda value: value in ("refuse", "allow")),
    "suspended": ("true or false", lambda value: isinstance(value, bool)),
    "notify": _TEXTS,
    "require": ('"head" or "every-commit"', lambda value: value in ("head", "every-commit")),
    "allowed_signers": _TEXT,
    "gpg_keys": _TEXTS,
    "since": (
        "the full name of a commit",
        lambda value: isinstance(value, str) and bool(_COMMIT.match(value)),
    ),
    "signers": (
        "a list of tables [[git.signers]]",
        lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
    ),
}
_RULE_CHECKS: Final[Mapping[str, _Check]] = {"paths": _TEXTS, "who": _TEXTS}


def read_remote(table: Mapping[str, Any], place: Place) -> tuple[Remote | None, list[Problem]]:
    """The repository that a table names, or everything that is wrong with the table.

    Args:
        table: As the settings have it.
        place: Where it stands.
    """
    place = replace(place, source=None)
    problems = _check(table, _CHECKS, "git", place)
    problems += [
        problem
        for rule in (table.get("signers") if isinstance(table.get("signers"), list) else None) or ()
        if isinstance(rule, dict)
        for problem in _check(rule, _RULE_CHECKS, "git.signers", place, every=True)
    ]
    if not problems:
        problems = list(_check_together(table, place))
    if problems:
        return None, problems
    fixed = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    rules = tuple(
        SignerRule(paths=tuple(rule["paths"]), who=tuple(rule["who"])) for rule in table.get("signers", ())
    )
    keyed = "allowed_signers" in table or "gpg_keys" in table
    require = table.get("require", "every-commit" if keyed else None)
    return Remote(**{**fixed, "signers": rules, "require": require}), []


def _check(
    table: Mapping[str, Any],
    checks: Mapping[str, _Check],
    name: str,
    place: Place,
    *,
    every: bool = False,
) -> list[Problem]:
    problems = []
    for key in table:
        if key not in checks:
            hint = did_you_mean(key, checks) or "see docs/git.md"
            problems.append(Problem(f"unknown setting `{name}.{key}`", place, hint, _RULE))
        elif not checks[key][1](table[key]):
            problems.append(Problem(f"`{name}.{key}` must be {checks[key][0]}", place, rule=_RULE))
    lacking = [key for key in (checks if every else ("url",) if name == "git" else ()) if key not in table]
    return problems + [Problem(f"`{name}.{key}` is missing", place, rule=_RULE) for key in lacking]


def _check_together(table: Mapping[str, Any], place: Place) -> Sequence[Problem]:
    """What does not go together."""
    protocols = tuple(table.get("protocols", Remote.__dataclass_fields__["protocols"].default))
    wrong, hint = refuse_url(table["url"], protocols)
    if wrong:
        return [Problem(f"`git.url`: {wrong}", place, hint, _RULE)]
    remote = Remote(url=table["url"])
    found = []
    if "token" in table and remote.scheme != "https":
        found.append("`git.token` is for https")
    if ("private_key" in table or "private_key_file" in table) and remote.scheme != "ssh":
        found.append("`git.private_key` is for ssh")
    if "private_key" in table and "private_key_file" in table:
        found.append("`git.private_key` and `git.private_key_file` name one key each: leave one out")
    keyed = "allowed_signers" in table or "gpg_keys" in table
    found += [
        f"`git.{key}` needs keys: set `git.allowed_signers` or `git.gpg_keys`"
        for key in ("require", "signers", "since")
        if key in table and not keyed
    ]
    patterns = [pattern for rule in table.get("signers", ()) for pattern in enumerate(rule["paths"])]
    return [Problem(message, place, rule=_RULE) for message in found] + [
        replace(problem, place=place) for number, each in patterns for problem in _pattern(each, number)
    ]


def _pattern(pattern: str, number: int) -> Sequence[Problem]:
    """What is wrong with a pattern of paths."""
    try:
        check_pattern(pattern, first=not number)
    except InvalidError as error:
        return error.problems
    return ()
