"""Remote: the repository that is tracked, as its operator says; never as it says itself."""

import re
from typing import Final, Literal

from chargehand.frozen import frozen

Requirement = Literal["head", "every-commit"]
SCHEMES: Final = ("https", "ssh", "git", "http", "file")
USUAL_SCHEMES: Final = ("https", "ssh")
"""Whoever is in between cannot change what these bring; the others are used only where they are named."""

_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])"
_USER: Final = r"(?:[A-Za-z0-9_][A-Za-z0-9_.~-]*@)?"
_URL: Final = rf"(https|http|ssh|git)://({_USER})({_HOST}(?::[0-9]{{1,5}})?)/[!-~]+\Z"
_SCP: Final = rf"({_USER})({_HOST}):(?!//)[!-9;-~]+\Z"
_FILE: Final = r"file:///[!-~]+\Z"
_BRANCH: Final = r"(?![-/.])(?!.*(?:\.\.|//|@\{|/\.|\.lock(?:/|\Z)))[^\x00- ~^:?*\[\\\x7f]+(?<![/.])\Z"


@frozen
class SignerRule:
    """Who may sign changes of some paths.

    Attributes:
        paths: Patterns, relative to the repository.
        who: Principals of the allowed signers file, and fingerprints of GPG keys.
    """

    paths: tuple[str, ...]
    who: tuple[str, ...]


@frozen
class Remote:
    """The repository that is tracked.

    Attributes:
        url: Where it is.
        branch: Which of its branches.
        path: The folder of the project in it; empty is all of it.
        interval: Seconds between two looks of `serve`.
        timeout: Seconds that a fetch may take.
        protocols: Schemes of URLs that may be used.
        user: For https, with `token`.
        token: A secret reference.
        private_key_file: For ssh.
        private_key: A secret reference to the key itself, in place of that.
        force_push: Whether the branch may be set to a commit that does not follow the one before.
        suspended: Whether nothing is taken over and nothing starts by itself.
        notify: Names of who is told of a commit that is refused.
        require: Which commits must be signed; None means none.
        allowed_signers: An OpenSSH allowed signers file.
        gpg_keys: Files of GPG public keys.
        since: Commits up to this one need no signature.
        signers: Who may sign what, the first rule that fits a path; none means any known key.
    """

    url: str
    branch: str = "main"
    path: str = ""
    interval: float = 180.0
    timeout: float = 60.0
    protocols: tuple[str, ...] = USUAL_SCHEMES
    user: str = "git"
    token: object = None
    private_key_file: str | None = None
    private_key: object = None
    force_push: Literal["refuse", "allow"] = "refuse"
    suspended: bool = False
    notify: tuple[str, ...] = ()
    require: Requirement | None = None
    allowed_signers: str | None = None
    gpg_keys: tuple[str, ...] = ()
    since: str | None = None
    signers: tuple[SignerRule, ...] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.url}#{self.branch}" + (f":{self.path}" if self.path else "")

    @property
    def scheme(self) -> str:
        """How it is reached."""
        return self.url.partition("://")[0] if "://" in self.url else "ssh"

    @property
    def server(self) -> str:
        """Scheme, host and port of the URL, which a token is for."""
        found = re.match(_URL, self.url)
        return f"{found[1]}://{found[3]}" if found else ""


def refuse_url(url: str, protocols: tuple[str, ...] = USUAL_SCHEMES) -> tuple[str, str]:
    """What is wrong with the URL of a repository, and what to do about it; empty texts when nothing is.

    The URL is not repeated: it may hold a password.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if not any(re.match(kind, url) for kind in (_URL, _FILE, _SCP)):
        if scheme in SCHEMES and "@" in url and ":" in url.partition("://")[2].partition("@")[0]:
            return "a password must not stand in the URL", 'write it as token = { env = "NAME" }'
        return "it is no URL that is understood", "write https://host/path or ssh://user@host/path"
    scheme = scheme or "ssh"
    if scheme not in protocols:
        return (
            f"the protocol `{scheme}` is not allowed",
            f'to allow it, add to [git]: protocols = ["{scheme}"]; the usual ones are https and ssh',
        )
    return "", ""


def is_branch(text: str) -> bool:
    """Whether a text can be the name of a branch, and nothing else."""
    return bool(re.match(_BRANCH, text)) and text != "@" and len(text) <= 200


def is_path(text: str) -> bool:
    """Whether a text is a path that stays in its repository."""
    steps = text.split("/")
    return text.isprintable() and not any(step in ("", ".", "..") or step.startswith(":") for step in steps)
