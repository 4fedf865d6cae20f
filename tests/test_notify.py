"""Messages about runs: what they say, when they are sent, and that nothing of theirs gets in a run's way.

They are sent by the real Apprise to a real HTTP server on this machine.
"""

import json
import logging
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chargehand.compose import read_wishes
from chargehand.document import parse
from chargehand.errors import SettingsError
from chargehand.job import Job
from chargehand.notify import notifier
from chargehand.notify.message import BODY_LENGTH, TITLE_LENGTH, compose_message, compose_not_run, occasions
from chargehand.notify.notifier import send, send_not_run
from chargehand.notify.wish import Wish
from chargehand.provenance import Provenance
from chargehand.reference import SecretReference
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.result import CapturedOutput, HostResult, Status
from chargehand.secret import Secret
from chargehand.settings import Settings, read_settings
from repository import OWN_NAME, Repository

BEGIN = datetime(2027, 1, 15, 3, tzinfo=UTC)
CANARY = "canary-token-7f3a"


class Receiver:
    """An HTTP server that keeps what is posted to it.

    Attributes:
        messages: Every JSON body that came, in order.
        status: What it answers.
    """

    def __init__(self, status=200):
        self.messages, self.status = [], status
        keep = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                keep.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(keep.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    @property
    def url(self):
        """Where messages go, with a secret in it."""
        return f"json://ops:{CANARY}@127.0.0.1:{self.server.server_port}/{CANARY}"

    @property
    def titles(self):
        return [message["title"] for message in self.messages]


@pytest.fixture
def receiver():
    with serving(Receiver()) as found:
        yield found


@contextmanager
def serving(receiver):
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def record(*statuses, begun=True, **changes):
    results = tuple(
        HostResult(
            host=f"web{number}",
            status=Status(status),
            reason="" if status == "succeeded" else f"{status} it is",
            stderr=CapturedOutput(head=b"one\ntwo\x1b[31m\n", size_bytes=13),
        )
        for number, status in enumerate(statuses, 1)
    )
    found = InvocationRecord(
        id=12,
        description="Run date on everybody",
        job_category="Commands",
        task_id="0",
        state="stopped",
        targeting=TargetingRecord(
            id=12,
            search_query="*",
            targeting_type="static_query",
            hosts=tuple((result.host, 1) for result in results),
        ),
        start_at=BEGIN,
        begun=begun,
        results=results,
        ended_at=BEGIN + timedelta(seconds=62),
        provenance=Provenance(
            user="ops",
            trigger="recurrence",
            playbook="playbooks/nightly.yml",
            job_name="Nightly",
            commit="0123456789abcdef",
            dirty=True,
        ),
    )
    return replace(found, **changes)


NOT_RUN = record(begun=False, code="overlap", reason="the run before it, 11, goes on")


def wish(*when, **changes):
    asked = {"when": frozenset(when)} if when else {}
    return Wish(to=SecretReference(kind="env", name="OPS_URL"), name="ops", **asked, **changes)


# -- when there is something to tell ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "previous", "expected"),
    [
        (["succeeded"], None, {"succeeded"}),
        (["succeeded"], "succeeded", {"succeeded"}),
        (["succeeded"], "failed", {"succeeded", "recovered"}),
        (["succeeded"], "cancelled", {"succeeded", "recovered"}),
        (["succeeded", "failed"], "failed", {"failed"}),
        (["unknown"], "succeeded", {"failed"}),
    ],
)
def test_a_run_is_an_occasion_of_what_it_is_beside_the_one_before(statuses, previous, expected):
    assert occasions(record(*statuses), previous) == expected | {"always"}


def test_what_somebody_cancelled_is_told_to_those_who_hear_of_everything():
    assert occasions(record("cancelled", cancelled=True), "succeeded") == {"always"}


def test_what_did_not_begin_is_missed_and_recovers_nothing():
    assert occasions(NOT_RUN, "failed") == {"missed", "always"}


# -- what is told -------------------------------------------------------------------------------------------


def test_a_message_says_what_came_out_why_from_where_and_what_to_do():
    message = compose_message(record("succeeded", "failed", "failed", "unreachable"))
    assert message.title == "failed: Nightly"
    assert message.body.split("\n") == [
        "invocation 12: Run date on everybody",
        "3 of 4 hosts did not succeed in 1 min 02 s",
        "failed 2: web[2-3]",
        "unreachable 1: web4",
        "succeeded 1: web1",
        "web2: failed it is",
        "web4: unreachable it is",
        "by ops (recurrence), playbooks/nightly.yml, commit 0123456789ab with changes",
        "chargehand show 12",
        "chargehand rerun 12 --failed",
    ]


def test_a_message_of_success_is_short():
    message = compose_message(record("succeeded"), "failed")
    assert message.title == "recovered: Nightly"
    assert "1 host succeeded" in message.body
    assert "rerun" not in message.body


def test_output_is_told_only_when_asked_for_and_no_terminal_obeys_it():
    failed = record("failed")
    assert "two" not in compose_message(failed).body
    body = compose_message(failed, output=True).body
    assert "  one\n  two\\x1b[31m\n" in body


def test_runs_that_did_not_take_place_are_one_message():
    later = replace(NOT_RUN, id=13, start_at=BEGIN + timedelta(days=1), reason="")
    message = compose_not_run([NOT_RUN, later])
    assert message.title == "did not run: Nightly (2 times)"
    assert "due 2027-01-15 03:00 UTC: the run before it, 11, goes on\n" in message.body
    assert "due 2027-01-16 03:00 UTC: overlap\n" in message.body
    assert compose_message(NOT_RUN).title == "did not run: Nightly"


def test_a_message_is_bounded_whatever_names_and_reasons_hold():
    names = [f"{'x' * 200}{number}{'y' * (number % 7)}-{number * number}" for number in range(2000)]
    results = tuple(
        HostResult(host=name, status=Status.FAILED, reason=f"{name}\n\x1b]0;title\x07" * 3) for name in names
    )
    message = compose_message(record(results=results, description="d" * 500, provenance=None), output=True)
    assert len(message.title) <= TITLE_LENGTH
    assert len(message.body) <= BODY_LENGTH
    assert "\x1b" not in message.body


# -- sending ------------------------------------------------------------------------------------------------


def test_everybody_who_wished_for_it_gets_one_message(receiver):
    wishes = [wish("failed"), wish("always"), wish("recovered", "succeeded", "missed")]
    assert send(record("failed"), None, wishes, look_up=lambda _: Secret(receiver.url)) == ()
    assert receiver.titles == ["failed: Nightly"] * 2


def test_nobody_is_looked_up_for_nothing():
    def look_up(_):
        raise AssertionError

    assert send(record("succeeded"), "succeeded", [wish()], look_up=look_up) == ()
    assert send_not_run([], [wish("always")], look_up=look_up) == ()
    assert send_not_run([NOT_RUN], [wish("failed")], look_up=look_up) == ()


def test_missed_runs_are_told_to_those_who_wished(receiver):
    assert send_not_run([NOT_RUN] * 3, [wish("missed")], look_up=lambda _: Secret(receiver.url)) == ()
    assert receiver.titles == ["did not run: Nightly (3 times)"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"json://127.0.0.1:1/{CANARY}", "it did not arrive"),
        (f"nonsense://{CANARY}", "it leads to no URL that Apprise understands"),
        (CANARY, "it leads to no URL that Apprise understands"),
    ],
)
def test_a_message_that_cannot_be_sent_is_told_without_its_url(url, said, caplog, capfd):
    caplog.set_level(logging.DEBUG, logger="chargehand")
    (trouble,) = send(record("failed"), None, [wish()], look_up=lambda _: Secret(url))
    assert trouble == f"the message for ops was not sent: {said}"
    assert CANARY not in caplog.text + "".join(capfd.readouterr())


def test_a_receiver_that_refuses_is_told_with_its_status(receiver, capfd):
    receiver.status = 500
    (trouble,) = send(record("failed"), None, [wish()], look_up=lambda _: Secret(receiver.url))
    assert trouble == "the message for ops was not sent: it was refused with 500"
    assert CANARY not in "".join(capfd.readouterr())


def test_a_receiver_that_hangs_is_not_waited_for(monkeypatch, capfd):
    monkeypatch.setattr(notifier, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/{CANARY}"
        (trouble,) = send(record("failed"), None, [wish()], look_up=lambda _: Secret(url))
    assert trouble == "the message for ops was not sent: it was not answered in time"
    assert CANARY not in "".join(capfd.readouterr())


def test_without_the_extra_the_trouble_names_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "chargehand.notify.sending", raising=False)
    monkeypatch.setitem(sys.modules, "apprise", None)
    (trouble,) = send(record("failed"), None, [wish()], look_up=lambda _: Secret("json://x"))
    assert trouble.endswith("the package `apprise` is not installed (pip install 'chargehand[notify]')")


# -- names --------------------------------------------------------------------------------------------------


def test_a_url_in_the_settings_is_refused_without_being_repeated():
    with pytest.raises(SettingsError) as refused:
        read_settings(f'[notify]\nops = "json://{CANARY}"\n')
    (problem,) = refused.value.problems
    assert problem.place.line == 1
    assert "`ops`" in problem.message
    assert CANARY not in str(problem)


def test_a_url_in_the_settings_is_taken_where_plain_secrets_are():
    settings = read_settings('plain_secrets = "allow"\n[notify]\nops = "json://here"\n')
    (found,) = read_wishes(job_of({"to": "ops"}), settings)
    assert (found.to.kind, found.name) == ("plain", "ops")


def test_a_name_is_what_the_settings_say_of_it():
    settings = Settings(notify={"ops": {"env": "OPS_URL"}})
    (found,) = read_wishes(job_of({"to": "ops", "when": ["missed"], "output": True}), settings)
    assert found == wish("missed", output=True)


def test_wishes_are_read_as_far_as_they_are_understood():
    settings = Settings(notify={"ops": {"env": "OPS_URL"}})
    assert len(read_wishes(job_of({"to": "dev"}, {"to": "ops"}, 7, {}), settings)) == 1


def job_of(*wishes):
    return Job(document=parse(json.dumps({"notify": wishes}), "job.json"))


# -- on the command line ------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path):
    found = Repository(tmp_path / "fleet")
    found.hosts({"here": {"ansible_connection": "local", "ansible_user": OWN_NAME}})
    return found


def nightly(repository, script, *wishes):
    return repository.job(script, name="nightly", notify=list(wishes) or [{"to": {"env": "OPS_URL"}}])


def test_a_job_that_fails_twice_and_recovers_is_told_three_times(repository, receiver):
    environ = {"OPS_URL": receiver.url}
    for script, code in (("exit 3", 5), ("exit 3", 5), ("true", 0), ("true", 0)):
        answer = repository.run(nightly(repository, script), environ=environ)
        assert answer.code == code, answer.stderr
        assert CANARY not in answer.stdout + answer.stderr
    assert receiver.titles == ["failed: nightly", "failed: nightly", "recovered: nightly"]
    assert "failed 1: here\n" in receiver.messages[0]["message"]


@pytest.mark.parametrize("output", ["text", "json", "ndjson"])
def test_a_message_that_is_not_taken_changes_nothing_and_is_told(repository, receiver, output):
    receiver.status = 500
    file = nightly(repository, "echo out", {"to": {"env": "OPS_URL"}, "when": ["always"]})
    answer = repository.chargehand("run", file, "-o", output, environ={"OPS_URL": receiver.url})
    assert answer.code == 0, answer.stderr
    told = "the message for the environment variable `OPS_URL` was not sent: it was refused with 500"
    assert told in answer.stderr
    assert CANARY not in answer.stdout + answer.stderr


def test_a_secret_that_is_missing_at_the_end_changes_nothing(repository):
    answer = repository.run(nightly(repository, "exit 3"))
    assert answer.code == 5
    assert "was not sent" in answer.stderr
    assert "the environment variable `OPS_URL` is not set" in answer.stderr


def test_no_part_of_a_url_is_kept(repository, receiver):
    repository.run(nightly(repository, "exit 3"), environ={"OPS_URL": receiver.url})
    assert receiver.titles == ["failed: nightly"]
    kept = [path.read_bytes() for path in Path(repository.root).rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in content for content in kept)


def test_validation_sends_nothing_and_tells_a_name_that_is_not_known(repository):
    nightly(repository, "true", {"to": "obs"})
    repository.settings()
    with (repository.root / "chargehand.toml").open("a") as settings:
        settings.write('[notify]\nops = { env = "OPS_URL" }\n')
    answer = repository.chargehand("validate")
    assert answer.code == 3
    assert "the setting `notify` has no name `obs`" in answer.stdout + answer.stderr
    assert "did you mean `ops`?" in answer.stdout + answer.stderr


def test_doctor_tells_who_is_told_and_by_what_kind_of_url_only(repository, receiver):
    (repository.root / "freeze.ics").write_text(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nEND:VCALENDAR\n", encoding="utf-8"
    )
    repository.job("true", notify=[{"to": {"env": "OPS_URL"}}], blackout="freeze.ics")
    findings = repository.chargehand("doctor", "-o", "json", environ={"OPS_URL": receiver.url})
    found = {finding["about"]: finding["found"] for finding in findings.document}
    assert found["notify"] == "the environment variable `OPS_URL` by json"
    assert found["blackout"] == "1 calendar"
    assert CANARY not in findings.stdout + findings.stderr


def test_doctor_says_what_keeps_messages_and_calendars_from_working(repository):
    repository.job("true", notify=[{"to": {"env": "OPS_URL"}}], blackout="freeze.ics")
    answer = repository.chargehand("doctor")
    assert answer.code == 1
    assert "the environment variable `OPS_URL` is not set" in answer.stdout
    assert "the calendar `freeze.ics` cannot be read" in answer.stdout
