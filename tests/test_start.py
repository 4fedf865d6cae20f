"""The start protocol as bytes: every split, forged marks, prompts. A host is played, nothing runs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.connection import Become, BecomeMethod
from chargehand.provider import NotStarted
from chargehand.script import RenderedScript
from chargehand.secret import Secret
from chargehand.start.protocol import NOISE_BYTES, Ended, Output, Phase, Started, StartProtocol, read_end
from chargehand.start.record import Record, RecordReader
from laws import tried

PASSWORD = "canary-Pa55word"
ROOT = Become(user="root", password=Secret(PASSWORD))


@dataclass
class Host:
    """Plays the other side: knows what a real host knows."""

    protocol: StartProtocol

    @property
    def public(self) -> bytes:
        left, right = re.findall(r"\b[0-9a-f]{16}\b", self.protocol.request)[-2:]
        return f"{left}{right}".encode()

    @property
    def prompt(self) -> bytes:
        found = re.search(r"\[[0-9a-f]{32}\]:", self.protocol.request)
        assert found
        return found[0].encode()

    @property
    def secret(self) -> bytes:
        found = re.search(rb"nonce=([0-9a-f]{32})", self.protocol.outgoing)
        assert found
        return found[1]

    def says(self, *words: bytes) -> bytes:
        return b" ".join((self.secret, *words)) + b"\n"


def begin(
    become: Become | None = None, content: bytes = b"echo hello\n", pty: bool = False
) -> tuple[StartProtocol, Host]:
    protocol = StartProtocol(RenderedScript(content=content, become=become), pty=pty)
    return protocol, Host(protocol)


def feed(protocol: StartProtocol, *, stdout: bytes = b"", stderr: bytes = b"") -> list[object]:
    return list(protocol.feed(stdout, stderr))


def heard(events: Iterable[object], stream: str) -> bytes:
    return b"".join(event.chunk for event in events if isinstance(event, Output) and event.stream == stream)


def ready(become: Become | None = ROOT) -> tuple[StartProtocol, Host]:
    """Up to READY, the password given when one is known."""
    protocol, host = begin(become)
    if become:
        feed(protocol, stderr=host.public + b" BECOME\n")
        if become.password:
            feed(protocol, stderr=host.prompt)
            protocol.outgoing.clear()
    feed(protocol, stderr=host.public + b" READY\n")
    return protocol, host


def test_without_a_password_the_script_is_sent_with_the_request() -> None:
    for become in (None, Become(user="root"), Become(user="root", method="doas")):
        protocol, host = begin(become)
        assert rb"text='echo hello\n'" in protocol.outgoing
        protocol, host = begin(become, b"echo hello\n" * 200)
        assert protocol.outgoing.endswith(b"echo hello\n" + host.secret + b"\n")


@pytest.mark.parametrize("method", ["sudo", "dzdo", "su", "doas", "run0"])
def test_with_a_password_nothing_is_sent_before_a_prompt_or_ready(method: BecomeMethod) -> None:
    protocol, host = begin(Become(user="root", method=method, password=Secret(PASSWORD)))
    assert not protocol.outgoing
    feed(
        protocol, stdout=b"Password: ", stderr=b"[sudo] password for me: Password: doas (me@host) password: "
    )
    assert not protocol.outgoing
    feed(protocol, stderr=host.public + b" BECOME\n")
    assert not protocol.outgoing


def test_su_without_a_password_waits_lest_it_reads_the_script_as_one() -> None:
    protocol, host = begin(Become(user="root", method="su"))
    assert not protocol.outgoing
    feed(protocol, stderr=host.public + b" BECOME\n")
    with pytest.raises(NotStarted, match="asks for a password") as failure:
        feed(protocol, stderr=b"Password: ")
    assert failure.value.code == "become-password-required"


@pytest.mark.parametrize(
    ("method", "prompt"),
    [
        ("sudo", b"We trust you have received the usual lecture\n%s"),
        ("sudo", b"[sudo: %s] Password: "),
        ("dzdo", b"%s"),
        ("su", b"Password: "),
        ("doas", b"\rdoas (me@host) password: "),
        ("run0", b"==== AUTHENTICATING ====\nPassword: "),
    ],
)
def test_the_password_goes_to_the_prompt_once_whatever_the_split(method: BecomeMethod, prompt: bytes) -> None:
    become = Become(user="root", method=method, password=Secret(PASSWORD))
    size = len(prompt) + 40
    for at in range(1, size):
        protocol, host = begin(become)
        shown = prompt.replace(b"%s", host.prompt) if method in ("sudo", "dzdo") else prompt
        text = host.public + b" BECOME\n" + shown
        feed(protocol, stderr=text[:at])
        feed(protocol, stderr=text[at:])
        assert protocol.outgoing == PASSWORD.encode() + b"\n"
        feed(protocol, stderr=b"\n" + host.public + b" READY\n")
        assert protocol.outgoing.count(PASSWORD.encode()) == 1
        assert protocol.phase is Phase.READY


def test_a_second_prompt_means_a_wrong_password_and_gets_no_answer() -> None:
    protocol, host = begin(ROOT)
    feed(protocol, stderr=host.public + b" BECOME\n" + host.prompt)
    protocol.outgoing.clear()
    with pytest.raises(NotStarted) as failure:
        feed(protocol, stderr=b"Sorry, try again.\n" + host.prompt)
    assert failure.value.code == "become-wrong-password"
    assert not protocol.outgoing
    assert PASSWORD not in str(failure.value)


def test_a_password_of_two_lines_is_never_sent() -> None:
    protocol, host = begin(Become(user="root", password=Secret("one\ntwo")))
    with pytest.raises(NotStarted):
        feed(protocol, stderr=host.public + b" BECOME\n" + host.prompt)
    assert not protocol.outgoing


def test_an_echo_of_the_request_wakes_nothing() -> None:
    """`set -x`, or a forced command that prints what was asked for."""
    protocol, _ = begin(ROOT)
    echo = f"+ {protocol.request}\n".encode()
    feed(protocol, stdout=echo, stderr=echo)
    assert protocol.phase is Phase.REQUESTED
    assert not protocol.outgoing


def test_prompts_printed_by_the_script_get_nothing() -> None:
    protocol, host = ready()
    feed(protocol, stdout=host.says(b"START"), stderr=host.says(b"START"))
    protocol.outgoing.clear()
    feed(
        protocol,
        stdout=host.prompt,
        stderr=b"[sudo] password for me: " + host.prompt + host.public + b" BECOME\n" + host.prompt,
    )
    assert not protocol.outgoing


def transcript(host: Host, stdout: bytes, stderr: bytes) -> tuple[bytes, bytes]:
    """All a host sends from noise to END."""
    end = host.says(b"END", b"3", b"-", b"")
    return (
        b"Welcome\n" + host.says(b"START") + stdout + end + b"left behind",
        b"motd" + host.public + b" READY\n" + host.says(b"START") + stderr + end,
    )


def test_output_is_exact_whatever_the_split() -> None:
    protocol, host = begin()
    size = max(len(part) for part in transcript(host, b"out\nno newline", b"\x00\xff err"))
    for at in range(size + 1):
        protocol, host = begin()
        stdout, stderr = transcript(host, b"out\nno newline", b"\x00\xff err")
        events = feed(protocol, stdout=stdout[:at], stderr=stderr[:at])
        assert not protocol.complete or at >= len(stderr)
        events += feed(protocol, stdout=stdout[at:], stderr=stderr[at:])
        assert heard(events, "stdout") == b"out\nno newline"
        assert heard(events, "stderr") == b"\x00\xff err"
        assert [event for event in events if isinstance(event, Started)] == [Started()]
        assert protocol.end == Ended(exit_status=3, signal=None)
        assert protocol.complete
        assert protocol.noise == "motd\nWelcome"


def test_bytes_one_by_one_are_exact_too() -> None:
    protocol, host = begin()
    stdout, stderr = transcript(host, b"0123456789abcdef" * 4, b"deadbeef" * 8)
    events = [event for byte in stderr for event in feed(protocol, stderr=bytes([byte]))]
    events += [event for byte in stdout for event in feed(protocol, stdout=bytes([byte]))]
    assert heard(events, "stdout") == b"0123456789abcdef" * 4
    assert heard(events, "stderr") == b"deadbeef" * 8
    assert protocol.complete


@tried(50)
@given(
    st.lists(st.sampled_from([b"ab", b"a", b"aba", b"abac", b"abacus", b"\n", b"x"]), max_size=12), st.data()
)
def test_plain_bytes_pass_a_reader_unchanged(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces).replace(b"abacus", b"abacu")
    reader = RecordReader(b"abacus")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    items = [item for chunk in [*chunks, b"abacus END 1\n"] for item in reader.feed(chunk)]
    assert items[-1] == Record("END", "1")
    assert b"".join(item for item in items if isinstance(item, bytes)) == whole


def test_live_output_is_handed_on_at_once() -> None:
    protocol, host = begin()
    feed(protocol, stdout=host.says(b"START"))
    assert heard(feed(protocol, stdout=b"working..."), "stdout") == b"working..."


@pytest.mark.parametrize(
    "forged", [b"START", b"END 0 - ", b"REFUSE no-space x", b"READY", b"GONE", b"BECOME"]
)
def test_forged_marks_decide_nothing(forged: bytes) -> None:
    protocol, host = begin()
    known = () if forged in (b"READY", b"BECOME") else (host.public,)
    for mark in (b"0" * 32, *known, host.public[:16], b""):
        noise = mark + b" " + forged + b"\n"
        feed(protocol, stdout=noise, stderr=noise)
    assert protocol.phase is Phase.REQUESTED
    feed(protocol, stdout=host.says(b"START"), stderr=host.public + b" READY\n" + host.says(b"START"))
    for mark in (b"0" * 32, host.public, b""):
        line = mark + b" " + forged + b"\n"
        assert heard(feed(protocol, stdout=line, stderr=line), "stdout") == line
    assert protocol.phase is Phase.STARTED
    assert protocol.end is None


@pytest.mark.parametrize(
    "rest", [b"", b"x", b"0", b"0 maybe", b"99999 - ", b"-1 - ", b"0 -gone", b"\xff\xff"]
)
def test_a_hostile_end_is_no_end(rest: bytes) -> None:
    protocol, host = begin()
    feed(protocol, stdout=host.says(b"START") + host.says(b"END", rest))
    assert protocol.end is None


def test_an_end_without_a_start_is_no_end() -> None:
    protocol, host = begin()
    feed(protocol, stdout=host.says(b"END", b"0", b"-"), stderr=host.public + b" READY\n")
    assert protocol.end is None


@pytest.mark.parametrize(
    ("code", "told"), [(b"no-space", "no-space"), (b"upload-cut", "upload-cut"), (b"succeeded", "no-start")]
)
def test_a_refusal_of_the_wrapper_is_told(code: bytes, told: str) -> None:
    protocol, host = begin()
    feed(protocol, stderr=b"motd\n" + host.public + b" READY\n")
    with pytest.raises(NotStarted, match="no room") as failure:
        feed(protocol, stdout=host.says(b"REFUSE", code, b"no room"))
    assert failure.value.code == told
    assert failure.value.noise == "motd"


def test_noise_is_kept_apart_and_bounded() -> None:
    protocol, host = begin()
    for _ in range(100):
        feed(protocol, stdout=b"noise " * 10_000)
    stdout, stderr = transcript(host, b"out", b"")
    events = feed(protocol, stdout=stdout, stderr=stderr)
    assert heard(events, "stdout") == b"out"
    assert len(protocol.noise) <= NOISE_BYTES


def test_a_terminal_merges_both_streams_into_stdout() -> None:
    protocol, host = begin(ROOT, pty=True)
    feed(protocol, stdout=b"motd\r\n" + host.public + b" BECOME\r\n" + host.prompt)
    assert protocol.outgoing == PASSWORD.encode() + b"\n"
    protocol.outgoing.clear()
    feed(protocol, stdout=b"\r\n" + host.public + b" READY\n")
    events = feed(protocol, stdout=host.says(b"START") + b"out\nerr\r\n" + host.says(b"END", b"0", b"-"))
    assert heard(events, "stdout") == b"out\nerr\r\n"
    assert protocol.complete
    assert protocol.noise == "motd"


@pytest.mark.parametrize(
    ("rest", "exit_status", "signal"),
    [
        ("0 -", 0, None),
        ("255 - ", 255, None),
        ("137 - ", 137, None),
        ("137 - Killed", None, "KILL"),
        ("139 - chargehand: line 1: 8321 Segmentation fault      /bin/sh", None, "SEGV"),
        ("143 gone Terminated", None, "TERM"),
        ("265 - chargehand: 8384: Killed", None, "KILL"),
        ("257 - ", None, "HUP"),
        ("130 - ", 130, None),
        ("162 - Real-time signal 0", None, "RTMIN"),
        ("180 - Real-time signal 18", None, "52"),
        ("1 - /bin/sh: something else", 1, None),
    ],
)
def test_the_end_tells_a_signal_from_an_exit_status(
    rest: str, exit_status: int | None, signal: str | None
) -> None:
    end = read_end(rest)
    assert end is not None
    assert (end.exit_status, end.signal) == (exit_status, signal)


CLOSINGS: Sequence[tuple[bytes, str]] = [
    (b"sudo: a password is required\n", "become-password-required"),
    (b"sudo: interactive authentication is required\n", "become-password-required"),
    (b"sudo: 1 incorrect password attempt\n", "become-wrong-password"),
    (b"su: Authentication failure\n", "become-wrong-password"),
    (b"me is not in the sudoers file.\n", "become-denied"),
    (b"Sorry, user me is not allowed to execute '/bin/sh' as root on web1.\n", "become-denied"),
    (b"sudo: I'm sorry me. I'm afraid I can't do that\n", "become-denied"),
    (b"doas: Operation not permitted\n", "become-denied"),
    (b"sudo: unknown user nosuch\nsudo: error initializing audit plugin\n", "become-user"),
    (
        b"su: user nosuch does not exist or the user entry does not contain all the required fields\n",
        "become-user",
    ),
    (b"chargehand: 1: exec: sudo: not found\n", "become-missing"),
    (b"chargehand: line 1: /opt/sudo: No such file or directory\n", "become-missing"),
    (b"sudo: sorry, you must have a tty to run sudo\n", "become-tty"),
    (b"This account is currently not available.\n", "no-start"),
    (b"", "no-start"),
]


@pytest.mark.parametrize(("said", "code"), CLOSINGS)
def test_why_nobody_became_the_user_is_read_from_what_the_program_said(said: bytes, code: str) -> None:
    protocol, host = begin(ROOT)
    feed(protocol, stderr=b"unknown user: a line of a motd\n" + host.public + b" BECOME\n" + said)
    failure = protocol.closed()
    assert failure.code == code
    assert said.decode().strip() in failure.noise


def test_no_start_shows_the_last_words_of_the_host() -> None:
    protocol, _ = begin()
    feed(protocol, stdout=b"This account is currently not available.\n")
    failure = protocol.closed()
    assert (failure.code, failure.reason) == (
        "no-start",
        "the account runs no command: This account is currently not available.",
    )


def test_a_question_of_another_kind_is_shown_without_our_words() -> None:
    protocol, host = begin(ROOT)
    feed(protocol, stderr=host.public + b" BECOME\n" + host.prompt)
    feed(protocol, stderr=b"\nVerification code: ")
    failure = protocol.overdue()
    assert failure.code == "become-prompt"
    assert "Verification code" in failure.reason
    assert host.prompt[1:-2].decode() not in failure.reason + failure.noise


def test_the_script_left_our_hands_only_with_its_last_byte() -> None:
    protocol, _ = begin(content=b"x" * 100)
    assert not protocol.committed
    while protocol.outgoing:
        assert not protocol.committed
        del protocol.outgoing[:7]
    assert protocol.committed
