"""Conduct over bad channels: deadlines, losses, stops. The channel is played, and so is the clock."""

import re
from collections.abc import Callable

import pytest

from chargehand.connection import Become, ConnectionSettings
from chargehand.provider import Ending, NotStarted, Stop
from chargehand.script import RenderedScript
from chargehand.secret import Secret
from chargehand.start.channel import ConnectionLost, Received
from chargehand.start.conduct import CONFIRM_S, DRAIN_S, Conduct
from chargehand.start.wrapper import GRACE_S
from heard import Heard

SETTINGS = ConnectionSettings(address="web1", start_timeout_s=30)


class Host:
    """A host that answers what the test tells it to; waiting moves the clock and nothing else."""

    def __init__(self, *answers: "Callable[[Host], Received]", takes: int = 1 << 30) -> None:
        self.answers = list(answers)
        self.takes = takes
        self.request = ""
        self.received = b""
        self.now = 1000.0
        self.closed = False

    def open(self, request: str, *, pty: bool) -> "Host":
        self.request = request
        return self

    def clock(self) -> float:
        return self.now

    def send(self, chunk: bytes) -> int:
        taken = min(self.takes, len(chunk))
        self.takes -= taken
        self.received += chunk[:taken]
        return taken

    def receive(self, timeout_s: float | None, *, room: bool = False) -> Received:
        if self.answers:
            return self.answers.pop(0)(self)
        assert timeout_s is not None, "waits for ever"
        self.now += timeout_s
        return Received()

    def wake(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def says(self, words: str) -> bytes:
        found = re.search(rb"nonce=([0-9a-f]{32})", self.received)
        assert found
        return found[1] + f" {words}\n".encode()

    @property
    def ready(self) -> bytes:
        left, right = re.findall(r"\b[0-9a-f]{16}\b", self.request)[-2:]
        return f"{left}{right} READY\n".encode()

    def run(
        self,
        *,
        stop: Stop | None = None,
        become: Become | None = None,
        content: bytes = b"echo\n",
        timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
    ) -> Ending:
        script = RenderedScript(
            content=content, become=become, timeout_s=timeout_s, idle_timeout_s=idle_timeout_s
        )
        return Conduct(self.open, SETTINGS, clock=self.clock).run(script, Heard(), stop or Stop())


def ready(host: Host) -> Received:
    return Received(stderr=host.ready)


def start(host: Host) -> Received:
    return Received(stdout=host.says("START"), stderr=host.ready + host.says("START"))


def end(host: Host) -> Received:
    return Received(stdout=host.says("END 0 - "), stderr=host.says("END 0 - "))


def closed(_: Host) -> Received:
    return Received(closed=True)


def lose(_: Host) -> Received:
    raise ConnectionLost("no-reply", "silent for 45 s")


def press(stop: Stop, *, now: bool = False) -> Callable[[Host], Received]:
    def answer(_: Host) -> Received:
        stop.press("cancelled", now=now)
        return Received()

    return answer


def wait(seconds: float) -> Callable[[Host], Received]:
    def answer(host: Host) -> Received:
        host.now += seconds
        return Received()

    return answer


def test_a_script_that_ends_is_told_with_its_time() -> None:
    ending = Host(wait(2), start, wait(5), end).run()
    assert (ending.exit_status, ending.lost, ending.duration_s) == (0, "", 5)


@pytest.mark.parametrize(
    ("answers", "takes", "code"),
    [
        ((closed,), 1 << 30, "no-start"),
        ((lose,), 100, "no-reply"),
        ((ready, lose), 100, "no-reply"),
        ((), 1 << 30, "start-timeout"),
        ((ready,), 100, "start-timeout"),
        ((ready, closed), 1 << 30, "no-start"),
    ],
)
def test_what_cannot_have_started_is_not_started(
    answers: tuple[Callable[[Host], Received], ...], takes: int, code: str
) -> None:
    host = Host(*answers, takes=takes)
    with pytest.raises(NotStarted) as failure:
        host.run()
    assert failure.value.code == code
    assert host.closed


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((lose,), "no-reply"),
        ((ready, lose), "no-reply"),
        ((ready,), "start-timeout"),
        ((start, lose), "no-reply"),
        ((start, closed), "no-end"),
    ],
)
def test_what_may_have_started_and_was_not_heard_of_again_is_unknown(
    answers: tuple[Callable[[Host], Received], ...], code: str
) -> None:
    ending = Host(*answers).run()
    assert (ending.code, ending.exit_status, ending.signal, ending.halted) == (code, None, None, "")
    assert ending.lost


def test_an_end_read_before_the_loss_is_the_end() -> None:
    assert Host(start, lambda host: Received(stdout=host.says("END 4 - ")), closed).run().exit_status == 4


def test_the_second_stream_may_lag_and_is_not_waited_for_when_it_stays_silent() -> None:
    host = Host(start, lambda host: Received(stdout=host.says("END 4 - ")))
    ending = host.run()
    assert (ending.exit_status, ending.duration_s, host.now) == (4, 0, 1000 + DRAIN_S)


def test_a_second_stream_that_comes_slowly_is_received_to_its_end() -> None:
    def trickle(host: Host) -> Received:
        host.now += DRAIN_S - 1
        return Received(stdout=b".")

    def end(host: Host) -> Received:
        return Received(stdout=host.says("END 0 - "))

    host = Host(start, lambda host: Received(stderr=host.says("END 0 - ")), *[trickle] * 20, end)
    assert host.run().exit_status == 0
    assert not host.answers


def test_the_timeout_counts_from_the_start_and_orders_the_end() -> None:
    host = Host(wait(29), start, *[wait(1)] * 59)
    ending = host.run(timeout_s=60)
    assert host.received.endswith(b"stop %d\n" % GRACE_S)
    assert ending.code == "cancel-unconfirmed"
    assert host.now == 1000 + 29 + 60 + GRACE_S + CONFIRM_S


def test_output_puts_the_idle_limit_off_but_not_the_timeout() -> None:
    def speak(host: Host) -> Received:
        host.now += 4
        return Received(stdout=b".")

    stop = Stop()
    Host(start, *[speak] * 10).run(idle_timeout_s=5, timeout_s=1000, stop=stop)
    assert stop.reason == "idle"
    stop = Stop()
    Host(start, *[speak] * 10).run(idle_timeout_s=5, timeout_s=30, stop=stop)
    assert stop.reason == "timed_out"


def test_a_confirmed_stop_names_its_reason() -> None:
    stop = Stop()
    both = lambda host: Received(stdout=(said := host.says("END 143 gone Terminated")), stderr=said)  # noqa: E731
    ending = Host(start, press(stop), both).run(stop=stop)
    assert (ending.halted, ending.signal, ending.lost) == ("cancelled", "TERM", "")


def test_a_stop_that_comes_too_late_leaves_the_scripts_own_end() -> None:
    stop = Stop()
    ending = Host(start, press(stop), end).run(stop=stop)
    assert (ending.exit_status, ending.halted) == (0, "")


def test_a_stopped_script_of_which_something_lives_on_is_told_as_such() -> None:
    stop = Stop()
    both = lambda host: Received(stdout=(said := host.says("END 137 alive Killed")), stderr=said)  # noqa: E731
    ending = Host(start, press(stop), both).run(stop=stop)
    assert (ending.code, ending.halted, ending.signal) == ("cancel-unconfirmed", "", None)


def test_a_second_press_waits_for_nothing() -> None:
    stop = Stop()
    host = Host(start, press(stop), press(stop, now=True))
    ending = host.run(stop=stop)
    assert (ending.code, host.now) == ("cancel-unconfirmed", 1000)


def test_stopped_before_all_was_sent_is_not_started() -> None:
    stop = Stop()
    host = Host(press(stop), takes=100)
    with pytest.raises(NotStarted) as failure:
        host.run(stop=stop)
    assert failure.value.code == "cancelled"
    assert b"stop" not in host.received


def test_stopped_while_the_start_is_awaited_the_order_follows_the_script() -> None:
    stop = Stop()
    both = lambda host: Received(stdout=(said := host.says("END 143 gone Terminated")), stderr=said)  # noqa: E731
    ending = Host(press(stop), start, both).run(stop=stop)
    assert ending.halted == "cancelled"
    stop = Stop()
    with pytest.raises(NotStarted) as failure:
        Host(press(stop)).run(stop=stop)
    assert failure.value.code == "cancelled"


def test_a_host_that_takes_nothing_more_and_floods_is_read_all_the_while() -> None:
    """Neither side waits for the other: a long script goes on when there is room again."""
    flood = lambda _: Received(stdout=b"noise" * 1000)  # noqa: E731

    def make_room(host: Host) -> Received:
        host.takes = 1 << 30
        return Received(stdout=b"noise")

    ending = Host(*[flood] * 100, make_room, wait(0), start, end, takes=1000).run(content=b"x" * 1_000_000)
    assert ending.exit_status == 0
    assert len(ending.noise) <= 65536


def test_a_terminal_is_asked_for_once() -> None:
    opened: list[bool] = []

    def demand(host: Host) -> Received:
        left, right = re.findall(r"\b[0-9a-f]{16}\b", host.request)[-2:]
        said = f"{left}{right} BECOME\nsudo: sorry, you must have a tty to run sudo\n".encode()
        return Received(stderr=said, stdout=said if opened[-1] else b"", closed=True)

    host = Host(demand, demand, demand)

    def open_(request: str, *, pty: bool) -> Host:
        opened.append(pty)
        return host.open(request, pty=pty)

    become = Become(user="root", password=Secret("x"))
    with pytest.raises(NotStarted) as failure:
        Conduct(open_, SETTINGS, clock=host.clock).run(
            RenderedScript(content=b"", become=become), Heard(), Stop()
        )
    assert failure.value.code == "become-tty"
    assert opened == [False, True]
