"""Webhooks: what a delivery says, who is believed, and that nothing else comes of one than a hint."""

import base64
import hmac
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.errors import SecretError, SettingsError
from chargehand.reference import refuse_prompt, resolve
from chargehand.secret import Secret
from chargehand.settings import SENDERS, read_settings
from chargehand.webhook import Answer, Delivery, Hint, Receiver, Refusal, Rules, read_rules, verify
from chargehand.webhook.receiver import MOST_KNOWN

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['about']}")
    for path in sorted((Path(__file__).parent / "cases/webhook").glob("*.yml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]
SECRET = "canary-secret-51c8"
NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)
PUSH = b'{"ref":"refs/heads/main"}'


def rules(*secrets, **changes):
    values = {"senders": SENDERS, "window_s": 300.0, "max_body_bytes": 1 << 20} | changes
    values["senders"] = frozenset(values["senders"])
    return Rules(secrets=tuple(map(Secret, secrets or (SECRET,))), **values)


def signed(body=PUSH, *, secret=SECRET, id=None):
    """The headers of a push of GitHub."""
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    headers = {
        "content-type": b"application/json",
        "x-github-event": b"push",
        "x-hub-signature-256": f"sha256={signature}".encode(),
    }
    return headers | ({"x-github-delivery": id} if id else {})


def openssl_hmac(secret, body):
    """The HMAC by somebody else's hand."""
    command = ["openssl", "dgst", "-sha256", "-hmac", secret]
    done = subprocess.run(command, input=body, capture_output=True, check=True)
    return done.stdout.decode().split()[-1]


@pytest.mark.parametrize("case", CASES)
def test_a_delivery_is_understood(case):
    secrets = case.get("secrets", [SECRET])
    body = case["body"].encode()
    given = {"Content-Type": "application/json; charset=utf-8"} | case["headers"]
    if any("{hmac}" in value for value in given.values()):
        signature = openssl_hmac(secrets[0], body)
        given = {name: value.replace("{hmac}", signature) for name, value in given.items()}
    headers = {name.lower(): value.encode() for name, value in given.items()}
    now = datetime.fromtimestamp(case["now"], UTC) if "now" in case else NOON
    hints = []
    accepted = rules(*secrets, **case.get("rules", {}))
    receiver = Receiver(accepted, nudge=hints.append, tell=lambda _: None, clock=lambda: now)
    status, text = case["answer"]
    assert receiver.hear(headers, body) == Answer(status=status, text=text)
    assert hints == [Hint(**case["hint"])] if "hint" in case else not hints
    if "sender" in case:
        assert verify(headers, body, accepted, now).sender == case["sender"]


@pytest.fixture
def heard():
    return Heard()


class Heard:
    """A receiver, what it passes on and tells, and a clock that a test moves."""

    def __init__(self):
        self.hints, self.told, self.now = [], [], NOON
        self.receiver = Receiver(
            rules(), nudge=self.hints.append, tell=self.told.append, clock=lambda: self.now
        )

    def hear(self, headers, body=PUSH):
        answer = self.receiver.hear(headers, body)
        return answer.status, answer.text


def test_a_repeat_is_answered_and_does_nothing(heard):
    assert heard.hear(signed(id=b"a")) == (202, "accepted")
    assert heard.hear(signed(id=b"a")) == (202, "already received")
    assert heard.hear(signed(id=b"b")) == (202, "accepted")
    assert len(heard.hints) == 2


def test_a_delivery_without_an_id_is_never_taken_for_a_repeat(heard):
    assert [heard.hear(signed()) for _ in range(3)] == [(202, "accepted")] * 3


def test_a_repeat_is_known_for_as_long_as_its_time_can_be_believed(heard):
    heard.hear(signed(id=b"a"))
    heard.now += timedelta(seconds=600)
    assert heard.hear(signed(id=b"a")) == (202, "already received")
    heard.now += timedelta(seconds=1)
    assert heard.hear(signed(id=b"a")) == (202, "accepted")


def test_a_delivery_signed_ahead_of_the_clock_cannot_be_sent_twice(heard):
    key = base64.b64encode(b"k" * 32).decode()
    heard.receiver.take_rules(rules(f"whsec_{key}"))
    sent = str(int(NOON.timestamp()) + 300).encode()
    signature = base64.b64encode(hmac.digest(b"k" * 32, b"1." + sent + b"." + PUSH, "sha256"))
    headers = {
        "content-type": b"application/json",
        "x-gitlab-event": b"Push Hook",
        "webhook-id": b"1",
        "webhook-timestamp": sent,
        "webhook-signature": b"v1," + signature,
    }
    answers = []
    for seconds in (0, 300, 600, 601):
        heard.now = NOON + timedelta(seconds=seconds)
        answers.append(heard.hear(headers)[0])
    assert answers == [202, 202, 202, 401]
    assert len(heard.hints) == 1


def test_a_refused_delivery_is_not_remembered(heard):
    heard.hear(signed(secret="another", id=b"a"))
    assert heard.hear(signed(id=b"a")) == (202, "accepted")


def test_only_so_many_deliveries_are_remembered(heard):
    for number in range(MOST_KNOWN + 1):
        heard.hear(signed(id=b"%d" % number))
    assert heard.hear(signed(id=b"1")) == (202, "already received")
    assert heard.hear(signed(id=b"0")) == (202, "accepted")


def test_a_secret_can_follow_another_without_a_delivery_lost(heard):
    heard.receiver.take_rules(rules("old", "new"))
    assert [heard.hear(signed(secret=each))[0] for each in ("old", "new", "other")] == [202, 202, 401]
    heard.receiver.take_rules(rules("new"))
    assert [heard.hear(signed(secret=each))[0] for each in ("old", "new")] == [401, 202]


def test_nothing_of_a_request_is_told_and_a_refusal_not_each_time(heard):
    for _ in range(50):
        heard.hear(signed(secret="wrong", id=b"canary-id"), b'{"ref":"refs/heads/canary"}')
    heard.now += timedelta(minutes=1)
    heard.hear(signed(secret="wrong"), b"canary")
    heard.hear(signed(b'{"ref":"refs/heads/canary"}'), b'{"ref":"refs/heads/canary"}')
    assert len(heard.told) == 3
    assert "49 more" in heard.told[1]
    assert not any("canary" in line for line in heard.told)


def test_a_hint_that_could_not_be_passed_on_is_taken_when_it_is_sent_again(heard):
    def fail(_):
        raise RuntimeError

    heard.receiver._nudge = fail
    with pytest.raises(RuntimeError):
        heard.hear(signed(id=b"a"))
    heard.receiver._nudge = heard.hints.append
    assert heard.hear(signed(id=b"a")) == (202, "accepted")


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "content-type", "x-forgejo-event", "x-forgejo-signature", "x-gitea-event", "x-gitea-signature",
            "x-github-event", "x-hub-signature", "x-hub-signature-256", "x-event-key", "x-gitlab-event",
            "x-gitlab-token", "webhook-id", "webhook-timestamp", "webhook-signature", "x-signature",
        ]
    ),
    st.binary(max_size=80)
    | st.sampled_from([b"push", b"Push Hook", b"repo:push", b"application/json", b"sha256=", b"v1,"]),
)  # fmt: skip


@given(HEADERS, st.binary(max_size=200))
def test_nobody_who_knows_no_secret_is_believed(headers, body):
    found = verify(headers, body, rules(), NOON)
    assert isinstance(found, Refusal)
    assert (found.status, found.answer) == (401, "no valid signature")


REF_KEYS = ("ref", "after", "repository", "full_name", "project", "key", "slug")
CHANGE_KEYS = ("push", "changes", "new", "old", "type", "name", "target", "hash", "id", "toHash")
KEYS = st.sampled_from(REF_KEYS + CHANGE_KEYS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())


@given(BODIES, st.sampled_from([None, "main"]), st.sampled_from([None, "fleet/jobs"]))
def test_whatever_a_sender_signs_is_a_hint_with_a_name_and_a_commit_at_most(body, branch, repository):
    found = verify(signed(body), body, rules(branch=branch, repository=repository), NOON)
    if isinstance(found, Refusal):
        assert found.status == 400
        return
    assert isinstance(found, Delivery)
    hint = found.hint or Hint()
    assert hint.branch is None or (hint.branch.isprintable() and branch in (None, hint.branch))
    assert hint.commit is None or int(hint.commit, 16)


def test_brackets_without_end_are_no_json():
    body = b"[" * 500_000
    assert verify(signed(body), body, rules(), NOON).status == 400


def look_up(environ, base):
    return lambda reference: resolve(reference, environ=environ, prompt=refuse_prompt, base=base)


def test_rules_are_read_from_the_settings(tmp_path):
    text = (
        '[webhook]\nsecrets = [{ env = "NEW" }, { env = "OLD" }]\nsenders = ["gitea"]\n'
        'branch = "main"\nrepository = "fleet/jobs"\nmax_body = 2048\nwindow = 60\n'
    )
    found = read_rules(read_settings(text), look_up({"NEW": "n", "OLD": "o"}, tmp_path))
    wanted = rules(
        "n",
        "o",
        senders=["gitea"],
        branch="main",
        repository="fleet/jobs",
        max_body_bytes=2048,
        window_s=60,
    )
    assert found == wanted
    assert "'n'" not in repr(found)


def test_nobody_hears_webhooks_without_a_secret(tmp_path):
    with pytest.raises(SettingsError, match="anybody could send"):
        read_rules(read_settings("[webhook]\n"), look_up({}, tmp_path))


def test_every_secret_that_cannot_be_used_is_told_and_none_is_shown(tmp_path):
    text = '[webhook]\nsecrets = [{ env = "NONE" }, { env = "BROKEN" }, { prompt = true }]\n'
    with pytest.raises(SecretError) as refused:
        read_rules(read_settings(text), look_up({"BROKEN": "whsec_canary!"}, tmp_path))
    assert len(refused.value.problems) == 3
    assert "canary" not in str(refused.value)
