"""Pushes: which branches of which repository a body says were pushed, and to which commits."""

import json
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qs

from chargehand.expression import expression
from chargehand.frozen import frozen

MOST_NAME: Final = 255
_COMMIT: Final = expression(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEADS: Final = "refs/heads/"


@frozen
class Push:
    """One branch that was pushed, as far as a body says so.

    Attributes:
        branch: Its name without ``refs/heads/``; None when it is not named.
        commit: What it now points to; None when that is not said, or it is gone.
    """

    branch: str | None = None
    commit: str | None = None


def read_payload(media_type: bytes, body: bytes) -> Mapping[str, object] | None:
    """The JSON object that a body is, or that a form holds as ``payload``; None when it is none.

    Args:
        media_type: Without parameters, in lower case.
        body: At most some MiB.
    """
    try:
        if media_type == b"application/x-www-form-urlencoded":
            (text,) = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=8)["payload"]
            value = json.loads(text)
        else:
            value = json.loads(body)
    except (ValueError, KeyError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_repository(payload: Mapping[str, object]) -> str | None:
    """What a repository is called where it is pushed to, as ``owner/name``; None when that is not said."""
    for path in (("repository", "full_name"), ("project", "path_with_namespace"), ("repository",)):
        if (name := _name(_at(payload, *path))) is not None:
            return name
    key = _name(_at(payload, "repository", "project", "key"))
    slug = _name(_at(payload, "repository", "slug"))
    return f"{key}/{slug}" if key and slug else None


def read_pushes(payload: Mapping[str, object]) -> tuple[Push, ...]:
    """The branches that were pushed; a push of which nothing is said when the body names no ref at all."""
    if "ref" in payload:
        commits = [_commit(payload.get(key)) for key in ("after", "checkout_sha")]
        return tuple(_of_ref(payload["ref"], next(filter(None, commits), None)))
    changes = payload.get("changes", _at(payload, "push", "changes"))
    if isinstance(changes, list):
        return tuple(push for change in changes for push in _of_change(change))
    return (Push(),)


def _of_ref(ref: object, commit: str | None) -> Iterator[Push]:
    """A push of a ref, when that is a branch."""
    name = _name(ref) or ""
    if name.startswith(_HEADS) and name != _HEADS:
        yield Push(branch=name.removeprefix(_HEADS), commit=commit)


def _of_change(change: object) -> Iterator[Push]:
    """A push of Bitbucket: Data Center tells a ref, Cloud a branch of before and one of after."""
    if (ref := _at(change, "ref", "id")) is not None:
        yield from _of_ref(ref, _commit(_at(change, "toHash")))
        return
    found = _at(change, "new") or _at(change, "old")
    name = _name(_at(found, "name"))
    if name and _at(found, "type") == "branch":
        yield Push(branch=name, commit=_commit(_at(change, "new", "target", "hash")))


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _name(value: object) -> str | None:
    """A name that is one: short enough, and without characters that are not seen."""
    if not isinstance(value, str) or not 0 < len(value) <= MOST_NAME or not value.isprintable():
        return None
    return value


def _commit(value: object) -> str | None:
    """A commit; one of nothing but zeros says that the branch is gone."""
    return value if isinstance(value, str) and _COMMIT.fullmatch(value) and value.strip("0") else None
