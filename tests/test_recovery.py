"""What a dead runner left is finished by what its hosts kept; the hosts stand on a real sshd."""

import secrets
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from chargehand.evidence import inquiry
from chargehand.provenance import Launch, Provenance
from chargehand.recovery import Errands, Recovered, is_open, recover
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.result import HostResult, Status
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation
from chargehand.store import Share, Store, Stored, StoredShare, open_store
from chargehand.store.entry import Chunk, Entry, Intent, Outcome, Started
from sshd import Sshd

pytestmark = pytest.mark.sshd

NOW = datetime.now(UTC)
AGO = NOW - timedelta(seconds=1)


def now() -> datetime:
    return datetime.now(UTC)


class Fleet:
    """An invocation in a store, its hosts on one server, and what they keep of their scripts."""

    def __init__(self, store: Store, sshd: Sshd, work: Path) -> None:
        self.store = store
        self.sshd = sshd
        self.work = work
        self.tokens: dict[str, str] = {}
        self.number = 0

    def begin(self, *hosts: str, idempotent: bool = False) -> None:
        """Write an invocation down that a runner called ``dead`` carries out."""
        self.tokens = {host: secrets.token_hex(16) for host in hosts}
        number = self.store.invocations.create(
            record(*hosts),
            Launch(job="{}"),
            [Share(host_name=host, host_id=at, token=self.tokens[host]) for at, host in enumerate(hosts, 1)],
            runner_id="dead",
            idempotent=idempotent,
            created_at=NOW,
        )
        assert number is not None
        self.number = number

    def reach(self, state: str, *hosts: str) -> None:
        """Have the runner come so far with these hosts before it died."""
        for host in hosts:
            share, token = self.share(host).id, self.tokens[host]
            entries: list[Entry] = [Intent(share_id=share, runner_id="dead", token=token, at=AGO)]
            if state != "starting":
                entries.append(Started(share_id=share, token=token, at=NOW))
            if state not in ("starting", "running"):
                result = HostResult(host=host, status=Status(state), started_at=NOW, code="connection-lost")
                entries.append(Outcome(share_id=share, token=token, result=result))
            assert all(self.store.invocations.record(entries))

    def keep(self, host: str, **files: str) -> Path:
        """Put what a wrapper leaves of a script on the host."""
        folder = self.work / f".chargehand-{self.tokens[host]}"
        folder.mkdir()
        for name, text in ({"script": "true\n", "pid": "", "why": ""} | files).items():
            (folder / name).write_text(text)
        return folder

    def recover(self, *, without: str = "", **changes: object) -> Recovered:
        """Ask the hosts."""
        shares = [self.reached(host, **changes) for host in self.tokens if host != without]
        errands = Errands(hosts_at_once=5, clock=now, beat=lambda: None)
        return recover(self.stored, shares, self.store, errands)

    def reached(self, host: str, **changes: object) -> TemplateInvocation:
        """How a host is reached today."""
        return TemplateInvocation(
            host=host,
            settings=self.sshd.settings(work_folders=(str(self.work),), **changes),
            script=RenderedScript(content=b"true\n"),
        )

    @property
    def stored(self) -> Stored:
        return self.store.history.find(self.number)

    def share(self, host: str) -> StoredShare:
        (found,) = [share for share in self.stored.shares if share.host_name == host]
        return found

    def result(self, host: str) -> HostResult:
        found = self.share(host).result
        assert found is not None
        return found


def record(*hosts: str) -> InvocationRecord:
    return InvocationRecord(
        id=0,
        description="job",
        job_category="Miscellaneous",
        task_id=secrets.token_hex(16),
        state="running",
        targeting=TargetingRecord(
            id=0,
            search_query="*",
            targeting_type="static_query",
            bookmark_id=None,
            user_id=0,
            randomized_ordering=False,
            hosts=tuple((host, at) for at, host in enumerate(hosts, 1)),
        ),
        start_at=NOW,
        begun=True,
        provenance=Provenance(user="root"),
    )


@pytest.fixture
def fleet(tmp_path: Path, sshd: Sshd) -> Iterator[Fleet]:
    work = tmp_path / "work"
    work.mkdir()
    with open_store("", state=tmp_path / "state", clock=now) as store:
        yield Fleet(store, sshd, work)


def test_what_hosts_kept_is_written_down_and_then_removed(fleet: Fleet) -> None:
    fleet.begin("good", "bad", "stopped")
    fleet.reach("running", "good", "stopped")
    fleet.reach("starting", "bad")
    fleet.keep("good", exit_code="0\n")
    fleet.keep("bad", exit_code="3\n")
    fleet.keep("stopped", exit_code="143\n", stop="10\n", pid="999999999\n")
    found = fleet.recover()
    assert (found.queued, found.missing) == ((), ())
    ends = {host: fleet.result(host) for host in fleet.tokens}
    assert {host: (end.status, end.exit_status, end.code) for host, end in ends.items()} == {
        "good": (Status.SUCCEEDED, 0, ""),
        "bad": (Status.FAILED, 3, "exit"),
        "stopped": (Status.UNKNOWN, 143, "interrupted"),
    }
    assert all(fleet.share(host).reconciled and fleet.share(host).settled for host in fleet.tokens)
    assert ends["good"].started_at == NOW
    assert list(fleet.work.iterdir()) == []


def test_what_never_started_is_queued_under_its_token(fleet: Fleet) -> None:
    fleet.begin("sent", "never")
    fleet.reach("starting", "sent")
    assert fleet.recover().queued == ("sent", "never")
    assert [(share.state, share.token) for share in fleet.stored.shares] == [
        ("queued", fleet.tokens[host]) for host in ("sent", "never")
    ]


def test_what_had_started_and_left_nothing_is_unknown_and_not_run_again(fleet: Fleet) -> None:
    fleet.begin("lost")
    fleet.reach("running", "lost")
    assert fleet.recover().queued == ()
    assert (fleet.result("lost").status, fleet.result("lost").code) == (Status.UNKNOWN, "no-evidence")


@pytest.mark.parametrize("state", ["starting", "running"])
def test_a_host_that_cannot_be_asked_is_unknown_and_asked_another_time(fleet: Fleet, state: str) -> None:
    fleet.begin("down")
    fleet.reach(state, "down")
    fleet.keep("down", exit_code="0\n")
    fleet.recover(port=1)
    first = fleet.result("down")
    assert (first.status, first.code) == (Status.UNKNOWN, "not-asked")
    assert "refused" in first.reason
    assert is_open(fleet.share("down"))
    fleet.recover()
    assert fleet.result("down").status is Status.SUCCEEDED
    assert list(fleet.work.iterdir()) == []


def test_an_end_that_was_unknown_becomes_known(fleet: Fleet) -> None:
    fleet.begin("cut")
    fleet.reach("unknown", "cut")
    fleet.keep("cut", exit_code="4\n")
    fleet.recover()
    assert (fleet.result("cut").status, fleet.result("cut").exit_status) == (Status.FAILED, 4)


def test_a_script_that_still_runs_keeps_its_folder_and_is_asked_for_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chargehand.recovery.inquest.inquiry", partial(inquiry, patience_s=0))
    fleet.begin("busy")
    fleet.reach("running", "busy")
    with subprocess.Popen(["sleep", "30"], start_new_session=True) as running:
        folder = fleet.keep("busy", pid=f"{running.pid}\n")
        fleet.recover()
        assert (fleet.result("busy").status, fleet.result("busy").code) == (Status.UNKNOWN, "still-runs")
        assert folder.exists()
        running.kill()
        running.wait()
        (folder / "exit_code").write_text("0\n")
        fleet.recover()
    assert fleet.result("busy").status is Status.SUCCEEDED
    assert not folder.exists()


def test_only_an_idempotent_job_runs_again_what_was_cut_off(fleet: Fleet) -> None:
    fleet.begin("cut", idempotent=True)
    fleet.reach("running", "cut")
    fleet.keep("cut", exit_code="143\n", stop="10\n", pid="999999999\n")
    assert fleet.recover().queued == ("cut",)
    share = fleet.share("cut")
    assert share.state == "queued"
    assert share.token != fleet.tokens["cut"]
    assert list(fleet.work.iterdir()) == []


def test_hosts_that_the_inventory_has_no_more_are_told_and_not_lost(fleet: Fleet) -> None:
    fleet.begin("gone", "here")
    fleet.reach("running", "gone")
    fleet.reach("running", "here")
    fleet.keep("here", exit_code="0\n")
    assert fleet.recover(without="gone").missing == ("gone",)
    assert (fleet.result("gone").status, fleet.result("gone").code) == (Status.UNKNOWN, "not-asked")
    assert "inventory" in fleet.result("gone").reason
    assert fleet.result("here").status is Status.SUCCEEDED


def test_a_host_that_waited_and_is_gone_never_started(fleet: Fleet) -> None:
    fleet.begin("gone")
    fleet.recover(without="gone")
    assert (fleet.result("gone").status, fleet.result("gone").code) == (Status.NOT_STARTED, "no-host")


def test_a_folder_whose_removal_was_never_told_is_removed(fleet: Fleet) -> None:
    fleet.begin("done")
    fleet.reach("succeeded", "done")
    fleet.keep("done", exit_code="0\n")
    fleet.recover()
    assert fleet.share("done").settled
    assert list(fleet.work.iterdir()) == []


def test_a_recovery_that_dies_before_it_cleans_up_leaves_that_to_the_next(fleet: Fleet) -> None:
    fleet.begin("good", "cut")
    fleet.reach("starting", "good", "cut")
    fleet.keep("good", exit_code="0\n")
    fleet.keep("cut", exit_code="143\n", stop="10\n", pid="999999999\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chargehand.recovery.inquest._Recovery._clean_up", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fleet.recover()
    assert len(list(fleet.work.iterdir())) == 2
    fleet.recover()
    assert list(fleet.work.iterdir()) == []
    assert [share.settled for share in fleet.stored.shares] == [True, True]


def test_asking_twice_changes_nothing(fleet: Fleet) -> None:
    fleet.begin("good", "lost")
    fleet.reach("running", "good", "lost")
    fleet.keep("good", exit_code="0\n")
    fleet.recover()
    before = fleet.stored.shares
    assert fleet.recover() == Recovered(findings={}, queued=(), missing=())
    assert fleet.stored.shares == before


def test_what_was_printed_before_the_crash_is_counted(fleet: Fleet) -> None:
    fleet.begin("good")
    fleet.reach("running", "good")
    share = fleet.share("good").id
    for sequence, content in enumerate((b"one\n", b"two\n")):
        chunk = Chunk(
            share_id=share,
            sequence=sequence,
            at=NOW,
            stream="stdout",
            offset_bytes=4 * sequence,
            content=content,
        )
        fleet.store.invocations.record([chunk])
    fleet.keep("good", exit_code="0\n")
    fleet.recover()
    assert fleet.result("good").stdout.text() == "one\ntwo\n"
    assert fleet.result("good").stdout.size_bytes == 8
