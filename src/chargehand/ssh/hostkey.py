"""KnownHosts: which key a host must show, by the files OpenSSH keeps them in.

The grammar is that of sshd(8), «SSH_KNOWN_HOSTS FILE FORMAT»: hashed names, patterns and negation,
``[host]:port``, ``@revoked`` and ``@cert-authority``.
"""

import base64
import binascii
import fcntl
import hashlib
import hmac
import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from chargehand.frozen import frozen

log = logging.getLogger(__name__)

CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"
PLAIN_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
CERTIFICATE_TYPES = tuple(name + CERTIFICATE_SUFFIX for name in PLAIN_TYPES)


class Verdict(Enum):
    """What the files say of a key."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@frozen(kw_only=False)
class HostKey:
    """A public key as it travels: its blob begins with its type."""

    blob: bytes

    @property
    def type(self) -> str:
        """Such as ``ssh-ed25519``; an RSA key is ``ssh-rsa`` whatever it signs with."""
        length = int.from_bytes(self.blob[:4])
        return self.blob[4 : 4 + length].decode("ascii", "replace")

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it: ``SHA256:`` and base64 without padding."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def line(self) -> str:
        """Type and base64, as known_hosts holds them."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


@frozen(kw_only=False)
class Entry:
    """One line of a known_hosts file.

    Attributes:
        marker: ``@revoked``, ``@cert-authority`` or empty.
        key: The key of the line.
        file: Where it stands.
        number: In which line.
    """

    marker: str
    key: HostKey
    file: Path
    number: int

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.number}"


class _Lines:
    """The lines of some files, kept so that a fleet is looked up quickly in a long one."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._plain: dict[str, list[Entry]] = {}
        self._hashed: list[tuple[bytes, bytes, Entry]] = []
        self._patterns: list[tuple[list[str], Entry]] = []
        for file in files:
            for names, entry in _read(file):
                self._add(names.lower() if not names.startswith("|") else names, entry)

    def find(self, name: str) -> tuple[Entry, ...]:
        """Plain names first, then hashed ones, then patterns."""
        found = list(self._plain.get(name, ()))
        encoded = name.encode()
        found += [
            entry for salt, digest, entry in self._hashed if hmac.digest(salt, encoded, "sha1") == digest
        ]
        found += [entry for words, entry in self._patterns if _patterns_match(words, name)]
        return tuple(found)

    def _add(self, names: str, entry: Entry) -> None:
        words = names.split(",")
        if names.startswith("|1|"):
            salt, digest = (base64.b64decode(part) for part in names.split("|")[2:4])
            self._hashed.append((salt, digest, entry))
        elif "*" in names or "?" in names or "!" in names:
            self._patterns.append((words, entry))
        else:
            for word in words:
                self._plain.setdefault(word, []).append(entry)


@cache
def _in_order(known: frozenset[str], certified: bool) -> tuple[str, ...]:
    """The host key algorithms: certificates, what keys of these types sign with, the others."""
    preferred = [one for one in PLAIN_TYPES if _key_type(one) in known]
    if certified:
        preferred = [*CERTIFICATE_TYPES, *preferred]
    return (*preferred, *(one for one in PLAIN_TYPES if one not in preferred))


class KnownHosts:
    """All known_hosts files of one setting, read once; used from many threads."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._lock = threading.Lock()
        self._lines = _Lines(self.files)
        self._found: dict[str, tuple[Entry, ...]] = {}

    def find(self, name: str) -> tuple[Entry, ...]:
        """The entries of a host, by its `lookup_name`."""
        with self._lock:
            if name not in self._found:
                self._found[name] = self._lines.find(name)
            return self._found[name]

    def algorithms(self, name: str) -> tuple[str, ...]:
        """The host key algorithms to offer, those first that the known keys of the host can sign with."""
        entries = self.find(name)
        known = frozenset(entry.key.type for entry in entries if not entry.marker)
        return _in_order(known, any(entry.marker == "@cert-authority" for entry in entries))

    def judge(self, name: str, key: HostKey, now: datetime) -> Verdict:
        """What the files say of `key` as the key of the host with that `lookup_name`."""
        entries = self.find(name)
        certificate = _certificate(key)
        shown = {key.blob} | (_parts(certificate) if certificate else set())
        if any(entry.marker == "@revoked" and entry.key.blob in shown for entry in entries):
            return Verdict.REVOKED
        if certificate and self._signed(certificate, name, entries, now):
            return Verdict.KNOWN
        plain = [entry.key.blob for entry in entries if not entry.marker]
        if key.blob in plain:
            return Verdict.KNOWN
        if plain:
            return Verdict.CHANGED
        # OpenSSH's rule: a key kept without the port stands for the host on every port.
        bare = bare_name(name)
        if bare != name and self.judge(bare, key, now) is Verdict.KNOWN:
            return Verdict.KNOWN
        return Verdict.UNKNOWN

    def record(self, name: str, key: HostKey, now: datetime) -> Verdict:
        """Append `key` to the first file, unless another thread or program was quicker.

        Returns:
            UNKNOWN when it was written just now; otherwise what the file says of it meanwhile.

        Raises:
            OSError: The file cannot be written.
        """
        file = self.files[0]
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            meanwhile = KnownHosts(self.files)
            verdict = meanwhile.judge(name, key, now)
            if verdict is Verdict.UNKNOWN:
                text = stream.read()
                start = b"\n" if text and not text.endswith(b"\n") else b""
                stream.write(start + f"{name} {key.line}\n".encode())
                stream.flush()
                meanwhile = KnownHosts(self.files)
        with self._lock:
            self._lines = meanwhile._lines
            self._found.clear()
        return verdict

    def _signed(
        self, certificate: SSHCertificate, name: str, entries: Iterable[Entry], now: datetime
    ) -> bool:
        """Whether a trusted authority says that the certificate is this host's, now (PROTOCOL.certkeys)."""
        signer = _blob(certificate.signature_key())
        trusted = any(entry.marker == "@cert-authority" and entry.key.blob == signer for entry in entries)
        if not trusted or certificate.type is not SSHCertificateType.HOST or certificate.critical_options:
            return False
        if not certificate.valid_after <= now.timestamp() < certificate.valid_before:
            return False
        if bare_name(name).encode() not in certificate.valid_principals:
            return False
        try:
            certificate.verify_cert_signature()
        except InvalidSignature:
            return False
        return True


def lookup_name(host: str, port: int) -> str:
    """The name under which known_hosts keeps a host: ``[host]:port`` unless the port is 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def bare_name(name: str) -> str:
    """The name without brackets and port."""
    return name[1:].rpartition("]:")[0] if name.startswith("[") else name


def _read(file: Path) -> Iterator[tuple[str, Entry]]:
    """The names of every line, and the rest of it."""
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        try:
            names, _, key = words[:3]
            yield names, Entry(marker, HostKey(binascii.a2b_base64(key, strict_mode=True)), file, number)
        except ValueError:  # binascii's errors are such
            log.warning("%s:%d: not a line of known_hosts, passed over", file, number)


def _patterns_match(words: Sequence[str], name: str) -> bool:
    if any(_pattern_matches(word[1:], name) for word in words if word.startswith("!")):
        return False
    return any(_pattern_matches(word, name) for word in words if not word.startswith("!"))


def _pattern_matches(pattern: str, name: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name) is not None


def _key_type(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _certificate(key: HostKey) -> SSHCertificate | None:
    if not key.type.endswith(CERTIFICATE_SUFFIX):
        return None
    try:
        identity = load_ssh_public_identity(key.line.encode())
    except ValueError:
        return None
    return identity if isinstance(identity, SSHCertificate) else None


def _parts(certificate: SSHCertificate) -> set[bytes]:
    """The blobs of the certified key and of the authority's."""
    return {_blob(certificate.public_key()), _blob(certificate.signature_key())}


def _blob(public: object) -> bytes:
    line: bytes = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)  # type: ignore[attr-defined]  # any of its key types
    return base64.b64decode(line.split()[1])
