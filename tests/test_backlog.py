"""An observer that is slow or stuck does not hold a run up."""

import threading
from datetime import UTC, datetime

import pytest

from chargehand.connection import ConnectionSettings
from chargehand.event import Event, HostFinished, HostOutput, Notice
from chargehand.limits import Limits
from chargehand.report.backlog import Backlog
from chargehand.result import HostResult, Status
from chargehand.runner import Runner
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation
from chargehand.testing import Act, ScriptedProvider

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = HostFinished(at=NOW, result=HostResult(host="web1", status=Status.SUCCEEDED))


def output(size: int) -> HostOutput:
    return HostOutput(at=NOW, host="web1", stream="stdout", chunk=b"x" * size)


def test_every_event_is_told_in_order_before_it_is_left():
    heard: list[Event] = []
    events = [output(size) for size in range(1, 200)] + [DONE]
    with Backlog(heard.append) as backlog:
        for event in events:
            backlog(event)
    assert heard == events


def test_output_beyond_the_limit_is_left_out_and_that_is_told():
    gate, heard = threading.Event(), []

    def slow(event: Event) -> None:
        gate.wait(10)
        heard.append(event)

    with Backlog(slow, limit_bytes=100) as backlog:
        for event in (output(60), output(30), output(20), output(5), DONE):
            backlog(event)
        gate.set()
    assert [len(event.chunk) for event in heard if isinstance(event, HostOutput)] == [60, 30, 5]
    assert [event.message for event in heard if isinstance(event, Notice)] == [
        "web1: 20 bytes of output are not shown here: nobody read fast enough"
    ]
    assert heard[-1] is DONE


def test_an_observer_that_is_stuck_is_left_behind():
    gate = threading.Event()
    with Backlog(lambda _: gate.wait(10), patience_s=0.05) as backlog:
        backlog(DONE)
    assert not gate.is_set()
    gate.set()


def test_what_the_observer_raises_is_raised_once_at_a_later_event():
    told = threading.Semaphore(0)

    def broken(event: Event) -> None:
        told.release()
        raise BrokenPipeError("gone")

    def tell_until_it_is_raised() -> None:
        for _ in range(1000):
            backlog(DONE)
            told.acquire(timeout=0.01)

    with Backlog(broken) as backlog, pytest.raises(BrokenPipeError):
        tell_until_it_is_raised()


def test_a_run_ends_while_its_observer_is_stuck(tmp_path):
    gate = threading.Event()
    provider = ScriptedProvider(otherwise=Act(output=[("stdout", b"x" * 1000)]))
    shares = [
        TemplateInvocation(
            host=f"web{number}",
            settings=ConnectionSettings(address=f"web{number}"),
            script=RenderedScript(content=b"true"),
        )
        for number in range(50)
    ]
    with Backlog(lambda _: gate.wait(10), limit_bytes=1500, patience_s=0.05) as backlog:
        runner = Runner(Limits(), [backlog], spool=tmp_path, find_provider=provider.find)
        result = runner.run(shares)
    gate.set()
    assert result.ok
    assert all(each.stdout.size_bytes == 1000 for each in result.results)
