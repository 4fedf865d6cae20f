"""SSH against real servers: who is who, and how a host is reached."""

import dataclasses
import getpass
import logging
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko.common import (
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_REQUEST,
    MSG_SERVICE_REQUEST,
    MSG_USERAUTH_REQUEST,
)
from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.ssh_exception import SSHException

from chargehand.beside import begin
from chargehand.connection import ConnectionSettings, JumpHost
from chargehand.provider import Stop, Unreachable, find_provider
from chargehand.secret import Secret
from chargehand.ssh import SshProvider
from chargehand.ssh.config import SshConfig
from chargehand.ssh.hostkey import HostKey, KnownHosts, Verdict, lookup_name
from chargehand.ssh.identity import KeyRing, Locked
from chargehand.ssh.packets import Packets, PlainPackets, _Seal
from chargehand.ssh.route import find
from chargehand.ssh.transport import SshTransport
from chargehand.strand import Signal
from heard import Heard, run
from sshd import Account, Sshd, make_key, wait_until
from strands import at_once

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("runs_in")]


@pytest.fixture
def fresh(kind: type[SshProvider]) -> Iterator[Callable[[], SshProvider]]:
    """Makes providers that share nothing, and closes them."""
    made: list[SshProvider] = []

    def make() -> SshProvider:
        made.append(kind())
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def provider(fresh: Callable[[], SshProvider]) -> SshProvider:
    return fresh()


def refusal(provider: SshProvider, settings: ConnectionSettings) -> Unreachable:
    with pytest.raises(Unreachable) as told:
        provider.open(settings, Stop())
    return told.value


def test_the_provider_is_found_by_its_name() -> None:
    assert find_provider("ssh") is SshProvider


UNTRIED = """
import sys, paramiko
paramiko.__version__ = "99.0"
from chargehand.connection import ConnectionSettings
from chargehand.ssh import SshProvider, StockSshProvider
from heard import Heard, run
provider = SshProvider()
print(provider.strands, provider.kind.__name__, "chargehand.ssh.transport" in sys.modules)
address, port, key, known = sys.argv[1:]
files = {"private_key_file": key, "known_hosts_files": (known,), "ssh_config_file": "/dev/null"}
settings = ConnectionSettings(address=address, port=int(port), **files)
ending, heard = run(provider, settings, "echo hello\\n")
provider.close()
print(ending.exit_status, heard.stdout)
"""


def test_a_paramiko_that_was_not_tried_is_used_as_it_is(sshd: Sshd) -> None:
    words = [sshd.addresses[0], str(sshd.port), str(sshd.client_key), str(sshd.known_hosts)]
    line = [sys.executable, "-c", UNTRIED, *words]
    done = subprocess.run(line, check=True, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.stdout == "False StockTransport False\n0 b'hello\\n'\n"
    assert done.stderr.count("paramiko 99.0 was not tried") == 1


def test_a_script_runs_and_its_streams_and_status_come_back_apart(provider: SshProvider, sshd: Sshd) -> None:
    ending, heard = run(provider, sshd.settings(), "echo out; echo err >&2; exit 3\n")
    assert (ending.exit_status, ending.lost) == (3, "")
    assert (heard.stdout, heard.stderr, heard.starts) == (b"out\n", b"err\n", 1)


def test_nothing_of_a_closed_session_stays_behind(sshd: Sshd, capfd: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    provider = SshProvider()
    run(provider, sshd.settings(), "true\n")
    refusal(provider, sshd.settings(known_hosts_files=()))
    provider.close()
    assert set(threading.enumerate()) <= before
    assert capfd.readouterr() == ("", "")


# Host keys


def test_an_unknown_host_key_is_refused_before_any_login(provider: SshProvider, tmp_path: Path) -> None:
    with Sshd(tmp_path, log_level="DEBUG1") as server:
        told = refusal(provider, server.settings(known_hosts_files=(str(tmp_path / "none"),)))
        shown = subprocess.check_output(
            ["ssh-keygen", "-l", "-f", f"{server.host_key}.pub"], text=True
        ).split()[1]
        assert told.code == "host-key-unknown"
        assert shown in told.reason
        assert not told.again
        assert "userauth-request" not in server.log()
        run(provider, server.settings(), "true\n")
        assert "userauth-request" in server.log()


def test_the_command_that_a_refusal_names_makes_the_host_known(
    fresh: Callable[[], SshProvider], provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    settings = sshd.settings(known_hosts_files=(str(tmp_path / "it's here"),))
    command = refusal(provider, settings).reason.partition("if that is its key: ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    assert run(fresh(), settings, "true\n")[0].exit_status == 0


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_changed_host_key_is_refused_before_any_login(
    provider: SshProvider, tmp_path: Path, policy: str
) -> None:
    with Sshd(tmp_path, log_level="DEBUG1") as server:
        server.swap_host_key()
        told = refusal(provider, server.settings(host_key_policy=policy))
        assert told.code == "host-key-changed"
        assert "ssh-keygen -R" in told.reason
        assert "userauth-request" not in server.log()


@pytest.mark.parametrize("policy", ["strict", "accept-new", "off"])
def test_a_revoked_host_key_is_refused_by_every_policy(
    provider: SshProvider, sshd: Sshd, tmp_path: Path, policy: str
) -> None:
    public = sshd.host_key.with_suffix(".pub").read_text()
    known = tmp_path / "known_hosts"
    known.write_text(f"@revoked * {public}" + sshd.known_hosts.read_text())
    told = refusal(provider, sshd.settings(known_hosts_files=(str(known),), host_key_policy=policy))
    assert told.code == "host-key-revoked"


def test_off_accepts_any_key_and_says_so(
    provider: SshProvider, sshd: Sshd, caplog: pytest.LogCaptureFixture
) -> None:
    run(provider, sshd.settings(known_hosts_files=(), host_key_policy="off"), "true\n")
    assert "was not checked" in caplog.text


def test_accept_new_records_a_key_once_however_many_meet_it(
    fresh: Callable[[], SshProvider], sshd: Sshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = tmp_path / "new" / "known_hosts"
    settings = sshd.settings(known_hosts_files=(str(known),), host_key_policy="accept-new")
    providers = [fresh() for _ in range(4)]
    endings = at_once(lambda number: run(providers[number % 4], settings, "true\n")[0], range(16))
    assert [ending.exit_status for ending in endings] == [0] * 16
    assert known.read_text() == sshd.known_hosts.read_text()
    assert known.stat().st_mode & 0o777 == 0o600
    assert caplog.text.count("recorded its new host key") == 1
    strict = sshd.settings(known_hosts_files=(str(known),))
    assert run(providers[0], strict, "true\n")[0].exit_status == 0


def test_of_several_host_keys_the_one_that_is_known_is_asked_for(
    provider: SshProvider, tmp_path: Path
) -> None:
    for kind in ("ecdsa", "rsa"):
        make_key(tmp_path / kind, kind=kind)
    lines = [f"HostKey {tmp_path / kind}" for kind in ("ecdsa", "rsa")]
    with Sshd(tmp_path, lines=lines) as server:
        for kind in ("ecdsa", "rsa"):
            known = tmp_path / f"known_{kind}"
            known.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / f'{kind}.pub').read_text()}")
            settings = server.settings(known_hosts_files=(str(known),))
            assert run(provider, settings, "true\n")[0].exit_status == 0


@pytest.mark.parametrize("runs_in", ["thread", "strand"])
@pytest.mark.parametrize(
    ("principals", "validity", "expected"),
    [
        ("127.0.0.1", "-1h:+1h", ""),
        ("elsewhere", "-1h:+1h", "host-key-unknown"),
        ("127.0.0.1", "-2h:-1h", "host-key-unknown"),
    ],
)
def test_a_host_certificate_counts_when_its_authority_says_it_is_this_host_now(
    provider: SshProvider, tmp_path: Path, principals: str, validity: str, expected: str
) -> None:
    make_key(tmp_path / "authority")
    make_key(tmp_path / "host_key")
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "host", "-h", "-n", principals]
    subprocess.run([*sign, "-V", validity, str(tmp_path / "host_key.pub")], check=True)
    known = tmp_path / "authorities"
    known.write_text(f"@cert-authority [127.0.0.1]:* {(tmp_path / 'authority.pub').read_text()}")
    with Sshd(tmp_path, lines=[f"HostCertificate {tmp_path / 'host_key-cert.pub'}"]) as server:
        settings = server.settings(known_hosts_files=(str(known),))
        if expected:
            assert refusal(provider, settings).code == expected
        else:
            assert run(provider, settings, "true\n")[0].exit_status == 0


NAMES = ["web1", "web2", "db.example.org", "[web1]:2222", "[10.0.0.7]:22022", "10.0.0.7"]


@pytest.mark.parametrize(
    "field",
    [
        "web1",
        "web*",
        "web?,db.example.org",
        "*,!web1",
        "web1,10.0.0.7",
        "[web1]:2222",
        "[*]:2222",
        "!web1,web*",
        "WEB1",
    ],
)
@pytest.mark.parametrize("hashed", [False, True])
def test_known_hosts_are_matched_as_openssh_matches_them(field: str, hashed: bool, tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    known = tmp_path / "known_hosts"
    known.write_text(f"# a comment\n\n{field} {(tmp_path / 'key.pub').read_text()}")
    if hashed:
        subprocess.run(["ssh-keygen", "-H", "-f", str(known)], check=True, capture_output=True)
    ours = [name for name in NAMES if KnownHosts([known]).find(name)]
    search = ["ssh-keygen", "-f", str(known), "-F"]
    theirs = [
        name
        for name in NAMES
        if subprocess.run([*search, name], capture_output=True, check=False).returncode == 0
    ]
    assert ours == theirs


def test_a_key_kept_without_the_port_stands_for_every_port(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    make_key(tmp_path / "other")
    known = tmp_path / "known_hosts"
    known.write_text(f"web1 {(tmp_path / 'key.pub').read_text()}")
    hosts, now = KnownHosts([known]), datetime.now(UTC)
    key, other = (
        HostKey(KnownHosts([_one_line(tmp_path / name)]).find("x")[0].key.blob) for name in ("key", "other")
    )
    assert hosts.judge(lookup_name("web1", 2222), key, now) is Verdict.KNOWN
    assert hosts.judge(lookup_name("web1", 2222), other, now) is Verdict.UNKNOWN
    assert hosts.judge(lookup_name("web1", 22), other, now) is Verdict.CHANGED


def test_a_garbled_line_is_passed_over_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_key(tmp_path / "key")
    known = tmp_path / "known_hosts"
    known.write_text(f"web1 ssh-ed25519\nweb1 {(tmp_path / 'key.pub').read_text()}")
    assert len(KnownHosts([known]).find("web1")) == 1
    assert f"{known}:1" in caplog.text


def _one_line(key: Path) -> Path:
    file = key.with_name(f"{key.name}.known")
    file.write_text(f"x {key.with_suffix('.pub').read_text()}")
    return file


# Logging in


def test_a_key_the_host_does_not_know_is_shown_once(provider: SshProvider, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with Sshd(tmp_path) as server:
        told = refusal(provider, server.settings(private_key_file=str(tmp_path / "stranger")))
        assert (told.code, told.again) == ("auth", False)
        assert "stranger" in told.reason
        assert server.log().count("Failed publickey") <= 1
        assert "Accepted" not in server.log()


@pytest.mark.root
def test_a_password_logs_in_and_a_wrong_one_is_offered_once(
    provider: SshProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Account(password="right horse") as account, Sshd(tmp_path) as server:
        settings = {"user": account.name, "private_key_file": None, "ssh_config_file": "/dev/null"}
        right = server.settings(**settings, password=Secret("right horse"))
        assert run(provider, right, "id -un\n")[1].stdout.decode().strip() == account.name
        told = refusal(provider, server.settings(**settings, password=Secret("wrong horse")))
        assert told.code == "auth"
        assert "horse" not in told.reason
        assert server.log().count("Failed password") == 1
    assert caplog.text
    assert "horse" not in caplog.text


@pytest.mark.root
def test_a_password_answers_the_one_prompt_of_keyboard_interactive(
    provider: SshProvider, tmp_path: Path
) -> None:
    lines = ["PasswordAuthentication no", "KbdInteractiveAuthentication yes"]
    with Account(password="right horse") as account, Sshd(tmp_path, lines=lines) as server:
        settings = server.settings(user=account.name, private_key_file=None, password=Secret("right horse"))
        assert run(provider, settings, "true\n")[0].exit_status == 0
        assert "Accepted keyboard-interactive" in server.log()


@pytest.mark.root
def test_a_host_that_wants_a_key_and_a_password_gets_both(provider: SshProvider, tmp_path: Path) -> None:
    lines = ["AuthenticationMethods publickey,password"]
    with Account(password="right horse") as account, Sshd(tmp_path, lines=lines) as server:
        both = server.settings(user=account.name, password=Secret("right horse"))
        assert run(provider, both, "true\n")[0].exit_status == 0
        told = refusal(provider, server.settings(user=account.name))
        assert (told.code, "not enough" in told.reason) == ("auth", True)


@pytest.mark.parametrize("runs_in", ["thread", "strand"])
def test_to_openssh_a_command_goes_out_with_the_login_but_nothing_of_the_script(
    provider: SshProvider, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int | str] = []
    send, send_in_threads, log_in = Packets.send, PlainPackets.send_message, SshTransport.auth_publickey

    def send_and_tell(self: Packets, payload: bytes) -> None:
        told.append(payload[0])
        send(self, payload)

    def send_in_threads_and_tell(self: PlainPackets, message: Message) -> None:
        told.append(message.asbytes()[0])
        send_in_threads(self, message)

    def log_in_and_tell(self: SshTransport, *words: Any) -> list[str]:
        missing = log_in(self, *words)
        told.append("we are in")
        return missing

    monkeypatch.setattr(Packets, "send", send_and_tell)
    monkeypatch.setattr(PlainPackets, "send_message", send_in_threads_and_tell)
    monkeypatch.setattr(SshTransport, "auth_publickey", log_in_and_tell)
    assert run(provider, sshd.settings(), "echo hello\n")[0].exit_status == 0
    login = told[told.index(MSG_SERVICE_REQUEST) : told.index("we are in")]
    assert login == [MSG_SERVICE_REQUEST, MSG_USERAUTH_REQUEST, MSG_CHANNEL_OPEN, MSG_CHANNEL_REQUEST]
    assert told.count(MSG_CHANNEL_OPEN) == 1


@pytest.mark.parametrize("runs_in", ["thread", "strand"])
def test_a_key_that_is_refused_along_with_its_command_leaves_the_next_one_its_turn(
    provider: SshProvider, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    make_key(tmp_path / "wrong")
    with Sshd(tmp_path / "server", log_level="DEBUG1") as server:
        config.write_text(f"IdentityFile {tmp_path / 'wrong'}\nIdentityFile {server.client_key}\n")
        settings = server.settings(private_key_file=None, ssh_config_file=str(config))
        ending, heard = run(provider, settings, "echo hello\n")
        assert (ending.exit_status, heard.stdout) == (0, b"hello\n")
        assert "dispatch_protocol_error: type 90" in server.log()
        assert server.log().count("Starting session: command") == 1


def test_an_encrypted_key_needs_its_passphrase_and_a_wrong_one_costs_no_connection(
    provider: SshProvider, tmp_path: Path
) -> None:
    make_key(tmp_path / "client_key", passphrase="open sesame")
    with Sshd(tmp_path) as server:
        right = server.settings(key_passphrase=Secret("open sesame"))
        assert run(provider, right, "true\n")[0].exit_status == 0
        seen = server.log().count("Connection from")
        wrong = refusal(provider, server.settings(key_passphrase=Secret("open says me")))
        assert wrong.code == "key-passphrase"
        assert "says" not in wrong.reason
        assert server.log().count("Connection from") == seen
        missing = refusal(provider, server.settings())
        assert missing.code == "auth"
        assert "is encrypted, and no passphrase was given" in missing.reason


def test_of_many_keys_an_agent_holds_six_are_shown_and_the_rest_is_told(
    provider: SshProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [tmp_path / f"key{number}" for number in range(8)]
    for key in keys:
        make_key(key)
    with Sshd(tmp_path) as server, ssh_agent(tmp_path, *keys) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        told = refusal(provider, server.settings(private_key_file=None, agent=True))
        assert told.code == "auth"
        assert "2 more keys not tried" in told.reason
        assert server.log().count("Failed publickey") <= 6


def test_a_key_can_be_given_as_text(provider: SshProvider, sshd: Sshd) -> None:
    text = Secret(sshd.client_key.read_text())
    settings = sshd.settings(private_key_file=None, private_key=text)
    assert run(provider, settings, "true\n")[0].exit_status == 0


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_every_format_of_openssh_is_read(kind: str, form: str, passphrase: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    size = ["-b", "2048"] if kind == "rsa" else []
    make = ["ssh-keygen", "-q", "-t", kind, *size, "-m", form, "-N", passphrase, "-f", str(path)]
    subprocess.run(make, check=True, capture_output=True)
    ring = KeyRing()
    if passphrase:
        with pytest.raises(Locked):
            ring.from_file(path, None)
    (identity,) = ring.from_file(path, Secret(passphrase or "more than is needed"))
    assert identity.key.get_base64() == path.with_suffix(".pub").read_text().split()[1]
    assert ring.from_file(path, Secret(passphrase or "more than is needed"))[0] is identity


def test_what_is_no_key_is_told_before_any_connection(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("buy milk\n")
    for name in ("note", "absent"):
        told = refusal(provider, sshd.settings(private_key_file=str(tmp_path / name)))
        assert (told.code, "milk" in told.reason) == ("key", False)


@pytest.mark.root
def test_a_user_certificate_beside_the_key_is_shown(provider: SshProvider, tmp_path: Path) -> None:
    make_key(tmp_path / "authority")
    make_key(tmp_path / "mine")
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "me", "-n", "root"]
    subprocess.run([*sign, str(tmp_path / "mine.pub")], check=True)
    with Sshd(tmp_path, lines=[f"TrustedUserCAKeys {tmp_path / 'authority.pub'}"]) as server:
        settings = server.settings(private_key_file=str(tmp_path / "mine"))
        assert run(provider, settings, "true\n")[0].exit_status == 0
        assert "Accepted certificate ID" in server.log()


@contextmanager
def ssh_agent(folder: Path, *keys: Path) -> Iterator[str]:
    path = str(folder / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        environ = {"SSH_AUTH_SOCK": path}
        while (
            subprocess.run(["ssh-add", "-l"], env=environ, check=False, capture_output=True).returncode == 2
        ):
            assert agent.poll() is None
        subprocess.run(["ssh-add", "-q", *map(str, keys)], env=environ, check=True, capture_output=True)
        yield path
    finally:
        agent.terminate()
        agent.wait()


def test_the_agent_signs_for_many_hosts_at_once(
    provider: SshProvider, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path / "other")
    with ssh_agent(tmp_path, tmp_path / "other", sshd.client_key) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        settings = sshd.settings(private_key_file=None, agent=True)
        assert at_once(lambda _: run(provider, settings, "true\n")[0].exit_status, range(8)) == [0] * 8
        told = refusal(provider, sshd.settings(private_key_file=None, agent=False))
        assert "nothing to log in with" in told.reason


def test_hosts_that_come_while_the_agent_is_asked_wait_for_it_in_their_own_way(
    fresh: Callable[[], SshProvider], sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ssh_agent(tmp_path, sshd.client_key) as path, closing(fresh()) as provider:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        statuses: list[int | None] = []

        def visit(settings: ConnectionSettings) -> None:
            statuses.append(run(provider, settings, "true\n")[0].exit_status)

        by_agent = sshd.settings(private_key_file=None, agent=True)
        for settings in (by_agent, by_agent, sshd.settings(), sshd.settings(agent=True)):
            begin(partial(visit, settings), "visit")
        wait_until(lambda: statuses == [0] * 4, 20, "all are let in")


def test_an_agent_that_hangs_keeps_no_host_waiting_that_does_not_ask_it(
    fresh: Callable[[], SshProvider], sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chargehand.ssh.identity.AGENT_TIMEOUT_S", 4.0)
    with socket.socket(socket.AF_UNIX) as agent, closing(fresh()) as provider:
        agent.bind(str(tmp_path / "agent"))
        agent.listen(4)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        order: list[str] = []

        def visit(name: str, settings: ConnectionSettings) -> None:
            run(provider, settings, "true\n")
            order.append(name)

        begin(partial(visit, "asks", sshd.settings(agent=True)), "asks")
        begin(partial(visit, "asks not", sshd.settings()), "asks not")
        wait_until(lambda: len(order) == 2, 20, "both are let in")
    assert order == ["asks not", "asks"]


def test_with_identities_only_the_agent_shows_no_other_key(
    fresh: Callable[[], SshProvider], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path / "other")
    with Sshd(tmp_path) as server, ssh_agent(tmp_path, tmp_path / "other", server.client_key) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        config = tmp_path / "config"
        config.write_text(f"IdentitiesOnly yes\nIdentityFile {tmp_path / 'elsewhere'}\n")
        (tmp_path / "elsewhere.pub").write_text(server.client_key.with_suffix(".pub").read_text())
        settings = server.settings(private_key_file=None, agent=True, ssh_config_file=str(config))
        assert run(fresh(), settings, "true\n")[0].exit_status == 0
        assert "Failed publickey" not in server.log()


# Ways


def test_ssh_config_with_include_tells_how_a_host_is_reached(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "more").write_text(
        f"Host web* !web9*\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {sshd.client_key}\n  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    config = tmp_path / "config"
    config.write_text(f"Include {tmp_path}/mor*\nHost *\n  ServerAliveInterval 5\n")
    ours = {"port": None, "user": None, "private_key_file": None, "ssh_config_file": str(config)}
    defaults = {"known_hosts_files": ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")}
    settings = sshd.settings(address="web1", **ours, **defaults)
    assert run(provider, settings, "true\n")[0].exit_status == 0
    excluded = sshd.settings(address="web9.invalid", **ours, **defaults)
    assert refusal(provider, excluded).code == "dns"


def test_settings_win_over_ssh_config(provider: SshProvider, sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  Port 9\n  User nobody\n  UserKnownHostsFile /none\n  IdentityFile /none\n")
    settings = sshd.settings(ssh_config_file=str(config))
    assert run(provider, settings, "id -un\n")[1].stdout.decode() == f"{getpass.getuser()}\n"


@pytest.mark.parametrize("installed", [True, False])
def test_match_blocks_hold_with_openssh_at_hand_and_without(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    if not installed:
        monkeypatch.setattr("chargehand.ssh.config.shutil.which", lambda _: None)
    config = tmp_path / "config"
    config.write_text(
        "Match host web1\n  User deploy\n"
        "Host web1\n  HostName 127.0.0.1\n"
        "Match user deploy\n  Port 2222\n  HostKeyAlias the-web\n  ConnectTimeout 7\n  ProxyJump none\n"
    )
    settings = ConnectionSettings(address="web1", ssh_config_file=str(config))
    route = find(settings, SshConfig())
    assert (route.address, route.port, route.user) == ("127.0.0.1", 2222, "deploy")
    assert (route.key_name, route.connect_timeout_s, route.jump) == ("the-web", 7.0, ())
    other = find(dataclasses.replace(settings, user="root", address="web2"), SshConfig())
    assert (other.address, other.port, other.user, other.key_name) == ("web2", 22, "root", None)


def test_jump_hosts_that_lead_to_each_other_are_told(provider: SshProvider, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    told = refusal(provider, ConnectionSettings(address="a", ssh_config_file=str(config)))
    assert told.code == "jump-loop"


def test_a_loose_ssh_config_does_not_loosen_the_host_key_rule(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("StrictHostKeyChecking no\n")
    told = refusal(provider, sshd.settings(ssh_config_file=str(config), known_hosts_files=()))
    assert told.code == "host-key-unknown"
    assert "host_key_policy" in told.reason


@pytest.mark.parametrize("address", ["-oProxyCommand=id", "a b", "x;id", "$(id)", "a\nb", "user@host", ""])
def test_an_address_no_command_line_would_survive_is_refused(
    provider: SshProvider, sshd: Sshd, address: str
) -> None:
    assert refusal(provider, sshd.settings(address=address)).code == "address"


def write_relay(folder: Path) -> Path:
    """A program that connects its stdin and stdout to an address and port."""
    relay = folder / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "line = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while chunk := os.read(0, 65536): line.sendall(chunk)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while chunk := line.recv(65536): os.write(1, chunk)\n"
    )
    return relay


def test_a_proxy_command_carries_the_connection(provider: SshProvider, sshd: Sshd, tmp_path: Path) -> None:
    relay = write_relay(tmp_path)
    settings = sshd.settings(proxy_command=f"python3 {relay} %h %p")
    assert run(provider, settings, "echo through\n")[1].stdout == b"through\n"
    told = refusal(provider, sshd.settings(proxy_command="echo no way in >&2; exit 1"))
    assert told.code == "connection-lost"
    assert "saying `no way in`" in told.reason


def test_a_proxy_command_that_does_not_want_to_end_keeps_no_other_host_waiting(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    relay = write_relay(tmp_path)
    stubborn = f"sh -c 'trap \"\" TERM; python3 {relay} %h %p; sleep 60'"
    order: list[str] = []
    begun = Signal()

    def visit(name: str, settings: ConnectionSettings) -> None:
        run(provider, settings, "true\n", Heard(at_start=begun.set))
        order.append(name)

    begin(partial(visit, "stubborn", sshd.settings(proxy_command=stubborn)), "stubborn")
    assert begun.wait(20)
    visit("quick", sshd.settings())
    wait_until(lambda: len(order) == 2, 20, "both have come to their ends")
    assert order == ["quick", "stubborn"]


@pytest.mark.root
def test_many_at_once_through_a_jump_host_all_arrive_on_few_connections(
    kind: type[SshProvider], tmp_path: Path
) -> None:
    with (
        Account() as account,
        Sshd(tmp_path / "host", max_startups="10:30:100") as server,
        beside(server, tmp_path / "jump", max_startups="10:30:100") as jump,
        closing(kind()) as provider,
    ):
        settings = through(server, jump, user=account.name, start_timeout_s=120)
        endings = at_once(lambda _: run(provider, settings, "true\n")[0].exit_status, range(50))
        assert jump.log().count("Accepted publickey") <= 5
    assert endings == [0] * 50


def test_hosts_behind_a_jump_host_share_its_connection(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    with beside(sshd, tmp_path / "jump") as jump:
        settings = through(sshd, jump)
        assert at_once(lambda _: run(provider, settings, "true\n")[0].exit_status, range(8)) == [0] * 8
        assert jump.log().count("Accepted publickey") == 1


def test_a_chain_of_jump_hosts_is_followed_from_ssh_config(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "first") as first, Sshd(tmp_path / "second") as second:
        known = tmp_path / "known_hosts"
        known.write_text("".join(server.known_hosts.read_text() for server in (sshd, first, second)))
        blocks = {"first": (first, "none"), "second": (second, "first"), "last": (sshd, "second")}
        config = tmp_path / "config"
        config.write_text(
            "".join(
                f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n"
                f"  IdentityFile {server.client_key}\n  ProxyJump {jump}\n"
                for name, (server, jump) in blocks.items()
            )
        )
        ours = {"port": None, "private_key_file": None, "known_hosts_files": (str(known),)}
        settings = sshd.settings(address="last", ssh_config_file=str(config), **ours)
        assert run(provider, settings, "true\n")[0].exit_status == 0
        assert [one.log().count("Accepted publickey") for one in (first, second)] == [1, 1]


def test_what_is_wrong_with_a_jump_host_is_told_with_its_name(
    fresh: Callable[[], SshProvider], provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    with beside(sshd, tmp_path / "jump", lines=["AllowTcpForwarding no"]) as jump:
        assert refusal(provider, through(sshd, jump)).code == "jump-refused"
        jump.swap_host_key()
        told = refusal(fresh(), through(sshd, jump))
        assert told.code == "jump-host-key-changed"
        assert f"jump host 127.0.0.1:{jump.port}" in told.reason
        jump.stop()
        assert refusal(fresh(), through(sshd, jump)).code == "jump-refused"


def test_a_host_that_a_jump_host_cannot_reach_is_told_apart(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    with beside(sshd, tmp_path / "jump") as jump, beside(sshd, tmp_path / "gone") as gone:
        gone.stop()
        told = refusal(provider, through(gone, jump))
        assert (told.code, told.again) == ("jump-target", True)


def test_a_login_that_a_jump_host_refuses_is_tried_once_for_all_hosts(
    provider: SshProvider, sshd: Sshd, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "jump") as jump:  # it takes another key
        settings = through(sshd, jump)
        assert {refusal(provider, settings).code for _ in range(3)} == {"jump-auth"}
        assert jump.log().count("Connection from") == 2  # the kit looked, we came


def beside(server: Sshd, folder: Path, **options: Any) -> Sshd:
    """Another server that takes the same client key."""
    folder.mkdir()
    for name in ("client_key", "client_key.pub"):
        shutil.copy(server.folder / name, folder / name)
    return Sshd(folder, **options)


def through(server: Sshd, jump: Sshd, **changes: Any) -> ConnectionSettings:
    """How to reach `server` through `jump`."""
    known = tuple(str(one.known_hosts) for one in (server, jump))
    hop = JumpHost(address="127.0.0.1", port=jump.port)
    return server.settings(proxy_jump=(hop,), known_hosts_files=known, **changes)


# Keys exchanged anew while a script runs


@pytest.mark.parametrize("who", ["we", "the host", "the jump host"])
def test_keys_are_exchanged_anew_in_the_middle_of_output_and_upload(
    provider: SshProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    lines = ["RekeyLimit 200K"] if who != "we" else []
    if who == "we":
        monkeypatch.setattr(Packetizer, "REKEY_BYTES", 200_000)
    with (
        Sshd(tmp_path / "host", lines=lines) as server,
        beside(server, tmp_path / "jump", lines=lines) as jump,
    ):
        settings = through(server, jump) if who == "the jump host" else server.settings()
        padding = "# " + "x" * 1_000_000 + "\n"
        ending, heard = run(provider, settings, f"{padding}head -c 3000000 /dev/zero\n")
        assert ending.exit_status == 0
    assert len(heard.stdout) == 3_000_000
    assert not heard.stdout.strip(b"\0")


def test_a_sealed_packet_that_was_changed_ends_the_connection() -> None:
    engine = AESGCM(bytes(16))
    ours, theirs = _Seal(engine, bytes(12)), _Seal(engine, bytes(12))
    sealed = ours.close(b"x" * 32, b"\0\0\0\x20")
    assert theirs.open(sealed, b"\0\0\0\x20") == b"x" * 32
    with pytest.raises(SSHException, match="Mismatched MAC"):
        theirs.open(sealed, b"\0\0\0\x20")  # the second packet has another nonce


def test_what_is_used_of_paramiko_inside_is_there() -> None:
    """A version that renames them would be noticed here first."""
    with socket.socket() as unconnected:
        packets = Packetizer(unconnected)
    assert [name for name in Packets.__annotations__ if not hasattr(packets, name)] == []
