"""The JSON of an invocation, held against the answer that the API documents, and events as lines."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.event import (
    HostConnecting,
    HostFinished,
    HostOutput,
    HostStarted,
    Notice,
    RunFinished,
    RunStarted,
)
from chargehand.report.escape import escape_json
from chargehand.report.invocation import InputRecord, InvocationRecord, TargetingRecord, document
from chargehand.report.jsontext import dumps
from chargehand.report.ndjson import EventWriter
from chargehand.result import CapturedOutput, HostResult, JobResult, Status

SEED = json.loads((Path(__file__).parent / "cases/report/seed_response.json").read_text())
NOW = datetime(2023, 11, 27, 20, 15, 8, tzinfo=UTC)
TASK = "57b07eed-db92-44a5-a98b-dcfb071bcff9"
PLANNED = InvocationRecord(
    id=188,
    description="Job template 181 with inputs Template input 59=\"''\"",
    job_category="Job name 186",
    task_id=TASK,
    state="planned",
    start_at=NOW,
    targeting=TargetingRecord(
        id=212,
        search_query="name ^ (host137, host138)",
        targeting_type="static_query",
        user_id=135138680,
        hosts=(("host137", 132), ("host138", 133)),
    ),
    template_id=181,
    template_name="Job template 181",
    inputs=(
        InputRecord(name="service", value="nginx", id=59),
        InputRecord(name="token", value="s3cret", hidden=True),
    ),
)


def ended(*results: HostResult, cancelled: bool = False) -> InvocationRecord:
    return replace(PLANNED, state="stopped", begun=True, results=results, cancelled=cancelled)


def result(host: str, status: str = "succeeded", stdout: bytes = b"", **facts: object) -> HostResult:
    output = CapturedOutput(head=stdout, size_bytes=len(stdout))
    return HostResult(host=host, status=Status(status), stdout=output, **facts)


def only(answer: dict, like: dict) -> dict:
    """The part of `answer` whose keys `like` has too."""
    return {
        key: only(value, like[key]) if isinstance(value, dict) and isinstance(like[key], dict) else value
        for key, value in answer.items()
        if key in like
    }


def test_the_documented_answer_comes_out_as_it_stands():
    answer = json.loads(dumps(document(PLANNED)))
    assert only(answer, SEED) == SEED
    assert [key for key in answer if key in SEED] == list(SEED)


def test_the_documented_keys_are_there_in_every_state():
    finished = ended(result("host137"), result("host138", "failed", exit_status=3))
    for record in (PLANNED, replace(PLANNED, state="scheduled"), replace(PLANNED, begun=True), finished):
        answer = document(record)
        assert set(SEED) <= set(answer)
        for name in ("targeting", "task", "dynflow_task"):
            assert set(SEED[name]) <= set(answer[name])


@pytest.mark.parametrize(
    ("record", "status", "counters"),
    [
        (replace(PLANNED, state="scheduled"), (2, "queued"), ("N/A", "N/A", "N/A", "N/A", "N/A")),
        (PLANNED, (3, "running"), ("N/A", "N/A", "N/A", "N/A", 2)),
        (replace(PLANNED, state="running", begun=True), (3, "running"), (0, 0, 2, 0, 2)),
        (
            replace(PLANNED, state="running", begun=True, results=(result("host138", "timed_out"),)),
            (3, "running"),
            (0, 1, 1, 0, 2),
        ),
        (ended(result("host137"), result("host138")), (0, "succeeded"), (2, 0, 0, 0, 2)),
        (ended(result("host137"), result("host138", "unreachable")), (1, "failed"), (1, 1, 0, 0, 2)),
        (ended(result("host137", "unknown"), result("host138", "skipped")), (1, "failed"), (0, 2, 0, 0, 2)),
        (
            ended(result("host137"), result("host138", "cancelled"), cancelled=True),
            (4, "cancelled"),
            (1, 0, 0, 1, 2),
        ),
    ],
)
def test_status_and_counters(record, status, counters):
    answer = document(record)
    assert (answer["status"], answer["status_label"]) == status
    assert tuple(answer[key] for key in ("succeeded", "failed", "pending", "cancelled", "total")) == counters


def test_mode_is_told_of_future_and_recurring_jobs_only():
    assert "mode" not in document(PLANNED)
    future = document(replace(PLANNED, scheduling=(NOW, None)))
    assert (future["mode"], future["scheduling"]) == (
        "future",
        {"start_at": "2023-11-27 20:15:08 UTC", "start_before": None},
    )
    recurring = document(replace(PLANNED, recurrence={"id": 3, "cron_line": "0 3 * * sun"}))
    assert (recurring["mode"], recurring["recurrence"]["cron_line"]) == ("recurring", "0 3 * * sun")


def test_hidden_inputs_are_never_written_out():
    text = dumps(document(ended(result("host137"), result("host138"))))
    assert "s3cret" not in text
    values = json.loads(text)["template_invocations"][1]["template_invocation_input_values"]
    assert [value["value"] for value in values] == ["nginx", "*****"]


def test_every_host_has_a_result_in_the_order_of_the_run():
    done = result("host138", "failed", b"x\n", exit_status=3, started_at=NOW, duration_s=1.23456, host_id=133)
    first, second = document(replace(PLANNED, state="running", begun=True, results=(done,)))["results"]
    assert (first["host"], first["host_id"], first["status"]) == ("host137", 132, "pending")
    assert {
        key: second[key] for key in ("status", "exit_status", "signal", "started_at", "duration_s", "stdout")
    } == {
        "status": "failed",
        "exit_status": 3,
        "signal": None,
        "started_at": "2023-11-27T20:15:08+00:00",
        "duration_s": 1.235,
        "stdout": "x\n",
    }


def test_a_long_output_says_what_was_left_out():
    output = CapturedOutput(head=b"begin", tail=b"end", size_bytes=1000, sha256="ab" * 32)
    answer = document(ended(replace(result("host137"), stdout=output), result("host138")))["results"][0]
    assert answer["stdout_truncated"] is True
    assert (answer["stdout_size_bytes"], answer["stdout_sha256"]) == (1000, "ab" * 32)
    assert answer["stdout"] == "begin\n[... 992 bytes left out ...]\nend"
    assert answer["stderr_truncated"] is False


@given(stdout=st.binary(), reason=st.text(st.characters()))
def test_the_document_is_valid_json_in_utf8_whatever_hosts_say(stdout, reason):
    text = dumps(document(ended(result("host137", "failed", stdout, reason=reason), result("host138"))))
    answer = json.loads(text.encode("utf-8"))["results"][0]
    assert answer["stdout"] == stdout.decode("utf-8", "backslashreplace")
    assert answer["reason"] == reason


def lines_of(*events) -> list[dict]:
    written: list[str] = []
    writer = EventWriter(188, written.append)
    for event in events:
        writer(event)
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in written)
    return [json.loads(line) for line in written]


def test_every_event_is_a_line_with_its_kind_and_number():
    done = result("web1", "failed", b"hello", exit_status=1)
    job = JobResult(results=(done,), started_at=NOW, ended_at=NOW)
    lines = lines_of(
        RunStarted(at=NOW, hosts=("web1",)),
        HostConnecting(at=NOW, host="web1", attempt=2),
        HostStarted(at=NOW, host="web1"),
        HostOutput(at=NOW, host="web1", stream="stdout", chunk=b"hello"),
        Notice(at=NOW, message="look"),
        HostFinished(at=NOW, result=done),
        RunFinished(at=NOW, result=job),
    )
    assert [(line["seq"], line["type"], line["host"]) for line in lines] == [
        (1, "run_started", None),
        (2, "host_connecting", "web1"),
        (3, "host_started", "web1"),
        (4, "host_output", "web1"),
        (5, "notice", None),
        (6, "host_finished", "web1"),
        (7, "run_finished", None),
    ]
    assert all(
        (line["v"], line["ts"], line["invocation"]) == (1, "2023-11-27T20:15:08+00:00", 188) for line in lines
    )
    assert (lines[3]["stream"], lines[3]["text"]) == ("stdout", "hello")
    assert (lines[5]["status"], lines[5]["exit_status"], lines[5]["stdout_size_bytes"]) == ("failed", 1, 5)
    assert "stdout" not in lines[5]
    assert (lines[6]["counts"], lines[6]["exit_code"]) == ({"failed": 1}, 5)


@given(text=st.text(max_size=30), tail=st.binary(max_size=3), cuts=st.sets(st.integers(1, 80), max_size=8))
def test_output_cut_anywhere_reads_as_if_it_came_at_once(text, tail, cuts):
    whole = text.encode() + tail
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    chunks = [whole[start:end] for start, end in itertools.pairwise(edges)]
    events = [HostOutput(at=NOW, host="web1", stream="stderr", chunk=chunk) for chunk in chunks]
    lines = lines_of(*events, HostFinished(at=NOW, result=result("web1")))
    told = "".join(line["text"] for line in lines if line["type"] == "host_output")
    assert told == whole.decode("utf-8", "backslashreplace")


SHORT = st.text(max_size=5)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SHORT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SHORT | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_json_text_is_laid_out_as_the_standard_library_does_it(value):
    for told in (value, [value, {"again": value, "deeper": [value, value]}]):
        assert dumps(told) == escape_json(json.dumps(told, indent=2, ensure_ascii=False))


def test_json_text_of_more_mappings_than_are_remembered_is_whole():
    shared, other = {"a": [1]}, {"b": [2]}
    value = [[shared, {"own": [number]}, other] for number in range(2000)]
    assert dumps(value) == json.dumps(value, indent=2)
