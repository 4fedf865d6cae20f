"""Wishes: who wants to be told of which runs."""

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

from chargehand.errors import Place, Problem, SecretError, did_you_mean
from chargehand.frozen import frozen
from chargehand.reference import SecretReference, read_reference

Occasion = Literal["failed", "recovered", "succeeded", "missed", "always"]
OCCASIONS: Final = cast("tuple[Occasion, ...]", get_args(Occasion))
USUAL: Final[frozenset[Occasion]] = frozenset({"failed", "recovered", "missed"})
RULE: Final = "notify"


@frozen
class Wish:
    """Somebody wants to be told of some runs.

    Attributes:
        to: Leads to the URL.
        name: What messages of ours call the one who is told; never the URL.
        when: On which occasions.
        output: Whether to tell the last lines that failed hosts printed.
    """

    to: SecretReference
    name: str
    when: frozenset[Occasion] = USUAL
    output: bool = False


def read_recipient(
    value: object, place: Place, names: Mapping[str, object], settings: str, *, plain_allowed: bool
) -> tuple[SecretReference, str]:
    """Where messages go, and what to call it.

    Args:
        value: As the job has it: a name of the settings, or a reference.
        place: Where it stands.
        names: What the settings call by a name.
        settings: Their file.
        plain_allowed: Whether the settings may hold a URL itself.

    Raises:
        SecretError: The name is not known, or leads to no reference that can be resolved unattended.
    """
    name = ""
    if isinstance(value, str):
        if value not in names:
            raise SecretError(_unknown(value, place, names))
        name, value, place = value, names[value], Place(settings)
    reference = read_reference(value, place, plain_allowed=plain_allowed and bool(name), question=name)
    if reference.kind == "prompt":
        message = "nobody can be asked for a secret when a run has ended"
        raise SecretError(Problem(message, place, "use {env: NAME}, {file: PATH} or {command: [...]}", RULE))
    return reference, name or str(reference)


def _unknown(value: str, place: Place, names: Mapping[str, object]) -> Problem:
    """A name that nobody explains; a URL is not repeated."""
    if ":" in value or "/" in value:
        message = "a URL holds secrets and must not stand in a job file"
        hint = "give it a name in the setting `notify`, or write {env: NAME}"
        return Problem(message, Place(place.file, place.line, place.column), hint, RULE)
    hint = did_you_mean(value, names) or 'add [notify] to chargehand.toml, such as ops = { env = "OPS_URL" }'
    return Problem(f"the setting `notify` has no name `{value}`", place, hint, RULE)
