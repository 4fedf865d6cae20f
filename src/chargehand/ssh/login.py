"""Login: who we are to the host; each method is tried once."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

from chargehand.frozen import frozen
from chargehand.provider import Unreachable
from chargehand.secret import Secret
from chargehand.ssh.base import Transport
from chargehand.ssh.failure import shown
from chargehand.ssh.identity import Identity, KeyRing, Locked, public_key
from chargehand.ssh.route import Route

ATTEMPTS = 6  # sshd's MaxAuthTries
PASSWORD_WORDS = ("password", "passwort", "mot de passe", "contraseña", "пароль", "密码", "パスワード")


class SecondFactor(SSHException):
    """The host asks for something that is no password."""


@frozen(kw_only=False)
class _Attempt:
    """One way to prove who we are; `show` gives the methods that must follow, none when that was all."""

    method: str
    show: Callable[[], list[str]]
    words: str = ""
    identity: Identity | None = None

    @property
    def name(self) -> str:
        """For people; the fingerprint of a key is not to be had for nothing."""
        if self.identity is None:
            return self.words
        return f"key {self.identity.name} ({self.identity.key.fingerprint})"


@frozen
class Login:
    """An auth strategy for paramiko's client: it is asked only after the host key was accepted.

    Attributes:
        user: Login name.
        title: The host, for people.
        identities: Keys to try, in order.
        password: For ``password``, or the one prompt of ``keyboard-interactive``.
        timeout_s: For all attempts together.
        remarks: What else people should know when nothing helps, such as a key that is locked.
    """

    user: str
    title: str
    identities: Sequence[Identity]
    password: Secret | None
    timeout_s: float
    remarks: Sequence[str] = ()

    def authenticate(self, transport: Transport) -> None:
        """Log in.

        Raises:
            Unreachable: The host does not let us in; codes ``auth``, ``auth-timeout``.
        """
        end = time.monotonic() + self.timeout_s
        allowed: Sequence[str] | None = None
        tried: list[str] = []
        for attempt in self._attempts(transport):
            if allowed is not None and attempt.method not in allowed:
                continue
            if attempt.method == "keyboard-interactive" and any(one.startswith("password") for one in tried):
                continue  # the same password a second time would only count towards a lock-out
            transport.auth_timeout = max(0.1, end - time.monotonic())
            try:
                allowed = attempt.show()
            except BadAuthenticationType as error:
                allowed = error.allowed_types
                if attempt.method == "publickey":
                    tried.append(f"{attempt.name} (the host takes no keys)")
            except SecondFactor as error:
                raise self._refused([*tried, attempt.name], allowed, str(error)) from None
            except (SSHException, EOFError, OSError) as error:
                tried.append(attempt.name)
                self._check_alive(transport, error, end, tried, allowed)
            else:
                if not allowed:
                    return
                tried.append(f"{attempt.name} (accepted, but not enough)")
        raise self._refused(tried, allowed, "")

    def _attempts(self, transport: Transport) -> Iterator[_Attempt]:
        for identity in self.identities[:ATTEMPTS]:
            show = partial(transport.auth_publickey, self.user, identity.key)
            yield _Attempt("publickey", show, identity=identity)
        if self.password is not None:
            password = self.password.reveal()
            show = partial(transport.auth_password, self.user, password)
            yield _Attempt("password", show, words="password")
            show = partial(transport.auth_interactive, self.user, _Answers(password))
            yield _Attempt("keyboard-interactive", show, words="password by keyboard-interactive")

    def _check_alive(
        self,
        transport: Transport,
        error: Exception,
        end: float,
        tried: Sequence[str],
        allowed: Sequence[str] | None,
    ) -> None:
        """Go on only when the host said no, and still listens."""
        if time.monotonic() >= end:
            words = f"{self.title}: the login of {self.user} was not decided within {self.timeout_s:g} s"
            raise Unreachable("auth-timeout", words, again=True) from None
        if not transport.is_active():
            said = transport.farewell or ("" if isinstance(error, EOFError) else str(error))
            raise self._refused(tried, allowed, f"the host hung up: {shown(said)}") from None
        if not isinstance(error, AuthenticationException):
            raise error

    def _refused(self, tried: Sequence[str], allowed: Sequence[str] | None, words: str) -> Unreachable:
        if tried:
            reason = f"{self.title} does not let {self.user} in; tried: {', '.join(tried)}"
        else:
            reason = f"{self.title}: nothing to log in with as {self.user}"
        left = len(self.identities) - ATTEMPTS
        parts = [reason, f"{left} more keys not tried" if left > 0 else "", words, *self.remarks]
        if allowed:
            parts.append(f"the host takes {', '.join(allowed)}")
        return Unreachable("auth", "; ".join(part for part in parts if part))


def compose(route: Route, keys: KeyRing, agent_socket: str | None) -> Login:
    """What to log in with: the given key, the agent's, or else those of ssh_config; then the password.

    Raises:
        Unreachable: The given key cannot be used; codes ``key``, ``key-passphrase``.
    """
    settings = route.settings
    remarks: list[str] = []
    given: list[Identity] = []
    files: list[Identity] = []
    try:
        if settings.private_key is not None:
            given = keys.from_text(settings.private_key, settings.key_passphrase)
        elif settings.private_key_file is not None:
            given = keys.from_file(_path(settings.private_key_file), settings.key_passphrase)
    except Locked as error:
        remarks.append(str(error))
    if settings.private_key is None and settings.private_key_file is None:
        for path in route.identity_files:
            if path.is_file():
                try:
                    files += keys.from_file(path, None)
                except (Locked, Unreachable) as error:
                    remarks.append(str(error))
    held: list[Identity] = []
    if settings.agent and agent_socket:
        held, trouble = keys.of_agent(agent_socket)
        remarks += [trouble] if trouble else []
        if route.identities_only:
            named = {public_key(path) for path in route.identity_files}
            held = [one for one in held if one.key.asbytes() in named]
    return Login(
        user=route.user,
        title=route.title,
        identities=_distinct([*given, *held, *files]),
        password=settings.password,
        timeout_s=settings.auth_timeout_s,
        remarks=remarks,
    )


@lru_cache(maxsize=64)
def _path(name: str) -> Path:
    """One that many hosts share."""
    return Path(name)


def _distinct(identities: Sequence[Identity]) -> list[Identity]:
    """Each key once; with and without its certificate are two."""
    if len(identities) == 1:
        return list(identities)
    distinct: dict[tuple[bytes, bool], Identity] = {}
    for identity in identities:
        distinct.setdefault((identity.key.asbytes(), identity.certified), identity)
    return list(distinct.values())


class _Answers:
    """Answers one prompt for a password, once, and nothing else."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._given = False

    def __call__(self, _title: str, _instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        if not prompts:
            return []
        text, echo = prompts[0]
        wanted = any(word in text.casefold() for word in PASSWORD_WORDS)
        if len(prompts) > 1 or echo or not wanted:
            raise SecondFactor(f"it asks for more than a password: {shown(text)}")
        if self._given:
            raise AuthenticationException("the password is wrong")
        self._given = True
        return [self._password]
