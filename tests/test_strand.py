"""One thread serves many, each of which waits as plain code does."""

import logging
import os
import socket
import subprocess
import threading
import time
from contextlib import closing
from functools import partial

import pytest
from greenlet import getcurrent

from chargehand.beside import begin, elsewhere
from chargehand.strand import Condition, Hub, Mutex, Signal, hub_here
from strands import in_strand


def run(*works) -> None:
    """Run some strands to their ends."""
    with closing(Hub()) as hub:
        for work in works:
            hub.spawn(work)
        hub.run()


def test_a_strand_that_waits_lets_others_go_on_in_the_same_thread() -> None:
    said: list[object] = []
    ready = Signal()

    def first() -> None:
        said.append(threading.get_ident())
        ready.wait()
        said.append("first")

    def second() -> None:
        said.append(threading.get_ident())
        ready.set()
        said.append("second")

    run(first, second)
    assert said == [threading.get_ident()] * 2 + ["second", "first"]


def test_a_thousand_strands_wait_together() -> None:
    begun = time.monotonic()
    ended: list[int] = []

    def work(number: int) -> None:
        Signal().wait(0.2)
        ended.append(number)

    run(*[lambda number=number: work(number) for number in range(1000)])
    assert sorted(ended) == list(range(1000))
    assert time.monotonic() - begun < 100  # one after the other it would take 200


def test_timers_ring_in_their_order() -> None:
    rung: list[float] = []

    def work(seconds: float) -> None:
        assert not Signal().wait(seconds)
        rung.append(seconds)

    run(*[lambda seconds=seconds: work(seconds) for seconds in (0.06, 0.02, 0.0, 0.04)])
    assert rung == [0.0, 0.02, 0.04, 0.06]


def test_a_signal_of_another_thread_wakes_a_sleeping_hub() -> None:
    for _ in range(200):
        signal = Signal()
        thread = threading.Thread(target=signal.set)
        in_strand(lambda signal=signal, thread=thread: (thread.start(), signal.wait(30)))
        assert signal.is_set()
        thread.join()


def test_a_signal_wakes_threads_and_strands_alike() -> None:
    signal, woken = Signal(), []

    def wait() -> None:
        woken.append(signal.wait(30))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    run(wait, wait, signal.set)
    for thread in threads:
        thread.join()
    assert woken == [True] * 5


def test_whoever_wakes_a_strand_too_late_ends_none_of_its_later_waits() -> None:
    early, later = Signal(), Signal()

    def work() -> None:
        assert not early.wait(0.01)
        early.set()
        assert not later.wait(0.05)

    in_strand(work)


def test_a_strand_that_fails_ends_alone_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    def fail() -> None:
        raise SystemExit("never mind")

    with caplog.at_level(logging.ERROR):
        run(fail, lambda: ended.append("other"))
    assert ended == ["other"]
    assert "never mind" in caplog.text


def test_a_hub_waits_for_none_that_only_serves_others() -> None:
    served: list[str] = []

    def serve() -> None:
        served.append("begun")
        Signal().wait()
        served.append("never")

    in_strand(lambda: (begin(serve, "server"), Signal().wait(0.01)))
    assert served == ["begun"]


def test_work_elsewhere_keeps_nobody_waiting_and_brings_its_error_back() -> None:
    order: list[str] = []
    gate = threading.Event()

    def slow() -> str:
        gate.wait(30)
        order.append("elsewhere")
        return "done"

    def refuse() -> None:
        raise ValueError("no")

    def ask() -> None:
        assert elsewhere(slow) == "done"
        with pytest.raises(ValueError, match="no"):
            elsewhere(refuse)

    def other() -> None:
        order.append("other")
        gate.set()

    run(ask, other)
    assert order == ["other", "elsewhere"]


def test_a_mutex_is_kept_over_waits() -> None:
    mutex, inside, most = Mutex(), [], []

    def work() -> None:
        with mutex:
            inside.append(1)
            most.append(len(inside))
            Signal().wait(0.001)
            inside.pop()

    run(*[work] * 20)
    assert most == [1] * 20


def test_a_condition_wakes_in_the_order_of_waiting() -> None:
    condition, woken = Condition(), []

    def wait(number: int) -> None:
        with condition:
            assert condition.wait(30)
        woken.append(number)

    def notify() -> None:
        with condition:
            condition.notify()
        with condition:
            condition.notify_all()

    run(*[lambda number=number: wait(number) for number in range(4)], notify)
    assert woken == [0, 1, 2, 3]


def test_a_condition_that_is_not_notified_says_so() -> None:
    condition = Condition()

    def wait() -> None:
        with condition:
            assert not condition.wait(0.01)

    in_strand(wait)
    wait()


def test_a_descriptor_is_watched_until_it_is_forgotten() -> None:
    ours, theirs = socket.socketpair()
    changes: list[int] = []
    changed = Signal()

    def work() -> None:
        hub = hub_here()
        assert hub is not None
        hub.watch(ours.fileno(), lambda events: (changes.append(events), changed.set()))
        changed.wait(30)  # it can be written to
        changed.clear()
        theirs.send(b"x")
        assert changed.wait(30)
        hub.forget(ours.fileno())
        changed.clear()
        theirs.send(b"x")
        assert not changed.wait(0.02)

    with closing(ours), closing(theirs):
        in_strand(work)
    assert len(changes) == 2


def test_timers_of_waits_that_are_over_are_not_kept() -> None:
    kept: list[int] = []

    def work() -> None:
        hub = hub_here()
        assert hub is not None
        for _ in range(5000):
            signal = Signal()
            begin(signal.set, "setter")
            signal.wait(3600)
        kept.append(len(hub._timers))

    in_strand(work)
    assert kept[0] < 3000


def test_a_hub_that_ended_leaves_the_numbers_of_its_descriptors_alone() -> None:
    late = Signal()

    def work() -> None:
        begin(lambda: late.wait(60), "waiter")
        Signal().wait(0.01)

    in_strand(work)
    reader, writer = os.pipe()  # gets the number of the hub's bell
    thread = threading.Thread(target=late.set)
    thread.start()
    thread.join()
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 8)
    os.close(reader)
    os.close(writer)


def test_work_begun_when_other_work_is_done_gets_its_strand() -> None:
    strands: list[object] = []

    def work() -> None:
        for _ in range(5):
            done = Signal()
            begin(lambda done=done: (strands.append(getcurrent()), done.set()), "worker")
            done.wait()
            Signal().wait(0.001)

    in_strand(work)
    assert len(strands) == 5
    assert len(set(strands)) == 1


def test_work_that_fails_leaves_its_strand_to_others() -> None:
    told: list[str] = []

    def work() -> None:
        begin(lambda: 1 / 0, "failing")
        Signal().wait(0.001)
        begin(lambda: told.append("served"), "serving")
        Signal().wait(0.001)

    in_strand(work)
    assert told == ["served"]


def test_a_program_is_waited_for_elsewhere() -> None:
    done: list[int] = []
    in_strand(lambda: done.append(elsewhere(lambda: subprocess.run(["true"], check=False).returncode)))
    assert done == [0]


def test_who_asks_for_news_alone_is_not_told_of_room() -> None:
    told: list[int] = []

    def work(hub: Hub, room: bool) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            hub.watch(ours.fileno(), told.append, room=room)
            Signal().wait(0.05)
            hub.forget(ours.fileno())

    for room in (False, True):
        with closing(Hub()) as hub:
            hub.spawn(partial(work, hub, room))
            hub.run()
        assert bool(told) == room
