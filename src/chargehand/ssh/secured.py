"""SecuredTransport: paramiko's Transport up to agreed keys, run by whatever runs us, without its timer.

paramiko reads a connection in a thread of its own, and looks every tenth of a second whether what it waits
for is there. Here it reads in a strand when a strand connects, and waits are `Signal`s.
"""

import logging
import os
from collections.abc import Sequence
from functools import partial
from types import NoneType
from typing import Any

import paramiko
from paramiko.common import MSG_NEWKEYS, cMSG_KEXINIT, cMSG_NEWKEYS
from paramiko.message import Message
from paramiko.ssh_exception import SSHException

from chargehand.beside import begin
from chargehand.ssh.agreement import (
    AGREEMENTS,
    CHOICES,
    COOKIE_BYTES,
    Agreement,
    Mismatch,
    compose_offer,
    find_mismatch,
)
from chargehand.ssh.base import Transport
from chargehand.ssh.exchange import EXCHANGES, Begun
from chargehand.ssh.foresight import PATIENCE_S, Foresight, Misjudged, Unheard
from chargehand.ssh.message import KEEPALIVE, mpint, text
from chargehand.ssh.packets import Packets, PlainPackets
from chargehand.ssh.wire import Wire
from chargehand.strand import Signal, hub_here

log = logging.getLogger(__name__)

_TAG_BYTES = 16  # of AES-GCM (RFC 5647 section 5)
_OTHER_CIPHERS = ("aes128-ctr", "aes192-ctr", "aes256-ctr")


class SecuredTransport(Transport):
    """One SSH connection's packets and keys.

    Args:
        wire: The bytes below.
        title: The host, for people and for `foresight`.
        host_key_algorithms: To offer, in this order.
        foresight: What may go ahead of the host's answers.

    Attributes:
        host_key_blob: The key, or certificate, that the host proved to have.
    """

    # Plain values, where paramiko filters by what may be disabled at every use.
    preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", *_OTHER_CIPHERS)
    preferred_kex = paramiko.Transport._preferred_kex  # type: ignore[attr-defined]  # noqa: SLF001 - its defaults
    preferred_macs = paramiko.Transport._preferred_macs  # type: ignore[attr-defined]  # noqa: SLF001 - its defaults
    preferred_compression = ("none",)
    active: bool
    agreed_on_strict_kex: bool
    packetizer: Packets | PlainPackets
    _expected_packet: tuple[int, ...]
    _kex_info = paramiko.Transport._kex_info | EXCHANGES  # type: ignore[attr-defined]  # noqa: SLF001 - its table

    def __init__(
        self, wire: Wire, *, title: str, host_key_algorithms: Sequence[str], foresight: Foresight
    ) -> None:
        self._in_strands = hub_here() is not None
        self._tells = log.isEnabledFor(logging.DEBUG)
        self._postponed: list[bytes] = []
        layer = partial(Packets, take=self._take) if self._in_strands else PlainPackets
        super().__init__(wire, title=title, packets=layer)
        self.foresight = foresight
        self.host_key_blob = b""
        self._host_key_algorithms = tuple(host_key_algorithms)
        self._offered: dict[str, list[str]] = {}
        self._offered_early = False
        self._foreseen: Begun | None = None
        self._begun = False
        self._secret = b""
        self._over = Signal()
        self.clear_to_send = Signal()

    @property
    def preferred_keys(self) -> Sequence[str]:
        """The host key algorithms to offer, in the order of what is known of the host."""
        return self._host_key_algorithms

    def proven_key(self) -> bytes:
        """See `Transport.proven_key`."""
        return self.host_key_blob

    def mismatch(self) -> Mismatch | None:
        """Why no algorithms could be agreed on; None when that is not what failed."""
        ours = (self.preferred_kex, self.preferred_keys, self.preferred_ciphers, self.preferred_macs)
        return find_mismatch(self._offered, *ours)

    def start_client(self, event: object = None, timeout: float = 0.0) -> None:  # type: ignore[override]  # noqa: ARG002 - nobody gives an event, Fabric always a time
        """Exchange keys; return also when there was no time for it, as paramiko does.

        Raises:
            SSHException: No keys were agreed on.
            Unforeseen: They may be when nothing goes ahead.
        """
        agreed = Signal()
        super().start_client(event=agreed)
        patience_s = min(PATIENCE_S, timeout * 2 / 3)
        if not agreed.wait(patience_s) and not self._is_unanswered():
            agreed.wait(timeout - patience_s)
        if self._is_unanswered():
            raise Unheard("a key exchange")
        if not self.is_active():
            raise self.get_exception() or SSHException("Negotiation failed.")

    def _is_unanswered(self) -> bool:
        """Whether a host told its version and then no more, or hung up, when our half had gone ahead."""
        silent = self._foreseen is not None and bool(self.remote_version)
        return silent and isinstance(self.saved_exception, NoneType | EOFError | OSError)

    def start(self) -> None:
        """Begin to read, beside the caller."""
        self._begun = True
        begin(self._read, self.name)

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing is read any more."""
        if self._begun:
            self._over.wait(timeout)

    def is_alive(self) -> bool:
        """Whether the connection is read."""
        return self._begun and not self._over.is_set()

    def ask_for_reply(self) -> None:
        """See `Transport.ask_for_reply`."""
        self._send_soon(KEEPALIVE)

    def send_payload(self, payload: bytes) -> None:
        """Send a message of a channel; while keys are exchanged, after that. Called in strands."""
        if not self.active:
            return
        if self.clear_to_send.is_set():
            self.packetizer.send(payload)
        else:
            self._postponed.append(payload)

    def _send_soon(self, payload: bytes) -> None:
        """Send a message when no keys are exchanged; paramiko looks ten times a second whether they are."""
        if self._in_strands:
            self.send_payload(payload)
        else:
            self._send_user_message(Message(payload))  # type: ignore[attr-defined]  # not in its stubs

    def _take(self, kind: int, body: bytes) -> bool:  # noqa: ARG002 - for those who have channels
        """Take a message of a channel; False when it is for paramiko."""
        return False

    def _read(self) -> None:
        try:
            self.run()
        finally:
            self._over.set()

    def _log(self, level: int, msg: object, *args: object) -> None:  # noqa: ARG002 - its levels are not ours
        if self._tells:
            for line in msg if isinstance(msg, list) else [msg]:
                log.debug(line, *args)

    def _check_banner(self) -> None:
        """Do not wait for the host's version before the first message, as RFC 4253 section 7.1 allows.

        Nor for the host's offer before the first message of an exchange that hosts are known to want. Only
        where that goes out with our own version: a thread that sends to a host which has hung up would not
        come to read why.
        """
        if isinstance(self.packetizer, Packets):
            self._send_kex_init()
            self._offered_early = True
            if kind := self._kex_info.get(self.foresight.expect(self.title)):
                self._foreseen = Begun(kind, self)
        super()._check_banner()  # type: ignore[misc]  # not in its stubs

    def _send_kex_init(self) -> None:
        if self._offered_early:
            self._offered_early = False  # paramiko's turn to send what was sent already
            return
        with self.clear_to_send_lock:
            self.clear_to_send.clear()
        self.in_kex = True
        offer = compose_offer(
            self.preferred_kex,
            self._host_key_algorithms,
            self.preferred_ciphers,
            self.preferred_macs,
            self.preferred_compression,
        )
        offer = cMSG_KEXINIT + os.urandom(COOKIE_BYTES) + offer
        self.local_kex_init = self._latest_kex_init = offer
        self.packetizer.send(offer)

    def _parse_kex_init(self, m: Message) -> None:
        """Agree on algorithms; what a host offers is offered by many, so that one answer serves them all."""
        first = not self.initial_kex_done
        alike = first and not m.seqno
        key = (m.asbytes()[COOKIE_BYTES:], self._host_key_algorithms)
        if alike and (agreement := AGREEMENTS.recall(key)):
            vars(self).update(agreement.choices)
            self.kex_engine = agreement.engine(self)
            self.remote_kex_init = cMSG_KEXINIT + m.asbytes()[: agreement.size_bytes]
        else:
            super()._parse_kex_init(m)  # type: ignore[misc]  # not in its stubs
            if alike:
                choices = {name: value for name, value in vars(self).items() if name in CHOICES}
                size_bytes = len(self.remote_kex_init) - len(cMSG_KEXINIT)
                AGREEMENTS.remember(key, Agreement(type(self.kex_engine), choices, size_bytes))
        if first:
            self._go_on()

    def _go_on(self) -> None:
        """Go on with the exchange that was begun ahead, when it is the one that we agreed on."""
        kind = type(self.kex_engine)
        name = next(name for name, known in self._kex_info.items() if known is kind)
        self.foresight.note(self.title, name)
        if self._foreseen is not None:
            if self._foreseen.kind is not kind:
                raise Misjudged(f"it wants {name} and not what was begun")
            self.kex_engine = self._foreseen

    def _set_K_H(self, k: int | bytes, h: bytes) -> None:  # noqa: N802 - paramiko's name
        self._foreseen = None
        super()._set_K_H(k, h)  # type: ignore[misc]  # not in its stubs
        self._secret = (mpint(k) if isinstance(k, int) else text(k)) + h

    def _compute_key(self, id: str, nbytes: int) -> bytes:
        """One of six keys (RFC 4253 section 7.2), of a secret that is put into bytes once."""
        digest = self.kex_engine.hash_algo  # type: ignore[union-attr]  # there is one by now, and it has one
        key: bytes = digest(self._secret + id.encode() + (self.session_id or b"")).digest()
        while len(key) < nbytes:
            key += digest(self._secret + key).digest()
        return key[:nbytes]

    def _activate_inbound(self) -> None:
        """Read with the new keys; with AES-GCM there are two, where paramiko makes a third for a MAC."""
        info = self._cipher_info[self.remote_cipher]  # type: ignore[attr-defined]  # not in its stubs
        if not info.get("is_aead"):
            super()._activate_inbound()  # type: ignore[misc]  # not in its stubs
            return
        nonce, key = self._compute_key("B", info["iv-size"]), self._compute_key("D", info["key-size"])
        sealed: dict[str, Any] = {"aead": True, "iv_in": nonce, "mac_engine": None, "mac_key": None}
        self.packetizer.set_inbound_cipher(
            info["class"](key), block_size=info["block-size"], mac_size=_TAG_BYTES, **sealed
        )
        if self.agreed_on_strict_kex:
            self.packetizer.reset_seqno_in()

    def _activate_outbound(self) -> None:
        """Send with the new keys; see `_activate_inbound`."""
        info = self._cipher_info[self.local_cipher]  # type: ignore[attr-defined]  # not in its stubs
        if not info.get("is_aead"):
            super()._activate_outbound()  # type: ignore[misc]  # not in its stubs
            return
        self.packetizer.send(cMSG_NEWKEYS)
        if self.agreed_on_strict_kex:
            self.packetizer.reset_seqno_out()
        nonce, key = self._compute_key("A", info["iv-size"]), self._compute_key("C", info["key-size"])
        sealed: dict[str, Any] = {"aead": True, "iv_out": nonce, "mac_engine": None, "mac_key": None}
        self.packetizer.set_outbound_cipher(
            info["class"](key), block_size=info["block-size"], mac_size=_TAG_BYTES, **sealed
        )
        if not self.packetizer.need_rekey():
            self.in_kex = False
        self._expected_packet = (MSG_NEWKEYS,)

    def _parse_newkeys(self, m: Message) -> None:
        super()._parse_newkeys(m)  # type: ignore[misc]  # not in its stubs
        self._secret = b""
        postponed, self._postponed = self._postponed, []
        for payload in postponed:
            self.send_payload(payload)

    def _really_parse_kex_init(self, m: Message, ignore_first_byte: bool = False) -> dict[str, Any]:
        parsed: dict[str, Any] = super()._really_parse_kex_init(m, ignore_first_byte)  # type: ignore[misc]  # not in its stubs
        self._offered = {name: list(value) for name, value in parsed.items() if isinstance(value, list)}
        return parsed

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        super()._verify_key(host_key, sig)  # type: ignore[misc]  # not in its stubs
        self.host_key_blob = bytes(host_key)

    def _parse_debug(self, m: Message) -> None:
        """Pass over what sshd says of every login; paramiko looks at every letter, though nobody reads it."""
        if self._tells:
            super()._parse_debug(m)  # type: ignore[misc]  # not in its stubs

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        self.farewell = m.get_text()
