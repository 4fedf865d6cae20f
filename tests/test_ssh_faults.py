"""What goes wrong on the way to a host and under a script: each ends in time and is told by its name."""

import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest
from paramiko.common import MSG_KEXINIT

from chargehand.connection import ConnectionSettings
from chargehand.provider import NotStarted, Stop, Unreachable
from chargehand.script import RenderedScript
from chargehand.secret import Secret
from chargehand.ssh import SshProvider
from chargehand.ssh.gate import Gate
from chargehand.ssh.interrupt import Interrupt
from chargehand.ssh.memory import usual_file
from chargehand.ssh.packets import Packets
from chargehand.ssh.transport import SshTransport
from heard import Heard, run
from sshd import Account, Sshd, make_key, wait_until
from strands import at_once

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("runs_in")]

Serve = Callable[[socket.socket], None]
KEY_EXCHANGES = [
    name for name in SshTransport.preferred_kex if not name.startswith("mlkem")
]  # sshd 9.9 has it


class _NoWait(random.Random):
    """Retries at once."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


@pytest.fixture
def provider(kind: type[SshProvider]) -> Iterator[SshProvider]:
    provider = kind(jitter=_NoWait())
    yield provider
    provider.close()


@contextmanager
def peer(serve: Serve) -> Iterator[int]:
    """A port where `serve` talks to everybody who connects."""
    lines: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def talk(line: socket.socket) -> None:
            with suppress(OSError, EOFError):  # who was served may hang up at any moment
                serve(line)

        def answer() -> None:
            with suppress(OSError):
                while True:
                    line, _ = listener.accept()
                    lines.append(line)
                    threads.append(threading.Thread(target=talk, args=(line,)))
                    threads[-1].start()

        threads = [threading.Thread(target=answer)]
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for line in lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for line in lines:
                line.close()


def to(port: int, **changes: object) -> ConnectionSettings:
    values: dict[str, object] = {
        "address": "127.0.0.1",
        "port": port,
        "user": "root",
        "password": Secret("never-sent"),
        "agent": False,
        "known_hosts_files": (),
        "host_key_policy": "off",
        "ssh_config_file": "/dev/null",
        "connect_timeout_s": 1.0,
        "banner_timeout_s": 1.0,
        "auth_timeout_s": 1.0,
        "channel_timeout_s": 1.0,
    }
    return ConnectionSettings(**(values | changes))  # type: ignore[arg-type]


def refusal(provider: SshProvider, settings: ConnectionSettings, within_s: float = 10.0) -> Unreachable:
    before = time.monotonic()
    with pytest.raises(Unreachable) as told:
        provider.open(settings, Stop())
    assert time.monotonic() - before < within_s
    return told.value


def silent(line: socket.socket) -> None:
    while line.recv(4096):
        pass


def saying(*words: bytes) -> Serve:
    def serve(line: socket.socket) -> None:
        for word in words:
            line.sendall(word)
        silent(line)

    return serve


def drip(line: socket.socket) -> None:
    while True:
        line.sendall(b"patience\r\n")
        time.sleep(0.05)


def one_endless_line(line: socket.socket) -> None:
    while True:
        line.sendall(b"x" * 65536)


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def hang_up(line: socket.socket) -> None:
    line.close()


def test_a_closed_port_is_refused_at_once(provider: SshProvider) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = refusal(provider, to(taken.getsockname()[1]))
    assert (told.code, told.again) == ("refused", True)


def test_a_name_that_does_not_exist_is_told(provider: SshProvider) -> None:
    assert refusal(provider, to(22, address="no-such-host.invalid")).code == "dns"


def test_a_resolver_that_hangs_costs_only_its_deadline(
    provider: SshProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(20) and [])
    told = refusal(provider, to(22, address="slow.example"))
    answer.set()
    assert (told.code, told.again) == ("dns", True)


def test_an_address_without_a_route_is_told(provider: SshProvider) -> None:
    assert refusal(provider, to(22, address="fe80::1%lo")).code in {"no-route", "network"}


def test_a_full_backlog_times_out(provider: SshProvider) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        assert refusal(provider, to(listener.getsockname()[1])).code == "timeout"


@pytest.mark.parametrize(
    ("serve", "code", "words"),
    [
        (silent, "banner-timeout", "no SSH version line within 1 s"),
        (drip, "banner-timeout", "`patience`"),
        (one_endless_line, "protocol", "`xxxx"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "banner-timeout", "HTTP/1.1 400"),
        (saying(b"SSH-1.5-old\r\n"), "protocol", "SSH-1.5-old"),
        (saying(b"\xff\x1b[2J\x00\r\n" * 2000), "protocol", r"`\xff\x1b[2J\x00`"),
        (saying(b"SSH-2.0-quiet\r\n"), "banner-timeout", "key exchange was not finished"),
        (saying(b"SSH-2.0-mad\r\n", random.Random(1).randbytes(4096)), "protocol", "not the SSH protocol"),
    ],
)
def test_who_does_not_speak_ssh_is_told_with_what_was_seen(
    provider: SshProvider, capfd: pytest.CaptureFixture[str], serve: Serve, code: str, words: str
) -> None:
    with peer(serve) as port:
        told = refusal(provider, to(port))
    assert (told.code, words in told.reason) == (code, True), told.reason
    assert told.reason.isprintable()
    assert capfd.readouterr() == ("", "")


def test_a_web_server_that_hangs_up_is_told_by_its_words(provider: SshProvider) -> None:
    def serve(line: socket.socket) -> None:
        line.recv(100)
        line.sendall(b"HTTP/1.0 400 Bad\r\n")
        line.close()

    with peer(serve) as port:
        told = refusal(provider, to(port))
    assert (told.code, told.again) == ("protocol", False)


@pytest.mark.parametrize("serve", [reset, hang_up])
def test_who_hangs_up_before_the_version_line_is_tried_five_times(
    provider: SshProvider, serve: Serve
) -> None:
    seen = []

    def count(line: socket.socket) -> None:
        seen.append(line)
        serve(line)

    with peer(count) as port:
        told = refusal(provider, to(port))
    assert (told.code, told.again, len(seen)) == ("throttled", True, 5)


def test_a_server_that_bans_us_is_not_tried_again(provider: SshProvider) -> None:
    seen = []

    def ban(line: socket.socket) -> None:
        seen.append(line)
        line.sendall(b"Not allowed at this time\r\n")
        line.close()

    with peer(ban) as port:
        told = refusal(provider, to(port))
    assert (told.code, len(seen)) == ("refused", 1)


def test_without_a_common_algorithm_that_is_told_with_both_lists_where_they_are_known(
    provider: SshProvider, runs_in: str
) -> None:
    lists = [
        b"diffie-hellman-group14-sha256",
        b"ssh-rsa,ssh-dss",
        b"aes128-ctr",
        b"aes128-ctr",
        b"hmac-sha2-256",
    ]
    lists += [b"hmac-sha2-256", b"none", b"none", b"", b""]
    body = b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(one)) + one for one in lists) + bytes(5)
    padding = 8 - (len(body) + 5) % 8 + 8
    packet = struct.pack(">IB", len(body) + padding + 1, padding) + body + bytes(padding)
    with peer(saying(b"SSH-2.0-old\r\n", packet)) as port:
        told = refusal(provider, to(port))
    assert told.code == "algorithms"
    if runs_in == "stock":
        assert "no acceptable host key" in told.reason
    else:
        assert "ssh-rsa,ssh-dss" in told.reason
        assert "ssh-ed25519" in told.reason


class Stub(paramiko.ServerInterface):
    """A server that misbehaves after the key exchange."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.over = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return str(self.answers.get("methods", "password"))

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """The first login is never decided; the others are, if all is quiet meanwhile."""
        first, self.answers["first"] = self.answers.get("first", True), False
        if first:
            self.over.wait(10)
            return paramiko.AUTH_FAILED
        line = self.answers["line"]
        self.answers["quiet"] = select.select([line], [], [], 0.2) == ([], [], [])
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        if self.answers.get("auth") == "hang":
            self.over.wait(10)
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> object:
        return paramiko.InteractiveQuery("", "", *self.answers["prompts"])  # type: ignore[misc]

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.answers["given"] = responses
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if self.answers.get("channel") == "hang":
            self.over.wait(10)
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self.answers.get("exec") == "close":
            threading.Timer(0.1, channel.close).start()
        return bool(self.answers.get("exec", True))


@contextmanager
def stub(folder: Path, **answers: object) -> Iterator[tuple[int, Stub]]:
    make_key(folder / "stub_key")
    key = paramiko.Ed25519Key.from_private_key_file(str(folder / "stub_key"))
    server = Stub(**answers)
    transports = []

    def serve(line: socket.socket) -> None:
        server.answers["line"] = line
        transport = answers.get("transport", paramiko.Transport)(line)  # type: ignore[operator]
        transport.local_version = answers.get("version", transport.local_version)
        transports.append(transport)
        transport.add_server_key(key)
        transport.start_server(server=server)
        transport.join()

    with peer(serve) as port:
        yield port, server
        server.over.set()
        for transport in transports:
            transport.close()


def test_a_login_that_is_not_decided_ends_at_its_deadline(provider: SshProvider, tmp_path: Path) -> None:
    with stub(tmp_path, auth="hang") as (port, _):
        told = refusal(provider, to(port))
    assert (told.code, told.again) == ("auth-timeout", True)


@pytest.mark.parametrize(
    "prompts",
    [
        [("Verification code: ", False)],
        [("Password: ", False), ("One-time code: ", False)],
        [("Password: ", True)],
    ],
)
def test_a_second_factor_is_told_and_no_password_is_given_to_it(
    provider: SshProvider, tmp_path: Path, prompts: list[tuple[str, bool]]
) -> None:
    with stub(tmp_path, methods="keyboard-interactive", prompts=prompts) as (port, server):
        server.check_auth_password = lambda *_: paramiko.AUTH_FAILED  # type: ignore[method-assign]
        told = refusal(provider, to(port))
    assert told.code == "auth"
    assert f"it asks for more than a password: `{prompts[0][0].strip()}`" in told.reason
    assert "given" not in server.answers


@pytest.mark.parametrize("runs_in", ["thread", "strand"])
def test_a_host_that_only_calls_itself_openssh_is_asked_anew_one_thing_after_the_other(
    provider: SshProvider, tmp_path: Path
) -> None:
    make_key(tmp_path / "key")
    answers = {"methods": "publickey", "version": "SSH-2.0-OpenSSH_9.9", "exec": False}
    login = {"password": None, "private_key_file": str(tmp_path / "key"), "auth_timeout_s": 5.0}
    login |= {"banner_timeout_s": 10.0, "channel_timeout_s": 10.0}
    with stub(tmp_path, **answers) as (port, server), pytest.raises(NotStarted) as told:
        run(provider, to(port, **login), "true\n")
    assert (told.value.code, server.answers["quiet"]) == ("no-start", True)


def curt(line: socket.socket) -> None:
    line.sendall(b"SSH-2.0-curt\r\n")
    line.recv(4096)
    line.close()


def mad(line: socket.socket) -> None:
    line.sendall(b"SSH-2.0-mad\r\n" + random.Random(1).randbytes(4096))
    silent(line)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    ways = {one: other, other: one}
    while True:
        for line in select.select(list(ways), [], [])[0]:
            chunk = line.recv(65536)
            if not chunk:
                return
            ways[line].sendall(chunk)


def make_acquainted(provider: SshProvider, folder: Path) -> None:
    """Let a provider meet a host, and so learn of the key exchange that it wants."""
    with Sshd(folder / "met") as met:
        assert run(provider, met.settings(), "true\n")[0].exit_status == 0


@pytest.mark.parametrize("runs_in", ["strand"])
def test_a_host_that_wants_another_key_exchange_is_asked_anew_and_the_next_one_at_once(
    provider: SshProvider, tmp_path: Path
) -> None:
    make_acquainted(provider, tmp_path)
    with Sshd(tmp_path / "other", lines=["KexAlgorithms ecdh-sha2-nistp256"]) as other:
        for connections in (2, 1):
            before = other.log().count("\nConnection from ")
            assert run(provider, other.settings(), "true\n")[0].exit_status == 0
            assert other.log().count("\nConnection from ") - before == connections


@pytest.mark.parametrize("runs_in", ["strand"])
@pytest.mark.parametrize(
    ("serve", "code", "tries"), [(silent, "banner-timeout", 2), (curt, "protocol", 2), (mad, "protocol", 1)]
)
def test_who_says_nothing_to_a_key_exchange_that_was_begun_ahead_is_asked_anew(
    provider: SshProvider, tmp_path: Path, serve: Serve, code: str, tries: int
) -> None:
    seen = []

    def count(line: socket.socket) -> None:
        seen.append(line)
        if serve is silent:
            line.sendall(b"SSH-2.0-quiet\r\n")
        serve(line)

    make_acquainted(provider, tmp_path)
    with peer(count) as port:
        told = refusal(provider, to(port))
        assert (told.code, len(seen)) == (code, tries), told.reason


@pytest.mark.parametrize("runs_in", ["strand"])
@pytest.mark.parametrize("exchange", KEY_EXCHANGES)
def test_a_key_exchange_that_hosts_want_begins_before_the_next_one_says_so(
    provider: SshProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    told: list[int] = []
    send, agree = Packets.send, SshTransport._parse_kex_init

    def send_and_tell(self: Packets, payload: bytes) -> None:
        told.append(payload[0])
        send(self, payload)

    def agree_and_tell(self: SshTransport, message: paramiko.Message) -> None:
        told.append(-MSG_KEXINIT)
        agree(self, message)

    monkeypatch.setattr(Packets, "send", send_and_tell)
    monkeypatch.setattr(SshTransport, "_parse_kex_init", agree_and_tell)
    begin = 34 if "group-exchange" in exchange else 30
    with Sshd(tmp_path, lines=[f"KexAlgorithms {exchange}"]) as server:
        for order in ([MSG_KEXINIT, -MSG_KEXINIT, begin], [MSG_KEXINIT, begin, -MSG_KEXINIT]):
            told.clear()
            assert run(provider, server.settings(), "true\n")[0].exit_status == 0
            assert told[:3] == order


@pytest.mark.parametrize("runs_in", ["strand"])
def test_the_key_exchange_against_quantum_computers_begins_ahead_too(
    provider: SshProvider, tmp_path: Path
) -> None:
    lines = set()
    with stub(tmp_path, exec=False) as (port, server):
        for _ in range(2):
            with pytest.raises(NotStarted) as told:
                run(provider, to(port), "true\n")
            assert told.value.code == "no-start"
            lines.add(server.answers["line"])
        assert len(lines) == 2
        assert provider._foresight.expect(f"127.0.0.1:{port}") == "mlkem768x25519-sha256"


@pytest.mark.parametrize("runs_in", ["strand"])
@pytest.mark.parametrize(
    ("kept", "connections"),
    [
        (None, 1),
        ("no JSON", 1),
        ('["127.0.0.1"]', 1),
        ('{"curve25519-sha256": 22}', 1),
        ('{"of-tomorrow": ["127.0.0.1:PORT"]}', 1),
        ('{"curve25519-sha256@libssh.org": ["127.0.0.1:PORT"]}', 1),
        ('{"ecdh-sha2-nistp256": ["127.0.0.1:PORT"]}', 2),
    ],
)
def test_what_a_host_wants_is_remembered_for_the_next_command_and_corrected(
    sshd: Sshd, tmp_path: Path, kept: str | None, connections: int
) -> None:
    memory = tmp_path / "cache" / "file.json"
    if kept is not None:
        memory.parent.mkdir()
        memory.write_text(kept.replace("PORT", str(sshd.port)))
    for expected in (connections, 1):
        before = sshd.log().count("\nConnection from ")
        provider = SshProvider(memory=memory)
        assert run(provider, sshd.settings(), "true\n")[0].exit_status == 0
        provider.close()
        assert sshd.log().count("\nConnection from ") - before == expected
        kept_now = json.loads(memory.read_text())
        assert kept_now.get("curve25519-sha256@libssh.org", []) == [f"127.0.0.1:{sshd.port}"]
        assert kept or memory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("runs_in", ["strand"])
def test_a_host_that_does_not_bear_what_goes_ahead_is_remembered_too(sshd: Sshd, tmp_path: Path) -> None:
    seen = []

    def touchy(line: socket.socket) -> None:
        seen.append(line)
        with socket.create_connection((sshd.addresses[0], sshd.port)) as host:
            line.sendall(host.recv(256))
            said = line.recv(65536)
            version = said.index(b"\n") + 1
            (size,) = struct.unpack_from(">I", said, version)
            if len(said) > version + 4 + size:
                line.close()
                return
            host.sendall(said)
            relay(line, host)

    with peer(touchy) as port:
        for connections in (2, 1):
            provider = SshProvider(memory=tmp_path / "memory.json")
            make_acquainted(provider, tmp_path)
            seen.clear()
            known = to(port, private_key_file=str(sshd.client_key), password=None)
            assert run(provider, known, "true\n")[0].exit_status == 0
            provider.close()
            assert len(seen) == connections


@pytest.mark.parametrize("runs_in", ["thread"])
def test_what_hosts_want_is_remembered_below_a_home_that_is_there_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    assert usual_file() is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert usual_file() == tmp_path / ".cache/chargehand/key-exchanges.json"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert usual_file() == tmp_path / "cache/chargehand/key-exchanges.json"


def test_a_memory_that_cannot_be_written_is_done_without(sshd: Sshd) -> None:
    provider = SshProvider(memory=Path("/dev/null/file.json"))
    assert run(provider, sshd.settings(), "true\n")[0].exit_status == 0
    provider.close()


class Forgetful(paramiko.Transport):
    """Never answers the first request for a channel."""

    forgotten = False

    def _parse_channel_open(self, message: paramiko.Message) -> None:
        if self.forgotten:
            super()._parse_channel_open(message)  # type: ignore[misc]  # not in its stubs
        self.forgotten = self.channels_seen[0] = True  # what is for a channel that was there is ignored


@pytest.mark.parametrize("runs_in", ["thread", "strand"])
def test_a_channel_that_was_asked_for_too_early_is_asked_for_again(
    provider: SshProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chargehand.ssh.transport.PATIENCE_S", 0.3)
    make_key(tmp_path / "key")
    answers = {"version": "SSH-2.0-OpenSSH_9.9", "exec": False, "first": False, "transport": Forgetful}
    login = {"password": None, "private_key_file": str(tmp_path / "key"), "auth_timeout_s": 5.0}
    login |= {"banner_timeout_s": 10.0, "channel_timeout_s": 10.0}
    with stub(tmp_path, methods="publickey", **answers) as (port, _), pytest.raises(NotStarted) as told:
        run(provider, to(port, **login), "true\n")
    assert told.value.code == "no-start"


def test_a_channel_that_is_never_opened_ends_at_its_deadline(provider: SshProvider, tmp_path: Path) -> None:
    with stub(tmp_path, channel="hang") as (port, _), pytest.raises(NotStarted) as told:
        run(provider, to(port), "true\n")
    assert told.value.code == "channel"


@pytest.mark.parametrize("answer", [False, "close"])
def test_a_server_that_refuses_or_closes_the_command_did_not_start_it(
    provider: SshProvider, tmp_path: Path, answer: object
) -> None:
    with stub(tmp_path, exec=answer) as (port, _), pytest.raises(NotStarted) as told:
        run(provider, to(port), "true\n")
    assert told.value.code == "no-start"


def test_a_server_without_sessions_refuses_the_channel(provider: SshProvider, tmp_path: Path) -> None:
    with Sshd(tmp_path, lines=["MaxSessions 0"]) as server, pytest.raises(NotStarted) as told:
        run(provider, server.settings(), "true\n")
    assert told.value.code == "channel"


def test_a_forced_command_is_no_start_and_its_words_are_kept(provider: SshProvider, tmp_path: Path) -> None:
    with (
        Sshd(tmp_path, lines=["ForceCommand echo only backups here"]) as server,
        pytest.raises(NotStarted) as told,
    ):
        run(provider, server.settings(), "true\n")
    assert told.value.code == "no-start"
    assert "only backups here" in told.value.noise


def test_an_agent_that_hangs_is_left_out(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: SshProvider
) -> None:
    monkeypatch.setattr("chargehand.ssh.identity.AGENT_TIMEOUT_S", 0.3)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen(4)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert run(provider, sshd.settings(agent=True), "true\n")[0].exit_status == 0
        told = refusal(provider, sshd.settings(agent=True, private_key_file=None))
    assert (told.code, "ssh-agent does not answer" in told.reason) == ("auth", True)


# The stop button


def test_the_stop_button_ends_a_handshake_at_once(provider: SshProvider) -> None:
    with peer(silent) as port:
        pressed_at: list[float] = []
        stop = Stop()
        threading.Timer(0.3, lambda: (pressed_at.append(time.monotonic()), stop.press("cancelled"))).start()
        with pytest.raises(Unreachable) as told:
            provider.open(to(port, banner_timeout_s=30.0), stop)
        assert told.value.code == "cancelled"
        assert time.monotonic() - pressed_at[0] < 10


def test_the_stop_button_ends_the_wait_between_tries() -> None:
    provider = SshProvider()
    with peer(hang_up) as port:
        stop = Stop()
        threading.Timer(0.2, stop.press, ["deadline"]).start()
        before = time.monotonic()
        with pytest.raises(Unreachable) as told:
            provider.open(to(port), stop)
    provider.close()
    assert told.value.code == "deadline"
    assert time.monotonic() - before < 10


def test_a_gate_lets_so_many_in_and_gives_their_places_on() -> None:
    gate, inside, most = Gate(3), [0], [0]
    lock = threading.Lock()

    def pass_through(_: int) -> None:
        with gate.passing("web1", Interrupt(Stop())):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(pass_through, range(60)))
    assert (most[0], inside[0]) == (3, 0)


# Many at once


@pytest.mark.root
def test_a_hundred_at_once_to_a_default_sshd_all_arrive(kind: type[SshProvider], tmp_path: Path) -> None:
    """By an account of their own: what root's start-up files cost is none of our business."""
    provider = kind()
    with Account() as account, Sshd(tmp_path, max_startups="10:30:100") as server:
        patience = {"banner_timeout_s": 60, "auth_timeout_s": 60, "start_timeout_s": 120}
        settings = server.settings(user=account.name, **patience)
        endings = at_once(lambda _: run(provider, settings, "true\n")[0].exit_status, range(100))
    provider.close()
    assert endings == [0] * 100


# Under a running script


def test_a_connection_that_is_cut_leaves_the_end_unknown(provider: SshProvider, tmp_path: Path) -> None:
    with Sshd(tmp_path) as server:

        def cut() -> None:
            for pid in server.sessions():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        ending, heard = run(provider, server.settings(), "echo before; sleep 20\n", Heard(at_start=cut))
    assert (ending.code, ending.exit_status) == ("connection-lost", None)
    assert heard.starts == 1


def test_a_server_that_freezes_is_noticed_though_its_kernel_answers(
    provider: SshProvider, tmp_path: Path
) -> None:
    with Sshd(tmp_path) as server:
        frozen: list[int] = []
        frozen_at: list[float] = []

        def freeze() -> None:
            frozen_at.append(time.monotonic())
            frozen.extend(server.sessions())
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)

        settings = server.settings(keepalive_s=0.5)
        ending, _ = run(provider, settings, "sleep 30\n", Heard(at_start=freeze))
        assert (ending.code, "3 questions unanswered" in ending.lost) == ("no-reply", True)
        assert time.monotonic() - frozen_at[0] < 20
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_keepalives_that_are_answered_keep_a_silent_script_going(provider: SshProvider, sshd: Sshd) -> None:
    ending, _ = run(provider, sshd.settings(keepalive_s=0.7), "sleep 3\n")
    assert (ending.exit_status, ending.lost) == (0, "")


def test_a_black_hole_is_noticed(provider: SshProvider, sshd: Sshd) -> None:
    hole = threading.Event()

    def forward(line: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", sshd.port)) as there:

            def carry(source: socket.socket, target: socket.socket) -> None:
                with suppress(OSError):
                    while chunk := source.recv(65536):
                        if not hole.is_set():
                            target.sendall(chunk)
                    target.shutdown(socket.SHUT_RDWR)

            back = threading.Thread(target=carry, args=(there, line))
            back.start()
            carry(line, there)
            back.join()

    with peer(forward) as port:
        settings = sshd.settings(port=port, known_hosts_files=(), host_key_policy="off", keepalive_s=0.3)
        ending, _ = run(provider, settings, "sleep 30\n", Heard(at_start=hole.set))
    assert ending.code == "no-reply"


def test_keys_are_exchanged_anew_in_the_middle_of_a_big_output(provider: SshProvider, tmp_path: Path) -> None:
    with Sshd(tmp_path, lines=["RekeyLimit 1M"], log_level="DEBUG1") as server:
        ending, heard = run(provider, server.settings(), "head -c 30000000 /dev/zero; echo end\n")
        assert ending.exit_status == 0
        assert len(heard.stdout) == 30_000_004
        assert server.log().count("rekey") > 10


def test_a_reader_that_does_not_read_makes_the_host_wait(provider: SshProvider, sshd: Sshd) -> None:
    session = provider.open(sshd.settings(), Stop())
    channel = session.start("exec head -c 50000000 /dev/zero", pty=False)
    wait_until(lambda: channel._command.waiting_bytes > 1_000_000)
    held = -1
    while held != (held := channel._command.waiting_bytes):
        time.sleep(0.2)
    assert held <= 2_200_000
    received = 0
    while not (piece := channel.receive(5)).closed:
        received += len(piece.stdout)
    session.close()
    assert received == 50_000_000


def test_a_wake_ends_a_wait_and_is_not_lost(provider: SshProvider, sshd: Sshd) -> None:
    session = provider.open(sshd.settings(), Stop())
    channel = session.start("exec sleep 20", pty=False)
    channel.wake()
    before = time.monotonic()
    assert channel.receive(10).stdout == b""
    threading.Timer(0.2, channel.wake).start()
    channel.receive(10)
    session.close()
    assert time.monotonic() - before < 8


def test_both_streams_of_many_small_pieces_arrive_whole(provider: SshProvider, sshd: Sshd) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done\n"
    _, heard = run(provider, sshd.settings(), script)
    for stream, letter in ((heard.stdout, "o"), (heard.stderr, "e")):
        assert stream == "".join(f"{letter}{number}\n" for number in range(3000)).encode()


def test_a_script_longer_than_any_window_arrives_whole(provider: SshProvider, sshd: Sshd) -> None:
    content = ": " + "x" * 6_000_000 + "\necho whole\n"
    session = provider.open(sshd.settings(), Stop())
    heard = Heard()
    ending = session.run(RenderedScript(content=content.encode()), heard, Stop())
    session.close()
    assert (ending.exit_status, heard.stdout) == (0, b"whole\n")


@pytest.mark.parametrize("runs_in", ["thread"])
def test_a_channel_closed_while_another_thread_sends_leaves_its_neighbours_alone(
    provider: SshProvider, sshd: Sshd
) -> None:
    """Data after CLOSE would make sshd end the whole connection."""
    session = provider.open(sshd.settings(), Stop())
    transport = session._link.transport
    with peer(silent) as port:

        def send_until_closed(channel: paramiko.Channel) -> None:
            with suppress(OSError):
                while channel.send(b"x" * 64):
                    pass

        for _ in range(150):
            channel = transport.open_orderly("direct-tcpip", target=("127.0.0.1", port), timeout_s=10)
            senders = [threading.Thread(target=send_until_closed, args=(channel,)) for _ in range(3)]
            for sender in senders:
                sender.start()
            channel.close()
            for sender in senders:
                sender.join()
    last = session.start("echo alive", pty=False)
    assert last.receive(10).stdout == b"alive\n"
    session.close()


# What this machine lacks

SHORT_OF_DESCRIPTORS = """
import getpass
import os, resource, sys
from chargehand.connection import ConnectionSettings
from chargehand.provider import Stop, Unreachable
from chargehand.ssh import SshProvider

settings = ConnectionSettings(
    address="127.0.0.1", port=int(sys.argv[1]), user=getpass.getuser(),
    private_key_file=sys.argv[2], agent=False, known_hosts_files=(sys.argv[3],), ssh_config_file="/dev/null",
)
provider, sessions = SshProvider(), []
sessions.append(provider.open(settings, Stop()))
resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
try:
    for _ in range(20):
        sessions.append(provider.open(settings, Stop()))
except Unreachable as told:
    print(len(sessions) > 1, told.code, told.again)
for session in sessions:
    session.close()
provider.close()
"""


def test_a_machine_without_descriptors_says_so_and_goes_on(sshd: Sshd) -> None:
    command = [
        sys.executable,
        "-c",
        SHORT_OF_DESCRIPTORS,
        str(sshd.port),
        str(sshd.client_key),
        str(sshd.known_hosts),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True no-descriptors True\n", "")


def test_known_hosts_that_cannot_be_read_are_no_empty_ones(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    told = refusal(provider, sshd.settings(known_hosts_files=(str(tmp_path),), host_key_policy="off"))
    assert str(tmp_path) in told.reason
