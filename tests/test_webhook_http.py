"""Webhooks over HTTP: a real server on loopback, honest senders, and those that are not."""

import asyncio
import hmac
import http.client
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import UsageError
from chargehand.scheduler import Rounds
from chargehand.secret import Secret
from chargehand.settings import SENDERS
from chargehand.webhook import Hint, Limits, Receiver, Rules, listen
from chargehand.webhook.application import make_application
from repository import Repository
from sshd import wait_until

SECRET = "canary-secret-51c8"
PATH = "/hooks/git"
PUSH = b'{"ref":"refs/heads/main"}'
USUAL = Limits()
TELEGRAM = b"POST /hooks/git HTTP/1.1\r\nHost: x\r\nX-Signature: sha256=00\r\n"


def rules(**changes):
    values = {"senders": frozenset(SENDERS), "window_s": 300.0, "max_body_bytes": 1 << 20} | changes
    return Rules(secrets=(Secret(SECRET),), **values)


def now():
    return datetime.now(UTC)


class Site:
    """A receiver on a port of loopback, what it passes on, and what it tells."""

    def __init__(self, url, hints, told):
        self.port, self.hints, self.told = int(url.split(":")[2].split("/")[0]), hints, told

    def send(self, body=PUSH, *, secret=SECRET, method="POST", path=PATH, **headers):
        signature = hmac.digest(secret.encode(), body, "sha256").hex()
        given = {"Content-Type": "application/json", "X-Signature": f"sha256={signature}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def say(self, *parts, half=False):
        """Send bytes as they are; all that is answered until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as line:
            with suppress(OSError):  # whoever is refused may still be at it
                for part in parts:
                    line.sendall(part)
                if half:
                    line.shutdown(socket.SHUT_WR)
            return heard(line)


def heard(line):
    answer = b""
    with suppress(ConnectionResetError):
        while chunk := line.recv(65536):
            answer += chunk
    return answer


@contextmanager
def site(*, limits=USUAL, is_alive=lambda: True, nudge=None, **changes) -> Iterator[Site]:
    hints, told = [], []
    receiver = Receiver(rules(**changes), nudge=nudge or hints.append, tell=told.append, clock=now)
    with listen(
        receiver, ("127.0.0.1", 0), path=PATH, is_alive=is_alive, tell=told.append, limits=limits
    ) as url:
        yield Site(url, hints, told)


@pytest.fixture(scope="module")
def open_site() -> Iterator[Site]:
    with site(max_body_bytes=100_000) as found:
        yield found


@pytest.fixture
def one(open_site):
    open_site.hints.clear()
    return open_site


def test_a_push_is_answered_and_passed_on(one):
    assert one.send(b'{"ref":"refs/heads/main","after":"%s"}' % (b"ab" * 20)) == (202, "accepted\n")
    assert one.hints == [Hint(branch="main", commit="ab" * 20)]


def test_strangers_are_all_told_the_same(one):
    answers = {
        one.send(secret="wrong"),
        one.send(X_Signature="sha256=é"),
        one.send(X_Signature=""),
        one.send(b"x" * 50_000, secret="wrong", Content_Type="text/plain"),
        one.send(X_Gitlab_Event="Push Hook", X_Gitlab_Token="wrong", X_Signature=""),
        one.send(method="POST", X_Signature="sha256=00", X_GitHub_Event="ping"),
    }
    assert answers == {(401, "no valid signature\n")}
    assert not one.hints


def test_other_paths_and_methods_are_not_there(one):
    assert [one.send(path=path)[0] for path in ("/", "/hooks", "/hooks/git/", "//evil/", "/..")] == [404] * 5
    assert [one.send(method=method)[0] for method in ("GET", "PUT", "DELETE", "OPTIONS")] == [405] * 4
    assert one.send(method="POST", path="/health")[0] == 405


def test_a_body_is_read_as_far_as_it_may_be_whatever_is_said_of_its_length(one):
    assert one.send(b" " * (100_000 - len(PUSH)) + PUSH)[0] == 202
    assert one.send(b" " * (100_001 - len(PUSH)) + PUSH) == (413, "the body is too long\n")
    head = TELEGRAM + b"Transfer-Encoding: chunked\r\n\r\n"
    endless = [b"2710\r\n" + b"x" * 10_000 + b"\r\n"] * 1000
    assert b" 413 " in one.say(head, *endless)
    assert b" 413 " in one.say(TELEGRAM + b"Content-Length: 99999999999\r\n\r\n")
    assert b" 401 " in one.say(
        TELEGRAM + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )


def test_a_body_of_nobody_is_not_read_at_all(one):
    assert b" 401 " in one.say(b"POST /hooks/git HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /hooks/git HTTP/1.1\r\n\r\n",
        TELEGRAM + b"Content-Length: -1\r\n\r\n",
        TELEGRAM + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        TELEGRAM + b"Content-Length: \xb2\r\n\r\n",
        TELEGRAM + b"Transfer-Encoding: gzip\r\n\r\n{}",
        TELEGRAM + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        TELEGRAM + b"X: a\r\n b\0\r\n\r\n",
        b"POST /hooks/git HTTP/1.1\r\n" + b"X: " + b"y" * 40_000,
        b"POST /" + b"y" * 40_000,
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST http://evil/hooks/git HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        TELEGRAM + b"Content-Length: 2\r\n\r\n{}" + TELEGRAM + b"Content-Length: 2\r\n\r\n{}",
        TELEGRAM + b"Content-Length: 20\r\n\r\n{}",
        b"",
    ],
)
def test_malformed_requests_are_refused_and_harm_nobody(one, request_bytes):
    answer = one.say(request_bytes, half=True)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), answer
    assert one.send()[0] == 202
    assert len(one.hints) == 1


def test_a_request_that_does_not_come_to_its_end_is_cut():
    limits = Limits(body_s=0.2, connection_s=0.4)
    with site(limits=limits) as found:
        assert b" 408 " in found.say(TELEGRAM + b"Content-Length: 20\r\n\r\n{")
        assert found.say(b"POST /hooks/git HTTP/1.1\r\nHost:") == b""
        assert found.say(b"") == b""
        assert found.send()[0] == 202


def test_those_who_only_hold_lines_are_cut_before_those_who_come_after():
    with site(limits=Limits(connections=20, connection_s=600)) as found, ExitStack() as held:
        lines = [socket.create_connection(("127.0.0.1", found.port), 30) for _ in range(20)]
        for line in lines:
            held.enter_context(line).sendall(b"POST /hooks/git HTTP/1.1\r\nHost: ")
        assert [found.send()[0] for _ in range(3)] == [202] * 3
        assert heard(lines[0]) == b""


def test_bodies_that_are_read_at_once_do_not_take_more_than_so_much_memory():
    limits = Limits(held_bytes=150_000)
    with site(limits=limits, max_body_bytes=100_000) as found, ExitStack() as held:
        slow = [held.enter_context(socket.create_connection(("127.0.0.1", found.port), 30)) for _ in range(2)]
        for line in slow:
            line.sendall(TELEGRAM + b"Content-Length: 80000\r\n\r\n" + b"x" * 70_000)
        wait_until(lambda: found.send(b" " * 60_000)[0] == 429)
        for line in slow:
            line.sendall(b"x" * 10_000)
            assert b" 401 " in heard(line)
        assert found.send()[0] == 202


def peak_kib():
    """The most memory this process had since the peak was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="not Linux")
def test_a_body_of_gigabytes_from_a_stranger_takes_no_memory():
    with site() as found:
        found.say(TELEGRAM + b"\r\n")
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
        before = peak_kib()
        head = TELEGRAM + b"Transfer-Encoding: chunked\r\n\r\n"
        for _ in range(20):
            found.say(head, *([b"100000\r\n" + b"x" * 0x100000 + b"\r\n"] * 50))
    assert peak_kib() - before < 10 * 1024


def test_what_is_being_sent_when_it_ends_is_answered_and_nothing_after():
    with ExitStack() as held, ExitStack() as opened:
        found = opened.enter_context(site())
        line = held.enter_context(socket.create_connection(("127.0.0.1", found.port), 30))
        line.sendall(TELEGRAM + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert b" 100 " in line.recv(100)
        ending = threading.Thread(target=opened.close)
        ending.start()
        wait_until(lambda: is_refused(found.port))
        line.sendall(b"{}")
        assert b" 401 " in heard(line)
        ending.join(60)


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 30).close()
    except ConnectionError:
        return True
    return False


def test_health_says_whether_the_scheduler_is_at_work():
    alive = [True]
    with site(is_alive=lambda: alive[0]) as found:
        assert found.send(method="GET", path="/health", body=b"") == (200, "ok\n")
        alive[0] = False
        assert found.send(method="GET", path="/health", body=b"")[0] == 503


def test_a_defect_is_told_without_what_it_says():
    def fail(_):
        raise RuntimeError("canary")

    with site(nudge=fail) as found:
        assert found.send() == (500, "internal error\n")
        assert found.told == ["webhook: internal error: RuntimeError"]
        assert found.send(secret="wrong")[0] == 401


def test_two_hundred_deliveries_at_once_are_one_pass():
    passes, begun, free = [], threading.Event(), threading.Event()

    def make_pass():
        passes.append(now())
        if len(passes) == 1:
            begun.set()
            free.wait(60)

    rounds = Rounds(make_pass, interval_s=300, clock=now)
    thread = threading.Thread(target=rounds.go)
    thread.start()
    begun.wait(60)
    with (
        site(nudge=lambda _: rounds.call(), is_alive=lambda: rounds.silence_s < 60) as found,
        ThreadPoolExecutor(200) as senders,
    ):
        gate = threading.Barrier(200)

        def send(number):
            gate.wait(60)
            return found.send(X_Delivery_Id=str(number))[0]

        answers = senders.map(send, range(200))
        assert set(answers) == {202}
        assert found.send(method="GET", path="/health", body=b"")[0] == 200, "while a pass goes on"
        assert len(passes) == 1
        free.set()
        wait_until(lambda: len(passes) == 2)
        assert found.send(X_Delivery_Id="7") == (202, "already received\n")
    rounds.end()
    thread.join(60)
    assert len(passes) == 2


class Fuzz:
    """The application without a server, in a loop of its own."""

    def __init__(self):
        self.hints, self.told = [], []
        receiver = Receiver(
            rules(max_body_bytes=2000), nudge=self.hints.append, tell=self.told.append, clock=now
        )
        self.application = make_application(
            receiver, path=PATH, is_alive=lambda: True, tell=self.told.append, limits=Limits()
        )
        self.loop = asyncio.new_event_loop()

    def status(self, method, path, headers, chunks):
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "server": None,
            "client": None,
        }
        ends = SimpleQueue()
        parts = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        parts.append({"type": "http.request", "body": b"", "more_body": False})

        async def receive():
            return parts.pop(0) if parts else {"type": "http.disconnect"}

        async def send(message):
            ends.put(message)

        self.loop.run_until_complete(self.application(scope, receive, send))
        return ends.get()["status"]


NAMES = st.sampled_from(
    [
        b"content-type", b"content-length", b"x-github-event", b"x-hub-signature-256", b"x-hub-signature",
        b"x-gitea-event", b"x-gitea-signature", b"x-event-key", b"x-gitlab-event", b"x-gitlab-token",
        b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"x-signature", b"x-delivery-id",
        b"X-Signature", b"expect", b"host",
    ]
)  # fmt: skip
VALUES = st.binary(max_size=70) | st.sampled_from(
    [
        b"push",
        b"ping",
        b"Push Hook",
        b"repo:push",
        b"application/json",
        b"sha256=" + b"0" * 64,
        b"v1,",
        b"1e9",
    ]
)


@pytest.fixture(scope="module")
def fuzz():
    made = Fuzz()
    yield made
    made.loop.close()


@given(
    method=st.sampled_from(["POST", "GET", "HEAD", "PUT", "", "POST\n"]),
    path=st.sampled_from([PATH, "/health", "/", "", "*", PATH + "/"]) | st.text(max_size=10),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=8),
    chunks=st.lists(st.binary(max_size=1500), max_size=3),
)
def test_no_stranger_can_make_it_fail_or_pass_anything_on(fuzz, method, path, headers, chunks):
    status = fuzz.status(method, path, headers, chunks)
    assert status in (401, 404, 405, 413) or (path == "/health" and status == 200)
    assert not fuzz.hints


@given(
    body=st.binary(max_size=2100),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=3),
    cut=st.integers(0, 2100),
)
def test_no_sender_who_signs_can_make_it_fail(fuzz, body, headers, cut):
    signature = b"sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex().encode()
    given = [(b"x-github-event", b"push"), (b"x-hub-signature-256", signature), *headers]
    assert fuzz.status("POST", PATH, given, [body[:cut], body[cut:]]) < 500


def test_an_address_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        receiver = Receiver(rules(), nudge=print, tell=print, clock=now)
        place = ("127.0.0.1", port)
        with (
            pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"),
            listen(receiver, place, path=PATH, is_alive=lambda: True, tell=print),
        ):
            pass


@pytest.mark.parametrize("missing", ["starlette.applications", "uvicorn"])
def test_without_the_packages_it_says_how_to_get_them(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    for name in ("application", "server"):
        monkeypatch.delitem(sys.modules, f"chargehand.webhook.{name}", raising=False)
    receiver = Receiver(rules(), nudge=print, tell=print, clock=now)
    with (
        pytest.raises(UsageError, match=r"pip install 'chargehand\[server\]'"),
        listen(receiver, ("127.0.0.1", 0), path=PATH, is_alive=lambda: True, tell=print),
    ):
        pass


@pytest.fixture
def project(tmp_path):
    made = Repository(tmp_path / "site")
    made.hosts({})
    made.settings(webhook={"listen": "127.0.0.1:0", "secrets": [{"env": "HOOK"}]})
    made.environ["HOOK"] = SECRET
    return made


def url_of(project):
    told = (project.root / "stderr").read_text()
    return told.partition("hearing webhooks at ")[2].splitlines()[0]


def test_serve_hears_of_a_push_and_looks_at_once(project):
    with project.start("serve", "--interval", "300") as serving:
        serving.await_told("serving ")
        found = Site(url_of(project), [], [])
        assert found.send(method="GET", path="/health", body=b"")[0] == 200
        project.job(name="nightly", parameters={"recurrence": {"cron_line": "0 3 * * *"}})
        assert found.send(secret="wrong")[0] == 401
        assert found.send() == (202, "accepted\n")
        serving.await_told("nightly")
        serving.signal(signal.SIGTERM)
        answer = serving.answer()
    assert answer.code == 143
    assert answer.stderr.endswith("ended\n")
    assert SECRET not in answer.stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", found.port), 5)


def test_serve_takes_other_secrets_and_keeps_them_when_the_new_ones_are_none(project):
    (project.root / "hook").write_text("new-secret")
    (project.root / "hook").chmod(0o600)
    with project.start("serve", "--interval", "300", "--listen", "127.0.0.1:0") as serving:
        serving.await_told("serving ")
        found = Site(url_of(project), [], [])
        project.settings(webhook={"secrets": [{"file": "hook"}]})
        serving.signal(signal.SIGHUP)
        serving.await_told("is read again; webhooks are heard where they were until")
        assert [found.send(secret=each)[0] for each in (SECRET, "new-secret")] == [401, 202]
        project.settings(webhook={"secrets": [{"env": "NONE"}]})
        serving.signal(signal.SIGHUP)
        serving.await_told("going on with the settings of before")
        assert found.send(secret="new-secret")[0] == 202


def test_doctor_says_whether_webhooks_could_be_heard(project):
    def found():
        looks = project.chargehand("doctor", "-o", "json").document
        return next((look["verdict"], look["found"]) for look in looks if look["about"] == "webhook")

    assert found() == ("ok", "1 secret")
    del project.environ["HOOK"]
    verdict, said = found()
    assert (verdict, "`HOOK` is not set" in said) == ("fail", True)


@pytest.mark.parametrize(
    ("webhook", "words", "code", "said"),
    [
        ({}, ["--listen", "127.0.0.1:0"], 3, "`webhook` has no `secrets`"),
        ({"secrets": [{"env": "NONE"}]}, ["--listen", "127.0.0.1:0"], 3, "variable `NONE` is not set"),
        ({"secrets": [{"env": "HOOK"}]}, ["--listen", "8080"], 2, "expected HOST:PORT"),
        ({"listen": "8080"}, [], 3, "`listen` must be an address and a port"),
        (
            {"secrets": [{"env": "HOOK"}]},
            ["--listen", "203.0.113.9:80"],
            2,
            "cannot listen on 203.0.113.9:80",
        ),
    ],
)
def test_serve_does_not_begin_when_it_cannot_hear_what_it_was_told_to(project, webhook, words, code, said):
    project.settings(webhook=webhook)
    answer = project.chargehand("serve", *words)
    assert (answer.code, answer.stdout) == (code, "")
    assert said in answer.stderr
