"""Identity: a private key we may log in with, and the agent that holds others. Each is loaded once."""

import base64
import binascii
import os
import socket
import struct
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from paramiko.agent import AgentSSH
from paramiko.message import Message
from paramiko.ssh_exception import SSHException

from chargehand.beside import elsewhere
from chargehand.frozen import frozen
from chargehand.provider import Unreachable
from chargehand.secret import Secret
from chargehand.strand import Mutex

AGENT_TIMEOUT_S = 5.0
_CLASSES = (
    (Ed25519PrivateKey, paramiko.Ed25519Key),
    (EllipticCurvePrivateKey, paramiko.ECDSAKey),
    (RSAPrivateKey, paramiko.RSAKey),
)


@frozen(kw_only=False)
class Identity:
    """A key that can sign.

    Attributes:
        name: Where it comes from, for people.
        key: The key itself.
        certified: Whether it is shown with its certificate.
    """

    name: str
    key: paramiko.PKey
    certified: bool = False


class Locked(Exception):  # noqa: N818 - a state of the key
    """The key is encrypted and no passphrase was given."""


class KeyRing:
    """Every private key and the agent's, loaded once whatever the number of hosts; used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = Mutex()
        self._loaded: dict[tuple[Path | Secret, Secret | None], list[Identity] | Locked | Unreachable] = {}
        self._agents: dict[str, _Agent | str] = {}

    def from_file(self, path: Path, passphrase: Secret | None) -> list[Identity]:
        """The key in a file: with its certificate first, when ``path-cert.pub`` exists, then without.

        Raises:
            Locked: It is encrypted, and no passphrase was given.
            Unreachable: It cannot be used; codes ``key-passphrase``, ``key``.
        """
        return self._once(path, passphrase, lambda: _from_file(path, passphrase))

    def from_text(self, text: Secret, passphrase: Secret | None) -> list[Identity]:
        """A key given as text; errors as `from_file`."""
        name = "the given private key"
        return self._once(text, passphrase, lambda: [Identity(name, _load(name, text, passphrase))])

    def of_agent(self, socket_path: str) -> tuple[list[Identity], str]:
        """The keys of an agent; or none, and why."""
        with self._asking:  # an agent is waited for
            if socket_path not in self._agents:
                try:
                    self._agents[socket_path] = elsewhere(lambda: _Agent(socket_path))
                except (OSError, SSHException, struct.error) as error:
                    self._agents[socket_path] = f"ssh-agent does not answer: {error or type(error).__name__}"
            agent = self._agents[socket_path]
        if isinstance(agent, str):
            return [], agent
        keys = agent.get_keys()
        return [Identity(f"{key.comment or key.get_name()} of the agent", key) for key in keys], ""

    def close(self) -> None:
        """Let go of the agents."""
        with self._asking:
            for agent in self._agents.values():
                if isinstance(agent, _Agent):
                    agent.close()
            self._agents.clear()

    def _once(
        self, source: Path | Secret, passphrase: Secret | None, load: Callable[[], list[Identity]]
    ) -> list[Identity]:
        """Load it at the first call; what is wrong with it is wrong for every host."""
        with self._lock:
            if (source, passphrase) not in self._loaded:
                try:
                    self._loaded[source, passphrase] = load()
                except (Locked, Unreachable) as error:
                    self._loaded[source, passphrase] = error
            found = self._loaded[source, passphrase]
        if isinstance(found, Locked):
            raise Locked(str(found))
        if isinstance(found, Unreachable):
            raise Unreachable(found.code, found.reason)
        return found


class _Agent(AgentSSH):
    """A connection to an agent that is given up after some seconds; one request at a time."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._turn = threading.Lock()
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(AGENT_TIMEOUT_S)
        try:
            line.connect(path)
            self._connect(line)  # type: ignore[attr-defined]  # not in its stubs
        except BaseException:
            line.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]  # not in its stubs

    def _send_message(self, message: Message) -> tuple[int, Message]:
        def ask() -> tuple[int, Message]:
            with self._turn:
                answer: tuple[int, Message] = super(_Agent, self)._send_message(message)  # type: ignore[misc]  # not in its stubs
                return answer

        return elsewhere(ask)  # it may wait for a person


def agent_socket() -> str | None:
    """Where the agent of this session listens, if one does."""
    return os.environ.get("SSH_AUTH_SOCK") or None


def public_key(path: Path) -> bytes | None:
    """The public half beside a private key, which tells what an encrypted file holds."""
    try:
        words = path.with_name(path.name + ".pub").read_text(encoding="utf-8", errors="replace").split()
        return base64.b64decode(words[1])
    except (OSError, IndexError, binascii.Error):
        return None


def _from_file(path: Path, passphrase: Secret | None) -> list[Identity]:
    try:
        text = Secret(path.read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise Unreachable("key", f"private key {path}: {error.strerror}") from None
    plain = Identity(str(path), _load(str(path), text, passphrase))
    certificate = path.with_name(path.name + "-cert.pub")
    if not certificate.is_file():
        return [plain]
    certified = _load(str(path), text, passphrase)
    try:
        certified.load_certificate(str(certificate))
    except (ValueError, SSHException) as error:
        raise Unreachable("key", f"certificate {certificate} cannot be used: {error}") from None
    return [Identity(str(certificate), certified, certified=True), plain]


def _load(name: str, text: Secret, passphrase: Secret | None) -> paramiko.PKey:
    """Read any format OpenSSH writes; paramiko does not know PKCS#8, and mistakes one error for another."""
    content = text.reveal().strip().encode() + b"\n"
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in content else load_pem_private_key
    try:
        try:
            private = load(content, passphrase.reveal().encode() if passphrase else None)
        except TypeError:  # a passphrase is missing, or there is one too many
            if not passphrase:
                raise Locked(f"private key {name} is encrypted, and no passphrase was given") from None
            private = load(content, None)
    except UnsupportedAlgorithm:
        words = f"private key {name}: its kind is not supported; an ssh-agent can hold it"
        raise Unreachable("key", words) from None
    except ValueError:
        raise _broken(name, content, passphrase) from None
    for kind, ours in _CLASSES:
        if isinstance(private, kind):
            plain = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
            return ours.from_private_key(StringIO(plain))
    raise Unreachable("key", f"private key {name}: keys of this kind are no longer accepted by OpenSSH")


def _broken(name: str, content: bytes, passphrase: Secret | None) -> Unreachable:
    if passphrase and b"PRIVATE KEY" in content:
        return Unreachable("key-passphrase", f"private key {name}: the passphrase is wrong")
    return Unreachable("key", f"{name} is not a private key, or it is damaged")
