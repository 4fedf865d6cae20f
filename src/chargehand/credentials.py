"""Credentials: the secrets of one run, looked up late and once, and dropped with it."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from chargehand.errors import InvalidError, Place, Problem, SecretError
from chargehand.frozen import frozen
from chargehand.invocation import JobInvocation
from chargehand.reference import SecretReference, read_reference, refuse_prompt, resolve
from chargehand.secret import Secret
from chargehand.settings import Settings

_NAMES = ("password", "key_passphrase", "effective_user_password")


@frozen
class Login:
    """The secrets of one level: of the job, or of the settings.

    Attributes:
        password: For the ssh login.
        key_passphrase: For the ssh key.
        effective_user_password: For the switch of user.
    """

    password: Secret | None = None
    key_passphrase: Secret | None = None
    effective_user_password: Secret | None = None


@frozen
class Credentials:
    """The secrets of one run, resolved; a preview has none.

    Attributes:
        job: Of the command line and the job; stronger than what a host's variables say.
        settings: Of the settings; weaker than what a host's variables say.
        inputs: Values of hidden inputs by name.
    """

    job: Login = Login()
    settings: Login = Login()
    inputs: Mapping[str, Secret] = field(default_factory=dict)

    def all(self) -> tuple[Secret, ...]:
        """Every one of them."""
        found = [getattr(login, name) for login in (self.job, self.settings) for name in _NAMES]
        return (*(secret for secret in found if secret is not None), *self.inputs.values())


def settings_references(settings: Settings) -> Mapping[str, SecretReference]:
    """The secrets that the settings refer to, by the names of `Login`.

    Raises:
        SecretError: One of them is no reference.
    """
    place = Place(settings.file)
    return {
        name: read_reference(value, place, question=f"{name}: ")
        for name in _NAMES
        if (value := getattr(settings, name)) is not None
    }


def read_vault_passwords(settings: Settings, base: Path) -> tuple[Secret, ...]:
    """What the setting ``vault_password_files`` names, relative to `base`.

    Raises:
        SecretError: A file cannot be read, or others may read it.
    """
    place = Place(settings.file)
    references = [read_reference({"file": name}, place) for name in settings.vault_password_files]
    return tuple(resolve(each, environ={}, prompt=refuse_prompt, base=base) for each in references)


def resolve_credentials(
    invocation: JobInvocation,
    settings: Mapping[str, SecretReference],
    look_up: Callable[[SecretReference], Secret],
) -> Credentials:
    """Look up every secret that an invocation and the settings refer to.

    Args:
        invocation: Its own references.
        settings: References of the settings, by the names of `Login`.
        look_up: Gives what a reference leads to.

    Raises:
        SecretError: With everything that cannot be looked up; nothing was connected to.
    """
    problems: list[Problem] = []

    def find(reference: SecretReference | None) -> Secret | None:
        if reference is None:
            return None
        try:
            return look_up(reference)
        except InvalidError as error:
            problems.extend(error.problems)
            return None

    wanted = invocation.secrets
    job = Login(**{name: find(getattr(wanted, name)) for name in _NAMES})
    usual = Login(**{name: find(reference) for name, reference in settings.items()})
    inputs = {
        name: found for name, reference in wanted.inputs.items() if (found := find(reference)) is not None
    }
    if problems:
        raise SecretError(problems)
    return Credentials(job=job, settings=usual, inputs=inputs)
