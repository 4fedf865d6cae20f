"""Runs that follow each other on one stage share what they may share, and nothing else."""

import errno
import threading
from collections.abc import Iterator

import pytest

from chargehand.connection import ConnectionSettings
from chargehand.limits import Limits
from chargehand.provider import Provider, Session, Stop
from chargehand.result import HostResult
from chargehand.runner import Runner, Stage
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation
from chargehand.strand import HUBS, Hub, hub_here
from chargehand.testing import ScriptedProvider

pytestmark = pytest.mark.skipif(not HUBS, reason="this system has no hubs")


class Noting(ScriptedProvider):
    """Notes what it was called from: a strand, or a thread."""

    def __init__(self, *, strands: bool) -> None:
        super().__init__(strands=strands)
        self.keeps = -1
        self.callers: list[bool] = []
        self.closed_in: list[bool] = []

    def open(self, settings: ConnectionSettings, stop: Stop, script: RenderedScript | None = None) -> Session:
        self.callers.append(hub_here() is not None)
        return super().open(settings, stop, script)

    def close(self) -> None:
        self.closed_in.append(hub_here() is not None)


class Play:
    """Runs on one stage."""

    def __init__(self, stage: Stage, made: dict[str, list[Noting]], folder) -> None:
        self.stage = stage
        self.made = made
        self._folder = folder

    def run(self, **hosts: str) -> None:
        """Run a script on hosts, each with the name of its provider."""
        assert {each.status for each in self.results(**hosts)} == {"succeeded"}

    def results(self, **hosts: str) -> tuple[HostResult, ...]:
        """The same, whatever comes of it."""
        script = RenderedScript(content=b"true\n")
        shares = [
            TemplateInvocation(
                host=host, settings=ConnectionSettings(address=host, provider=name), script=script
            )
            for host, name in hosts.items()
        ]
        runner = Runner(Limits(), spool=self._folder, find_provider=self.stage.find)
        return runner.run(shares, self.stage).results


@pytest.fixture
def play(tmp_path) -> Iterator[Play]:
    made: dict[str, list[Noting]] = {"stranded": [], "threaded": []}

    def find(name: str):
        def make() -> Provider:
            made[name].append(Noting(strands=name == "stranded"))
            return made[name][-1]

        return make

    with Stage(find) as stage:
        yield Play(stage, made, tmp_path)


def test_runs_that_follow_each_other_have_the_same_provider(play: Play) -> None:
    for _ in range(3):
        play.run(web1="stranded", web2="stranded")
    (provider,) = play.made["stranded"]
    assert provider.callers == [True] * 6
    assert not provider.closed_in
    play.stage.__exit__(None, None, None)
    assert provider.closed_in == [True]


def test_a_provider_that_waits_in_its_own_way_does_so_beside_the_strands(play: Play) -> None:
    for _ in range(2):
        play.run(web1="stranded", here="threaded", web2="stranded", there="threaded")
    (stranded,), (threaded,) = play.made["stranded"], play.made["threaded"]
    assert stranded.callers == [True] * 4
    assert threaded.callers == [False] * 4
    assert threaded.doors.closed == threaded.doors.opened == 4
    play.stage.__exit__(None, None, None)
    assert (stranded.closed_in, threaded.closed_in) == ([True], [False])


def test_where_no_provider_knows_strands_nobody_serves_them(play: Play) -> None:
    play.run(here="threaded", there="threaded")
    (threaded,) = play.made["threaded"]
    assert threaded.callers == [False] * 2
    assert play.stage._thread is None


def allow_threads(monkeypatch: pytest.MonkeyPatch, most: int, then: int) -> None:
    """Have so many threads beside strands start at once, and of the first ones only so many at all."""
    start, begun, ended = threading.Thread.start, [], []

    def start_some(thread: threading.Thread) -> None:
        if thread.name == "chargehand-elsewhere":
            if len(begun) - len(ended) >= most or len(begun) == then:
                raise RuntimeError("can't start new thread")
            begun.append(thread)
            work = thread.run

            def run() -> None:
                work()
                ended.append(thread)

            thread.run = run  # type: ignore[method-assign]
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)


def test_where_few_threads_can_be_started_fewer_hosts_are_served_beside_the_strands(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_threads(monkeypatch, most=2, then=99)
    play.run(web1="stranded", **{f"here{number}": "threaded" for number in range(8)})
    (threaded,) = play.made["threaded"]
    assert threaded.doors.at_once <= 2
    assert threaded.doors.closed == threaded.doors.opened == 8


def test_where_no_thread_can_be_started_what_would_need_one_is_known_not_to_have_started(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_threads(monkeypatch, most=0, then=0)
    results = play.results(web1="stranded", here="threaded")
    assert [(each.status, each.code) for each in results] == [("succeeded", ""), ("not_started", "no-thread")]
    assert not play.made["threaded"][0].callers


def test_nobody_waits_for_a_thread_that_the_system_gives_no_hub(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Hub:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("chargehand.runner.stage.Hub", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            play.run(web1="stranded")
    play.run(web1="stranded")


def test_a_session_is_closed_though_no_thread_can_be_started_any_more(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_threads(monkeypatch, most=1, then=1)
    play.run(web1="stranded", here="threaded")
    (threaded,) = play.made["threaded"]
    assert threaded.settled == ["here"]
    assert threaded.doors.closed == threaded.doors.opened == 1


def test_connections_are_kept_for_all_runs_but_the_last(play: Play) -> None:
    play.run(web1="stranded")
    (provider,) = play.made["stranded"]
    assert provider.keeps > 0
    play.stage.begin_last()
    play.run(web1="stranded")
    assert provider.keeps == 0
