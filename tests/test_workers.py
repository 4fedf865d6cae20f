"""Worker processes: one that dies, floods or fails is its hosts' matter; nothing else of a run is changed."""

import errno
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.beside import begin
from chargehand.connection import Become, ConnectionSettings, JumpHost
from chargehand.event import Stream
from chargehand.limits import Limits
from chargehand.provider import Ending, NotStarted, Stop, Unreachable
from chargehand.result import Status
from chargehand.runner import Runner
from chargehand.script import RenderedScript
from chargehand.secret import Secret
from chargehand.share import TemplateInvocation
from chargehand.strand import HUBS, Signal
from chargehand.workers import WorkersProvider
from chargehand.workers.message import WINDOW_BYTES, Ended, Open, Run, pack, unpack
from chargehand.workers.session import WorkerSession
from heard import Heard, run
from sshd import Sshd, wait_until

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.usefixtures("runs_in"),
    pytest.mark.parametrize("runs_in", ["strand"]),
    pytest.mark.skipif(not HUBS, reason="this system has no hubs"),
]

ADDRESSES = tuple(f"127.0.9.{number}" for number in range(1, 41))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One server that is many hosts."""
    with Sshd(tmp_path_factory.mktemp("fleet"), addresses=ADDRESSES) as server:
        yield server


@pytest.fixture
def provider() -> Iterator[WorkersProvider]:
    """Three workers, of which each host gets another one while there are any."""
    provider = WorkersProvider(most=3, crowd=1)
    yield provider
    provider.close()


def pids_of(provider: WorkersProvider) -> list[int]:
    """The processes of the workers that there are."""
    return [worker._process.pid for worker in provider._workers if not worker.gone]


def worker_of(session: WorkerSession) -> int:
    return session._worker._process.pid


def kill(provider: WorkersProvider) -> None:
    """Kill all workers, and wait until that is known."""
    for pid in pids_of(provider):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_of(provider), what="the workers are known to be gone")


def beside(work: Callable[[], object]) -> Signal:
    """Do work in a strand or a thread of its own; set when it is done."""
    done = Signal()

    def do() -> None:
        try:
            work()
        finally:
            done.set()

    begin(do, "beside")
    return done


def await_end(pid: int) -> None:
    def ended() -> bool:
        with suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return True

    wait_until(ended, 20, f"process {pid} ends")


# Deaths.


def test_hosts_that_were_being_reached_when_their_worker_died_may_be_tried_again(
    provider: WorkersProvider, fleet: Sshd
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = fleet.settings(address="127.0.0.1", port=silent.getsockname()[1])
        told: list[Unreachable] = []

        def reach() -> None:
            try:
                provider.open(settings, Stop())
            except Unreachable as trouble:
                told.append(trouble)

        done = beside(reach)
        silent.setblocking(False)
        lines: list[socket.socket] = []

        def comes() -> bool:
            with suppress(BlockingIOError):
                lines.append(silent.accept()[0])
            return bool(lines)

        wait_until(comes, what="the worker connects")
        kill(provider)
        assert done.wait(10)
        lines[0].close()
    (trouble,) = told
    assert (trouble.code, trouble.again) == ("worker-lost", True)
    assert trouble.reason == "127.0.0.1: the worker process that served it was killed by SIGKILL"
    assert run(provider, fleet.settings(), "exit 3")[0].exit_status == 3


def test_a_script_that_was_not_handed_over_when_the_worker_died_did_not_start(
    provider: WorkersProvider, fleet: Sshd, tmp_path: Path
) -> None:
    script = RenderedScript(content=f"touch {tmp_path}/ran".encode())
    session = provider.open(fleet.settings(), Stop(), script)
    kill(provider)
    with closing(session), pytest.raises(NotStarted) as told:
        session.run(script, Heard(), Stop())
    assert told.value.code == "worker-lost"
    assert not (tmp_path / "ran").exists()


def test_a_script_that_was_handed_over_when_the_worker_died_is_unknown(
    provider: WorkersProvider, fleet: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARGEHAND_FAILPOINT", "after-send:1:KILL")
    ending, heard = run(provider, fleet.settings(), "echo hello")
    assert (ending.code, ending.exit_status, heard.starts) == ("worker-lost", None, 0)
    assert ending.lost.endswith("was killed by SIGKILL")


def test_a_script_that_ran_when_the_worker_died_is_unknown_and_ends(
    provider: WorkersProvider, fleet: Sshd, tmp_path: Path
) -> None:
    heard = Heard()
    pids = tmp_path / "pids"
    quiet = provider.open(fleet.settings(address=ADDRESSES[1]), Stop())

    def die() -> None:
        wait_until(lambda: heard.stdout == b"up\n", what="the script runs")
        (pid,) = set(pids_of(provider)) - {worker_of(quiet)}
        os.kill(pid, signal.SIGKILL)

    done = beside(die)
    script = f"echo $$ >{pids}; echo up; exec sleep 1000"
    ending, _ = run(provider, fleet.settings(), script, heard)
    assert done.wait(10)
    assert (ending.code, ending.exit_status, ending.halted, heard.starts) == ("worker-lost", None, "", 1)
    assert ending.duration_s > 0
    await_end(int(pids.read_text()))
    with closing(quiet):
        assert quiet.run(RenderedScript(content=b"exit 4"), Heard(), Stop()).exit_status == 4, "others go on"
    assert run(provider, fleet.settings(), "exit 5")[0].exit_status == 5, "the next one has a fresh worker"


def test_a_result_that_was_told_stays_when_the_worker_dies(provider: WorkersProvider, fleet: Sshd) -> None:
    script = RenderedScript(content=b"exit 6")
    with closing(provider.open(fleet.settings(), Stop(), script)) as session:
        assert session.run(script, Heard(), Stop()).exit_status == 6
        kill(provider)
        session.settle()


def test_a_worker_that_answers_no_more_is_ended(
    provider: WorkersProvider, fleet: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SILENT_S", "ANSWER_S"):
        monkeypatch.setattr(f"chargehand.workers.process.{name}", 2.0)
    heard = Heard(at_start=lambda: os.kill(pids_of(provider)[0], signal.SIGSTOP))
    ending, _ = run(provider, fleet.settings(), "exec sleep 1000", heard)
    assert ending.code == "worker-lost"
    assert ending.lost.endswith("did not answer for 2 s")
    assert run(provider, fleet.settings(), "sleep 5; exit 3")[0].exit_status == 3, "silence alone ends nobody"


def test_long_scripts_that_wait_for_a_worker_that_dies_wait_no_longer(
    provider: WorkersProvider, fleet: Sshd
) -> None:
    run(provider, fleet.settings(), "true")
    (pid,) = pids_of(provider)
    os.kill(pid, signal.SIGSTOP)
    script = RenderedScript(content=b"#" * 5_000_000)
    told: list[str] = []

    def reach(number: int) -> None:
        try:
            provider.open(fleet.settings(connect_timeout_s=float(number)), Stop(), script)
        except Unreachable as trouble:
            told.append(trouble.code)

    done = [beside(lambda number=number: reach(number)) for number in range(1, 6)]
    wait_until(lambda: provider._workers[0].busy == len(done), what="all of them wait")
    os.kill(pid, signal.SIGKILL)
    assert all(each.wait(10) for each in done)
    assert told == ["worker-lost"] * len(done)


def test_a_death_is_told_though_the_system_starts_no_more_threads(
    provider: WorkersProvider, fleet: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as meanwhile:

        def die() -> None:
            meanwhile.setattr(threading.Thread, "start", refuse)
            os.kill(pids_of(provider)[0], signal.SIGKILL)

        ending, _ = run(provider, fleet.settings(), "exec sleep 1000", Heard(at_start=die))
    assert (ending.code, ending.exit_status) == ("worker-lost", None)
    assert ending.lost.endswith("the worker process that served it is gone")


def test_a_worker_that_is_stopped_can_be_left(fleet: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargehand.workers.provider.LEAVING_S", 0.2)
    with closing(WorkersProvider(most=1)) as provider:
        run(provider, fleet.settings(), "true")
        (pid,) = pids_of(provider)
        os.kill(pid, signal.SIGSTOP)
    assert not Path(f"/proc/{pid}").exists()


# Limits and windows.


def test_never_more_scripts_at_once_than_allowed_and_as_many(fleet: Sshd, tmp_path: Path) -> None:
    trace, go = tmp_path / "trace", tmp_path / "go"
    content = f"echo + >>{trace}; while [ ! -e {go} ]; do sleep 0.05; done; sleep 0.1; echo - >>{trace}"
    shares = [
        TemplateInvocation(
            host=address,
            settings=fleet.settings(address=address),
            script=RenderedScript(content=content.encode()),
        )
        for address in ADDRESSES
    ]
    made = WorkersProvider(most=3, crowd=2)
    used: set[int] = set()

    def look() -> None:
        wait_until(lambda: trace.exists() and trace.read_text().count("+") == 7, 30, "seven run")
        used.update(pids_of(made))
        go.touch()

    looker = threading.Thread(target=look)
    looker.start()
    runner = Runner(Limits(concurrency_level=7), spool=tmp_path, find_provider=lambda _: lambda: made)
    result = runner.run(shares)
    looker.join()
    assert [each.host for each in result.results] == list(ADDRESSES)
    assert {each.status for each in result.results} == {Status.SUCCEEDED}
    assert len(used) == 3
    running = most = 0
    for line in trace.read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert most == 7


def test_a_flood_that_nobody_reads_is_bounded_and_keeps_nobody_waiting(fleet: Sshd) -> None:
    class Slow(Heard):
        """Reads the first piece, and no more until told to."""

        def __init__(self) -> None:
            super().__init__()
            self.begun, self.go = Signal(), Signal()

        def output(self, stream: Stream, chunk: bytes) -> None:
            super().output(stream, chunk)
            self.begun.set()
            self.go.wait()

    slow, stop = Slow(), Stop()
    with closing(WorkersProvider(most=1)) as provider:
        endings: list[Ending] = []
        sessions: list[WorkerSession] = []

        def flood() -> None:
            script = RenderedScript(content=b"exec cat /dev/zero")
            sessions.append(provider.open(fleet.settings(), stop, script))
            with closing(sessions[0]):
                endings.append(sessions[0].run(script, slow, stop))

        done = beside(flood)
        assert slow.begun.wait(20)
        for address in ADDRESSES[1:6]:
            ending, heard = run(provider, fleet.settings(address=address), "echo quiet")
            assert (ending.exit_status, heard.stdout) == (0, b"quiet\n")
        (pid,) = pids_of(provider)
        (line,) = (each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in each)
        assert int(line.split()[1]) < 150_000, "kB"
        waiting = [news.chunk for news in sessions[0]._heard]
        assert len(b"".join(waiting)) <= WINDOW_BYTES
        assert not endings
        stop.press("cancelled")
        slow.go.set()
        assert done.wait(20)
    assert [each.halted for each in endings] == ["cancelled"]
    assert max(len(chunk) for chunk in slow.chunks["stdout"]) <= WINDOW_BYTES


def test_long_scripts_for_many_hosts_arrive_whole(provider: WorkersProvider, fleet: Sshd) -> None:
    content = "#!/usr/bin/wc -c\n" + "x" * 3_000_000
    told: list[bytes] = []

    def reach(address: str) -> None:
        told.append(run(provider, fleet.settings(address=address), content)[1].stdout)

    done = [beside(lambda address=address: reach(address)) for address in ADDRESSES[:8]]
    assert all(each.wait(60) for each in done)
    assert [int(words.split()[0]) for words in told] == [len(content)] * 8


# Places.


def reach_all(provider: WorkersProvider, *all_settings: ConnectionSettings) -> list[int]:
    """Which worker reaches each host, all of them at once."""
    sessions = [provider.open(settings, Stop()) for settings in all_settings]
    workers = [worker_of(session) for session in sessions]
    for session in sessions:
        session.close()
    return workers


def test_as_many_workers_as_hosts_want_and_no_more(fleet: Sshd) -> None:
    with closing(WorkersProvider(most=3, crowd=2)) as provider:
        assert pids_of(provider) == []
        run(provider, fleet.settings(), "true")
        assert len(pids_of(provider)) == 1
        workers = reach_all(provider, *(fleet.settings(address=each) for each in ADDRESSES[1:9]))
        assert len(pids_of(provider)) == 3
        assert sorted(workers.count(each) for each in set(workers)) == [2, 3, 3]
        assert not provider._moved, "each went to the right one at once"


def test_where_no_more_processes_can_be_started_those_that_there_are_serve_all_hosts(
    provider: WorkersProvider, fleet: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("chargehand.workers.process.start", refuse)
        with pytest.raises(Unreachable) as told:
            provider.open(fleet.settings(), Stop())
    assert (told.value.code, told.value.again) == ("worker", True)
    with closing(provider.open(fleet.settings(), Stop())):
        monkeypatch.setattr("chargehand.workers.process.start", refuse)
        workers = reach_all(provider, *(fleet.settings(address=each) for each in ADDRESSES[1:4]))
    assert workers == pids_of(provider) * 3


def test_hosts_of_one_address_have_the_same_worker(provider: WorkersProvider, fleet: Sshd) -> None:
    alike = [fleet.settings(connect_timeout_s=float(number)) for number in range(8, 12)]
    assert len(set(reach_all(provider, *alike))) == 1
    apart = [fleet.settings(address=each) for each in ADDRESSES[:3]]
    assert len(set(reach_all(provider, *apart))) == 3


def test_hosts_behind_one_jump_host_have_the_same_worker_whoever_names_it(
    provider: WorkersProvider, fleet: Sshd, tmp_path: Path
) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(
        "Host far-*\n  ProxyJump bastion\n"
        f"Host bastion alias\n  HostName {ADDRESSES[0]}\n  Port {fleet.port}\n"
        f"Host far-1\n  HostName {ADDRESSES[1]}\nHost far-2\n  HostName {ADDRESSES[2]}\n"
    )
    base = fleet.settings(ssh_config_file=str(config))
    jump = JumpHost(address=ADDRESSES[0], port=fleet.port)
    behind = [
        replace(base, address="far-1"),
        replace(base, address="far-2"),
        replace(base, address=ADDRESSES[3], proxy_jump=(jump,)),
        replace(base, address=ADDRESSES[4], proxy_jump=(JumpHost(address="bastion"),)),
        replace(base, address="alias", port=None),
    ]
    for _ in range(2):  # the second time it is known where they belong
        assert len(set(reach_all(provider, *behind))) == 1
    assert len(set(reach_all(provider, *(replace(base, address=each) for each in ADDRESSES[5:8])))) == 3


def test_an_ssh_config_that_is_refused_is_told_as_ever(
    provider: WorkersProvider, fleet: Sshd, tmp_path: Path
) -> None:
    config = tmp_path / "ssh_config"
    config.write_text("Host *\n  User root\n  NoSuchWord yes\n")
    with pytest.raises(Unreachable) as told:
        provider.open(fleet.settings(ssh_config_file=str(config)), Stop())
    assert told.value.code == "ssh-config"


# What passes between, and what must not.


def test_messages_come_out_as_they_went_in_and_show_no_secret() -> None:
    become = Become(user="root", password=Secret("canary-become"))
    settings = ConnectionSettings(address="web1", password=Secret("canary-login"))
    script = RenderedScript(content=b"true", become=become)
    messages = [Open(1, settings, script, "web1"), Run(1, None), Ended(1, Ending(exit_status=3))]
    assert "canary" not in repr(messages)
    received = bytearray(pack(messages)) + bytearray(pack(messages[1:]))[:-1]
    told = list(unpack(received))
    assert told == messages
    assert told[0].settings.password.reveal() == "canary-login"
    assert told[0].script.token == script.token
    assert 0 < len(received) < 500, "the frame that is not whole stays"
    with pytest.raises(TypeError):
        pickle.dumps(settings)


def test_nothing_secret_is_in_what_a_worker_was_started_with(
    provider: WorkersProvider, fleet: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOKEN", "canary-environment")
    settings = fleet.settings(
        private_key_file=None,
        private_key=Secret(fleet.client_key.read_text()),
        password=Secret("canary-password"),
    )
    assert run(provider, settings, "# canary-script\nexit 7")[0].exit_status == 7
    (pid,) = pids_of(provider)
    seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    assert b"chargehand.workers.worker" in seen
    assert b"canary" not in seen
    command = f"sh -c 'echo $TOKEN >{tmp_path}/seen; exec sleep 0'"
    with pytest.raises(Unreachable):
        provider.open(fleet.settings(proxy_command=command), Stop())
    assert (tmp_path / "seen").read_text() == "canary-environment\n", (
        "a proxy command sees what it always saw"
    )


def test_an_unexpected_exception_meets_its_host_alone(provider: WorkersProvider, fleet: Sshd) -> None:
    wrong = fleet.settings(connect_timeout_s="soon")  # what no inventory can bring about
    with pytest.raises(TypeError) as told:
        provider.open(wrong, Stop())
    (note,) = told.value.__notes__
    assert note.startswith("In a worker process:\nTraceback")
    assert "chargehand/ssh/dial.py" in note
    assert run(provider, fleet.settings(), "exit 8")[0].exit_status == 8


def test_a_watcher_that_fails_stops_its_script(
    provider: WorkersProvider, fleet: Sshd, tmp_path: Path
) -> None:
    class Broken(Heard):
        def output(self, stream: Stream, chunk: bytes) -> None:
            raise ValueError("no room")

    pids = tmp_path / "pids"
    with pytest.raises(ValueError, match="no room"):
        run(provider, fleet.settings(), f"echo $$ >{pids}; echo up; exec sleep 1000", Broken())
    await_end(int(pids.read_text()))


def test_warnings_of_workers_are_logged_here(
    provider: WorkersProvider, fleet: Sshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = fleet.settings(host_key_policy="off", known_hosts_files=(str(tmp_path / "none"),))
    assert run(provider, settings, "exit 9")[0].exit_status == 9
    wait_until(lambda: caplog.records, what="a warning")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("chargehand.ssh.trust", logging.WARNING)
    assert "its host key is unknown and was not checked" in record.getMessage()


# In the end.


def test_what_all_workers_learned_is_kept_and_no_descriptor_is(fleet: Sshd) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    with closing(WorkersProvider(most=3, crowd=1)) as provider:
        sessions = [provider.open(fleet.settings(address=each), Stop()) for each in ADDRESSES[:6]]
        pids = pids_of(provider)
        assert len(pids) == 3
        for session in sessions:
            session.close()
        assert count() > before
    assert count() == before
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    memory = Path(os.environ["XDG_CACHE_HOME"]) / "chargehand" / "key-exchanges.json"
    targets = [target for each in json.loads(memory.read_text()).values() for target in each]
    assert sorted(targets) == sorted(f"{address}:{fleet.port}" for address in ADDRESSES[:6])


def test_a_worker_ends_with_whoever_started_it_and_by_no_signal_of_others(fleet: Sshd) -> None:
    provider = WorkersProvider(most=1)
    try:
        run(provider, fleet.settings(), "true")
        (pid,) = pids_of(provider)
        assert os.getsid(pid) == pid, "the terminal's signals pass it by"
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert run(provider, fleet.settings(), "exit 10")[0].exit_status == 10
        assert pids_of(provider) == [pid]
    finally:
        provider.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_worker_in_which_no_strand_can_go_on_ends_with_whoever_started_it() -> None:
    code = (
        "import threading\n"
        "from chargehand.workers import worker\n"
        "lock = threading.Lock()\n"
        "worker.Worker.serve = lambda self: lock.acquire() and print(flush=True) or lock.acquire()\n"
        "worker.main()\n"
    )
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as stuck,
    ):
        assert stuck.stdout
        try:
            assert stuck.stdout.readline() == b"\n"
            theirs.close()
            with pytest.raises(subprocess.TimeoutExpired):
                stuck.wait(1.5)
            ours.close()
            assert stuck.wait(10) == 0
        finally:
            stuck.kill()
