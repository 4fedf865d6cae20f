"""Rules: what a receiver accepts, with its secrets looked up."""

from collections.abc import Callable
from dataclasses import field
from typing import Final

from chargehand.errors import InvalidError, Place, Problem, SecretError, SettingsError
from chargehand.frozen import frozen
from chargehand.reference import SecretReference, read_reference
from chargehand.secret import Secret
from chargehand.settings import Settings
from chargehand.webhook.signature import PREFIX, standard_key

RULE: Final = "webhook"


@frozen
class Rules:
    """What a receiver accepts.

    Attributes:
        secrets: What deliveries are signed with; each counts, so that one can follow another.
        senders: The kinds that are accepted.
        branch: Pushes of other ones are no hint; None means that every one's is.
        repository: As `branch`.
        window_s: Seconds by which a delivery may be late or early, and for which repeats are known.
        max_body_bytes: What is longer is refused.
    """

    secrets: tuple[Secret, ...] = field(repr=False)
    senders: frozenset[str]
    branch: str | None = None
    repository: str | None = None
    window_s: float
    max_body_bytes: int


def read_rules(settings: Settings, look_up: Callable[[SecretReference], Secret]) -> Rules:
    """Read what the settings accept, and look their secrets up.

    Args:
        settings: The table `webhook` of them.
        look_up: Gives what a reference leads to.

    Raises:
        SettingsError: There is no secret.
        SecretError: With every secret that cannot be had, or used.
    """
    asked, place = settings.webhook, Place(settings.file)
    if not asked.secrets:
        hint = 'add to [webhook]: secrets = [{ env = "WEBHOOK_SECRET" }]'
        message = "`webhook` has no `secrets`: anybody could send a delivery"
        raise SettingsError(Problem(message, place, hint, RULE))
    secrets: list[Secret] = []
    problems: list[Problem] = []
    for value in asked.secrets:
        try:
            secrets.append(_read_secret(value, place, look_up))
        except InvalidError as error:
            problems += error.problems
    if problems:
        raise SecretError(problems)
    return Rules(
        secrets=tuple(secrets),
        senders=frozenset(asked.senders),
        branch=asked.branch,
        repository=asked.repository,
        window_s=asked.window,
        max_body_bytes=asked.max_body,
    )


def _read_secret(value: object, place: Place, look_up: Callable[[SecretReference], Secret]) -> Secret:
    reference = read_reference(value, place, question="webhook.secrets: ")
    secret = look_up(reference)
    try:
        standard_key(secret)
    except ValueError as error:
        message = f"{reference} begins like a signing token ({PREFIX}), and what follows is {error}"
        hint = "copy the token anew from where it was made"
        raise SecretError(Problem(message, place, hint, RULE)) from None
    return secret
