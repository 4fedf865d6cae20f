"""Credential: a token or a key handed to git and ssh by an open file - never by argv, environment or disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chargehand.frozen import frozen
from chargehand.git.command import GitError
from chargehand.secret import Secret

_TOKEN_BYTES = 4096


@frozen
class Credential:
    """What a repository asks for.

    Attributes:
        server: Scheme, host and port that the token is for; nobody else is given it.
        user: With the token.
        token: Of https.
        private_key_file: Of ssh.
        private_key: Of ssh, in place of that.
        known_hosts_files: Of ssh; None means OpenSSH's.
        ssh_config_file: Of ssh; None means the user's and the system's.
    """

    server: str = ""
    user: str = "git"
    token: Secret | None = None
    private_key_file: str | None = None
    private_key: Secret | None = None
    known_hosts_files: tuple[str, ...] | None = None
    ssh_config_file: str | None = None


@frozen
class Handed:
    """What git is started with so that it can log in.

    Attributes:
        settings: As ``name=value``.
        ssh: Options of ssh.
        descriptors: Open files that it may read.
    """

    settings: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@contextmanager
def handed(credential: Credential) -> Iterator[Handed]:
    """Have a credential at hand for git, as long as the block goes on.

    Raises:
        GitError: It cannot be handed over.
    """
    ssh = (
        [f"-oUserKnownHostsFile={' '.join(credential.known_hosts_files)}"]
        if (credential.known_hosts_files)
        else []
    )
    ssh += ["-F", credential.ssh_config_file] if credential.ssh_config_file else []
    if credential.token is not None:
        descriptor = _pipe(credential.user, credential.token)
        asked = f'!f() {{ test "$1" != get || cat /dev/fd/{descriptor}; }}; f'
        settings = ["credential.helper=", f"credential.{credential.server}.helper={asked}"]
    elif credential.private_key is not None:
        descriptor, settings = _file(credential.private_key), []
        ssh += ["-oIdentitiesOnly=yes", "-i", f"/proc/{os.getpid()}/fd/{descriptor}"]
    else:
        if credential.private_key_file:
            ssh += ["-oIdentitiesOnly=yes", "-i", str(Path(credential.private_key_file).expanduser())]
        yield Handed(ssh=tuple(ssh))
        return
    try:
        yield Handed(settings=tuple(settings), ssh=tuple(ssh), descriptors=(descriptor,))
    finally:
        os.close(descriptor)


def _pipe(user: str, token: Secret) -> int:
    """The end of a pipe that gives a token once, as git's helpers write it."""
    text = token.reveal()
    if not text.isprintable() or len(text) > _TOKEN_BYTES:
        raise GitError("the token is no single line of text")
    reading, writing = os.pipe()
    os.write(writing, f"username={user}\npassword={text}\n".encode())
    os.close(writing)
    return reading


def _file(key: Secret) -> int:
    """A file in memory that holds a key, which ssh opens by our name for it."""
    try:
        descriptor = os.memfd_create("key")
    except (AttributeError, OSError):
        raise GitError("`private_key` needs Linux; use `private_key_file` or an agent") from None
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, key.reveal().rstrip("\n").encode() + b"\n")
    return descriptor
