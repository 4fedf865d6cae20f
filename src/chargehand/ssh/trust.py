"""Trust: whether a host is the one we mean. Asked between the key exchange and the login."""

import logging
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import paramiko

from chargehand.provider import Unreachable
from chargehand.ssh.base import Transport
from chargehand.ssh.hostkey import CERTIFICATE_SUFFIX, HostKey, KnownHosts, Verdict, lookup_name
from chargehand.ssh.route import Route

log = logging.getLogger(__name__)


class Trust(paramiko.MissingHostKeyPolicy):
    """The host key rule of one route.

    paramiko's client is given no known hosts of its own, so it asks here for every key.
    """

    def __init__(self, route: Route, known: KnownHosts, now: datetime) -> None:
        self._route = route
        self._known = known
        self._now = now
        self._name = (route.key_name or lookup_name(route.address, route.port)).lower()

    @property
    def algorithms(self) -> Sequence[str]:
        """The host key algorithms to offer."""
        return self._known.algorithms(self._name)

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002 - paramiko's signature
        """Return when the host is to be trusted.

        Raises:
            Unreachable: It is not; codes ``host-key-unknown``, ``host-key-changed``, ``host-key-revoked``.
        """
        transport = cast("Transport", client.get_transport())
        self.check(HostKey(transport.proven_key()))

    def check(self, key: HostKey) -> None:
        """As `missing_host_key`."""
        verdict = self._known.judge(self._name, key, self._now)
        if verdict is Verdict.UNKNOWN and self._route.policy == "accept-new":
            verdict = self._accept(key)
        if verdict is Verdict.KNOWN:
            return
        if verdict is Verdict.REVOKED:
            words = f"{self._route.title}: its host key is revoked: {_told(key)}"
            raise Unreachable("host-key-revoked", words)
        if self._route.policy == "off":
            log.warning("%s: its host key is %s and was not checked", self._route.title, verdict.value)
            return
        raise self._changed(key) if verdict is Verdict.CHANGED else self._unknown(key)

    def _accept(self, key: HostKey) -> Verdict:
        if key.type.endswith(CERTIFICATE_SUFFIX) or not self._known.files:
            return Verdict.UNKNOWN  # a certificate that no authority of ours signed, or nowhere to write
        try:
            verdict = self._known.record(self._name, key, self._now)
        except OSError as error:
            words = f"{self._route.title}: its host key cannot be recorded: {error}"
            raise Unreachable("host-key-unknown", words) from None
        if verdict is Verdict.UNKNOWN:
            file = self._known.files[0]
            log.warning("%s: recorded its new host key in %s: %s", self._route.title, file, _told(key))
            return Verdict.KNOWN
        return verdict

    def _changed(self, key: HostKey) -> Unreachable:
        entries = [entry for entry in self._known.find(self._name) if not entry.marker]
        expected = ", ".join(f"{_told(entry.key)} ({entry.place})" for entry in entries)
        file = entries[0].place.rpartition(":")[0]
        remedy = f"ssh-keygen -R {shlex.quote(self._name)} -f {shlex.quote(file)}"
        words = (
            f"{self._route.title}: its host key changed: it shows {_told(key)}, known is {expected}; "
            f"somebody may be in between. If the host was reinstalled: {remedy}"
        )
        return Unreachable("host-key-changed", words)

    def _unknown(self, key: HostKey) -> Unreachable:
        files = _names(self._known.files)
        if key.type.endswith(CERTIFICATE_SUFFIX):
            words = f"{self._route.title}: no authority in {files} vouches for its host certificate"
            return Unreachable("host-key-unknown", words)
        target = shlex.quote(str(self._known.files[0] if self._known.files else "~/.ssh/known_hosts"))
        parts = [
            f"{self._route.title}: its host key is not known: {_told(key)}, not in {files}",
            f"if that is its key: echo {shlex.quote(f'{self._name} {key.line}')} >> {target}",
        ]
        if self._route.policy_wanted:
            wanted = self._route.policy_wanted
            parts.append(f"ssh_config has `{wanted}`, but only the setting host_key_policy loosens the rule")
        return Unreachable("host-key-unknown", "; ".join(parts))


def _told(key: HostKey) -> str:
    return f"{key.type} {key.fingerprint}"


def _names(files: Sequence[Path]) -> str:
    return ", ".join(str(file) for file in files) or "any file: none is set"
