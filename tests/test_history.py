"""The commands that look at history, over a store that was filled on purpose, in both databases."""

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import click
import pytest

from chargehand.cli import recalled
from chargehand.cli.application import status
from chargehand.cli.prune import read_size, size
from chargehand.errors import UsageError
from chargehand.report.difference import compare, text
from chargehand.report.invocation import InputRecord, TargetingRecord
from chargehand.report.listening import NamedLines, WholeText
from chargehand.result import CapturedOutput
from chargehand.store import Store, StoredChunk
from chargehand.store.entry import Entry
from invocations import (
    LAUNCH,
    ME,
    NOW,
    chunk,
    create,
    intent,
    outcome,
    printed,
    record,
    result,
    share_ids,
    started,
    story,
)

LATER = NOW + timedelta(seconds=90)


@dataclass(frozen=True)
class Told:
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def root(tmp_path: Path, state: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "playbooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARGEHAND_STORE", database_url)
    monkeypatch.setenv("LOGNAME", "ann")
    return tmp_path


@pytest.fixture
def says(root: Path, capsys: pytest.CaptureFixture[str]):
    def answer(words: str) -> Told:
        code = status(shlex.split(words))
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return answer


def over(store: Store, results, *, cancelled: bool = False, **changes: object) -> int:
    """An invocation that ended so."""
    number = create(store, *(each.host for each in results), record=changes)
    for share_id, each in zip(share_ids(store, number), results, strict=True):
        write(store, *story(share_id, each))
    exit_code = 0 if all(each.ok for each in results) else 5
    store.invocations.finish(number, runner_id=ME, cancelled=cancelled, exit_code=exit_code, ended_at=LATER)
    return number


def write(store: Store, *entries: Entry) -> None:
    assert all(store.invocations.record(entries))


def good(*names: str, **facts: object):
    return [result(name, **facts) for name in names]


def bad(*names: str, **facts: object):
    return [result(name, "failed", exit_status=3, reason="exit status 3", **facts) for name in names]


def test_a_list_tells_the_newest_first_and_says_how_many_more_there_are(store, says):
    first = over(store, good("web1", "web2"))
    second = over(store, [*good("web1"), *bad("web2")], description="Patch \x1b[31m it")
    told = says("list -n 1")
    head, line = told.stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "STARTED", "TOOK", "HOSTS", "BY", "DESCRIPTION"]
    assert line.split(maxsplit=9) == [
        str(second), "failed", "2026-11-24", "18:00:00", "UTC", "1", "min", "30", "s",
        r"1/2    ann  Patch \x1b[31m it",
    ]  # fmt: skip
    assert told.stderr == "1 of 2; `-n N` or `--all` shows more\n"
    assert [line.split()[0] for line in says("list --oldest-first").stdout.splitlines()[1:]] == [
        str(first),
        str(second),
    ]


def test_a_list_as_json_is_foremans_envelope_with_base_documents(store, says):
    over(store, good("web1"))
    number = over(store, bad("web1", "web2"))
    told = json.loads(says("list 'status = failed' -o json -n 5").stdout)
    assert {name: value for name, value in told.items() if name != "results"} == {
        "total": 2,
        "subtotal": 1,
        "page": 1,
        "per_page": 5,
        "search": "status = failed",
        "sort": {"by": "id", "order": "DESC"},
    }
    (row,) = told["results"]
    shown = json.loads(says(f"show {number} -o json").stdout)
    assert row.keys() < shown.keys()
    assert row == {name: shown[name] for name in row}
    assert {"targeting", "results", "template_invocations", "task"}.isdisjoint(row)
    assert (row["status"], row["failed"], row["total"], row["dynflow_task"]["state"]) == (1, 2, 2, "stopped")


def test_a_list_of_all_comes_line_by_line_however_long_it_is(store, says, monkeypatch):
    monkeypatch.setattr("chargehand.cli.history.AT_ONCE", 2)
    numbers = [over(store, good("web1"), description=f"run {turn}") for turn in range(5)]
    told = says("list --all 'not description = \"run 3\"' -o ndjson").stdout
    assert [json.loads(line)["id"] for line in told.splitlines()] == [numbers[turn] for turn in (4, 2, 1, 0)]
    rows = says("list --all --oldest-first").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [str(number) for number in numbers]
    assert len(says("list -n 3").stdout.splitlines()) == 4
    assert json.loads(says("list -n 3 -o json").stdout)["subtotal"] == 5


def test_a_list_of_nothing_says_so(store, says):
    assert says("list") == Told(0, "", "nothing was run here yet\n")
    over(store, good("web1"))
    assert says("list host = db9") == Told(0, "", "no invocation matches\n")


def test_a_query_that_is_not_understood_is_refused_with_a_caret(store, says):
    told = says("list 'status = faild'")
    assert told.code == 3
    assert told.stderr.splitlines() == [
        "<search query>:1:10: error: `status` is never `faild`",
        "    status = faild",
        "             ^",
        "  = did you mean `failed`?",
        "1 error",
    ]


@pytest.mark.parametrize("word", ["last", "-1", "last-0"])
def test_the_newest_has_a_name(store, says, word):
    over(store, good("web1"))
    number = over(store, good("web1"))
    assert says(f"show {word}").stdout.split()[0] == str(number)
    assert says("show -2").stdout.split()[0] != str(number)


@pytest.mark.parametrize("word", ["9999999", "9" * 18])
def test_an_unknown_id_is_refused_with_the_newest_ones(store, says, word):
    number = over(store, good("web1"))
    told = says(f"show {word}")
    assert told.code == 2
    assert f"there is no job invocation {word}; the newest are {number}" in told.stderr


@pytest.mark.parametrize("word", ["web1", "-9", "last-x"])
def test_what_is_no_id_is_refused(store, says, word):
    over(store, good("web1"))
    assert says(f"show {word}").code == 2


def test_a_page_tells_what_it_was_how_hosts_ended_and_what_to_do_next(store, says):
    failing = bad(
        "web2", "web3", stderr=printed(b"one\ntwo\nthree\nfour\nfive\nsix\n"), stdout=printed(b"x\n")
    )
    number = over(store, [*good("web1"), *failing])
    told = says(f"show {number}").stdout
    assert told.splitlines()[0] == f"{number}  Start nginx"
    facts = dict(line.split("  ", 1) for line in told.split("\n\n")[0].splitlines()[1:])
    assert {name: value.strip() for name, value in facts.items()} == {
        "status": "failed, exit code 5",
        "started": "2026-11-24 18:00:00 UTC, took 1 min 30 s",
        "ended": "2026-11-24 18:01:30 UTC",
        "by": "ann, by hand",
        "file": "playbooks/web.yml, job `Web`",
        "commit": "a" * 40 + ", with changes that are not in it",
        "rerun of": "7",
        "hosts": "3 of `name ^ (web1, web2)` (static_query)",
        "settings": "template Service Action, ssh user ann, effective user root, hosts at once 10, "
        "seconds per host 600",
        "inputs": "service=nginx, token=*****",
    }
    assert "succeeded  1  web1\nfailed     2  web[2-3]\n" in told
    assert "web[2-3]: failed: exit status 3\n  ! two\n" in told
    assert told.endswith(f"Next\n  chargehand output {number} web2\n  chargehand rerun {number} --failed\n")
    assert "s3cret" not in told


def test_a_page_can_be_of_some_hosts(store, says):
    number = over(store, [*good("web1"), *bad("web2")])
    told = says(f"show {number} --hosts 'status = failed' -o json")
    assert [each["host"] for each in json.loads(told.stdout)["results"]] == ["web2"]
    assert "web1" not in says(f"show {number} --hosts 'exit_status > 2'").stdout.split("\n\n", 1)[1]
    assert says(f"show {number} --hosts 'state = failed'").code == 3


def test_a_page_tells_whether_somebody_carries_it_out(store, says, state):
    with store.runners.register(state) as runner:
        number = create(store, "web1", "web2", "web3", runner_id=runner.id)
        first, second, _ = share_ids(store, number)
        write(store, intent(first, runner_id=runner.id), started(first), intent(second, runner_id=runner.id))
        told = says(f"show {number}").stdout
        assert "running   1  web1\nstarting  1  web2\nwaiting   1  web3\n" in told
        assert f"chargehand output {number} --follow\n" in told
    told = says(f"show {number}").stdout
    assert "running, but nobody carries it out any more: its runner is gone" in told
    assert f"Next\n  chargehand resume {number}\n" in told


def test_show_as_json_holds_the_outputs(store, says):
    number = over(store, good("web1", stdout=printed("grün\n".encode())))
    (told,) = json.loads(says(f"show {number} -o json").stdout)["results"]
    assert (told["stdout"], told["status"]) == ("grün\n", "succeeded")


def test_the_output_of_a_host_comes_as_it_is_and_cannot_move_a_cursor(store, says):
    number = over(store, good("web1", stdout=printed(b"one\n\x1b[2Jtwo \xff\n"), stderr=printed(b"oops")))
    assert says(f"output {number} web1").stdout == "one\n\\x1b[2Jtwo \\xff\noops"
    assert says(f"output {number} web1 --stdout").stdout == "one\n\\x1b[2Jtwo \\xff\n"
    assert says(f"output {number} --stderr").stdout == "oops"
    assert says(f"output {number} --stderr --timestamps").stdout == "2026-11-24T18:00:00.123Z oops"


def test_the_output_of_several_hosts_names_them(store, says):
    number = over(store, good("web1", "web2", stdout=printed(b"a\nb"), stderr=printed(b"c\n")))
    assert says(f"output {number}").stdout.splitlines() == [
        "web1 | a", "web1 ! c", "web2 | a", "web2 ! c", "web1 | b", "web2 | b",
    ]  # fmt: skip


def test_raw_output_is_the_very_bytes(store, root, capfdbinary):
    number = over(store, good("web1", stdout=printed(b"\x00\xff\x1b["), stderr=printed(b"\xfe")))
    assert status(["output", str(number), "--raw", "--stdout"]) == 0
    assert capfdbinary.readouterr() == (b"\x00\xff\x1b[", b"")
    assert status(["output", str(number), "web1", "--raw"]) == 0
    assert capfdbinary.readouterr() == (b"\x00\xff\x1b[", b"\xfe")


@pytest.mark.parametrize("words", ["--raw", "web1 --raw --follow", "web1 --raw --timestamps", "web9"])
def test_what_output_cannot_print_is_refused(store, says, words):
    number = over(store, good("web1", "web2"))
    assert says(f"output {number} {words}").code == 2


def test_what_was_left_out_of_an_output_is_told(store, says):
    number = create(store, "web1")
    (share,) = share_ids(store, number)
    whole = CapturedOutput(head=b"ab", tail=b"yz\n", size_bytes=100)
    write(store, intent(share), started(share), chunk(share, 0, b"ab"), chunk(share, 1, b"yz\n", offset=90))
    write(store, outcome(share, result("web1", stdout=whole)))
    store.invocations.finish(number, runner_id=ME, cancelled=False, exit_code=0, ended_at=LATER)
    assert says(f"output {number}").stdout == (
        "ab\n[... 88 bytes left out ...]\nyz\n[... 7 bytes left out ...]\n"
    )


def heard(host, content, *, offset=0, stream="stdout"):
    return StoredChunk(
        host_name=host, sequence=0, at=NOW, stream=stream, offset_bytes=offset, content=content
    )


@pytest.mark.parametrize("timestamps", [False, True])
def test_a_character_cut_in_two_pieces_is_told_whole(timestamps):
    head = "2026-11-24T18:00:00.123Z " if timestamps else ""
    whole, named = WholeText(timestamps=timestamps), NamedLines(timestamps=timestamps)
    pieces = [heard("a", b"gr\xc3"), heard("a", b"\xbcn\nx", offset=3), heard("a", b"\xc3", offset=7)]
    sizes = {"stdout": 8}
    told = "".join(map(whole.feed, pieces)) + whole.end("a", sizes, NOW)
    assert told == f"{head}grün\n{head}x\\xc3"
    told = "".join(map(named.feed, pieces)) + named.end("a", sizes, NOW)
    assert told == f"{head}a | grün\n{head}a | x\\xc3\n"


def test_following_a_run_that_is_over_ends_with_its_exit_code(store, says):
    number = over(store, bad("web1", stdout=printed(b"done\n")))
    told = says(f"output {number} --follow")
    assert (told.code, told.stdout) == (5, "done\n")


def test_following_a_run_whose_runner_is_gone_ends_and_says_so(store, says, state):
    with store.runners.register(state) as runner:
        number = create(store, "web1", runner_id=runner.id)
    told = says(f"output {number} --follow")
    assert told.code == 13
    assert f"chargehand resume {number}" in told.stderr


def test_equal_runs_do_not_differ(store, says):
    numbers = [over(store, good("web1", stdout=printed(b"a\n"))) for _ in range(2)]
    assert says("diff -2 -1 --detailed-exitcode") == Told(0, f"{numbers[0]} and {numbers[1]} are equal\n", "")


def test_what_differs_between_runs_is_told(store, says):
    before = over(store, [*good("web1", "web2", "web3", stdout=printed(b"same\nold\n")), *good("db1")])
    after = over(
        store,
        [
            *bad("web1", "web2", stdout=printed(b"same\nnewer\n")),
            *good("web3", stdout=printed(b"same\nold\n")),
            *good("db2"),
        ],
        inputs=(
            InputRecord(name="service", value="apache"),
            InputRecord(name="token", value="x", hidden=True),
        ),
        concurrency_level=None,
    )
    told = says(f"diff {before} {after} --detailed-exitcode")
    assert told.code == 10
    assert told.stdout.splitlines() == [
        "concurrency_level: 10 -> -",
        "input service: nginx -> apache",
        "",
        f"only in {before}: db1",
        f"only in {after}: db2",
        "succeeded -> failed 3: web[1-2]",
        "",
        "output of web[1-2]",
        "  --- stdout",
        "  +++ stdout",
        "  @@ -1,2 +1,2 @@",
        "   same",
        "  -old",
        "  +newer",
    ]
    assert says(f"diff {before} {after}").code == 0
    found = json.loads(says(f"diff {before} {after} -o json --host web1").stdout)
    assert found["outcomes"] == [{"before": "succeeded", "after": "failed 3", "hosts": ["web1"]}]
    assert found["outputs"][0]["diff"][-1] == "+newer"
    assert not found["equal"]
    assert says(f"diff {before} {after} --host web9").code == 2


def test_a_long_difference_is_cut_and_says_where_the_rest_is():
    def of(head: bytes, hosts=("a",)):
        targeting = TargetingRecord(
            id=1, search_query="*", targeting_type="static_query", hosts=tuple((host, 1) for host in hosts)
        )
        outputs = (
            CapturedOutput(head=head + host.encode(), size_bytes=len(head) + 1, sha256=str(hash(head)))
            for host in hosts
        )
        results = tuple(result(host, stdout=output) for host, output in zip(hosts, outputs, strict=True))
        return replace(record(), targeting=targeting, results=results)

    long = compare(of(b""), of(b"line\n" * 200))
    assert "lines left out: `--host a`" in text(long)
    assert "left out" not in text(long, whole=True)
    many = compare(of(b"", "abcdef"), of(b"x\n", "abcdef"))
    assert "output of 3 more: `--host HOST` tells of one\n" in text(many)
    huge = compare(of(b""), of(b"x" * (3 << 20)))
    assert "too long to be compared line by line" in text(huge)


def test_what_has_ended_cannot_be_cancelled(store, says):
    number = over(store, good("web1"))
    told = says(f"cancel {number}")
    assert told.code == 2
    assert f"{number} could not be cancelled: it ended at 2026-11-24 18:01:30 UTC (succeeded)" in told.stderr


@pytest.mark.parametrize("state_now", ["scheduled", "planned"])
def test_what_nobody_has_taken_up_is_cancelled_at_once(store, says, state_now):
    number = store.invocations.create(
        record(state=state_now, begun=False), LAUNCH, None, runner_id=None, created_at=NOW
    )
    assert says(f"cancel {number} -l web1").code == 2
    assert says(f"cancel {number}").code == 0
    found = store.history.find(number)
    assert (found.record.status, found.record.code, found.exit_code) == (4, "cancelled", 5)


def test_hosts_that_wait_for_a_runner_that_is_gone_are_cancelled_and_the_others_left_to_be_asked(
    store, says, state
):
    with store.runners.register(state) as runner:
        number = create(store, "web1", "web2", runner_id=runner.id)
        first, _ = share_ids(store, number)
        write(store, intent(first, runner_id=runner.id), started(first))
    told = says(f"cancel {number}")
    assert told.code == 0
    assert "1 waiting host cancelled" in told.stderr
    assert f"chargehand resume {number}" in told.stderr
    found = store.history.find(number)
    assert [(share.state, share.status) for share in found.shares] == [
        ("running", "pending"),
        ("stopped", "cancelled"),
    ]
    assert found.cancel_requested


def test_a_run_of_which_nothing_began_is_over_when_its_runner_is_gone_and_it_is_cancelled(store, says, state):
    with store.runners.register(state) as runner:
        number = create(store, "web1", "web2", runner_id=runner.id)
    told = says(f"cancel {number}")
    assert (told.code, told.stdout) == (0, "cancelled  2  web[1-2]\n")
    assert store.history.find(number).record.state == "stopped"


@pytest.mark.parametrize(
    ("limit", "code"),
    [("web9", 4), ("name = web9", 4), ("web1", 2), ("status = succeeded", 2), ("nme = a", 3)],
)
def test_hosts_that_cannot_be_cancelled_are_refused(store, says, state, limit, code):
    with store.runners.register(state) as runner:
        number = create(store, "web1", "web2", runner_id=runner.id)
        first, _ = share_ids(store, number)
        write(store, intent(first, runner_id=runner.id), outcome(first))
        assert says(f"cancel {number} -l '{limit}'").code == code


def test_single_hosts_are_asked_to_stop_and_nobody_waits_when_told_so(store, says, state):
    with store.runners.register(state) as runner:
        number = create(store, "web1", "web2", "db1", runner_id=runner.id)
        assert says(f"cancel {number} -l 'web*' --force --no-wait").code == 0
        asked = store.invocations.cancel_request(number)
    assert asked.force is None
    assert asked.hosts == asked.forced == {"web1", "web2"}


def test_pruning_needs_a_bound(store, says):
    told = says("prune")
    assert told.code == 2
    assert "--older-than 90d" in told.stderr


@pytest.mark.parametrize(
    ("words", "left"),
    [("--keep 1", 1), ("--older-than 1d", 2), ("--max-size 1kB", 0), ("--older-than 0s --keep 5", 0)],
)
def test_pruning_says_what_it_removed_and_removes_nothing_when_dry(store, says, words, left, monkeypatch):
    monkeypatch.setattr("chargehand.cli.prune.now", lambda: NOW + timedelta(hours=2))
    for _ in range(2):
        over(store, good("web1", stdout=printed(b"x" * 1000)))
    gone = 2 - left
    counted = f"{gone} invocation" + ("" if gone == 1 else "s")
    assert says(f"prune {words} --dry-run").stdout == f"would remove {counted}\n"
    assert store.history.page(limit=9).total == 2
    assert says(f"prune {words}").stdout.startswith(f"removed {counted}; the history takes ")
    assert store.history.page(limit=9).total == left


def test_sizes_are_read_and_told():
    assert [read_size(each) for each in ("500MB", "2GB", "1.5GiB", "10", "1 k")] == [
        500_000_000, 2_000_000_000, 1_610_612_736, 10, 1000,
    ]  # fmt: skip
    assert [size(each) for each in (7, 1_500, 2_000_000_000, 10**15)] == [
        "7 bytes",
        "1.5 kB",
        "2.0 GB",
        "1000.0 TB",
    ]
    for wrong in ("", "2XB", "iB", "-1MB", "1e3"):
        with pytest.raises(UsageError):
            read_size(wrong)


@pytest.mark.parametrize("words", ["--older-than soon", "--max-size much", "--older-than 999999999w"])
def test_a_bound_that_is_none_is_refused(store, says, words):
    assert says(f"prune {words}").code == 2


def test_the_shell_completes_ids_and_hosts(store, root):
    number = over(store, [*good("web1"), *bad("db1")])
    context = click.Context(click.Command("output"))
    context.params["id"] = "last"
    (item,) = recalled.invocations(context, str(number)[:1])
    assert (item.value, item.help) == (str(number), "failed: Start nginx")
    assert [item.value for item in recalled.invocation_hosts(context, "w")] == ["web1"]
    context.params["id"] = "nonsense"
    assert recalled.invocation_hosts(context, "w") == []


def test_nothing_is_told_where_nothing_is_recorded(root, says, monkeypatch):
    monkeypatch.setenv("CHARGEHAND_STORE", "off")
    told = says("list")
    assert told.code == 2
    assert "nothing is recorded here" in told.stderr


@pytest.mark.parametrize("words", [["list"], ["list", "host ~ web"], ["show", "last"], ["output", "last"]])
def test_looking_at_history_loads_nothing_that_runs_a_job(store, root, words):
    over(store, good("web1"))
    heavy = ("alembic", "cryptography", "fabric", "jinja2", "jsonschema", "paramiko", "yaml")
    script = (
        "import sys\n"
        "from chargehand.cli.application import status\n"
        f"assert status({words!r}) == 0\n"
        f"sys.exit(' '.join(name for name in {heavy!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == "\n"


MEASURED = """
import sys
from pathlib import Path
from chargehand.cli.application import status
code = status(sys.argv[1:])
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(peak, file=sys.stderr)
sys.exit(code)
"""
PIECE = b"0123456789abcde\n" * 4096
PIECES = 1024


def test_a_large_output_passes_in_little_memory(store, root):
    number = create(store, "web1")
    (share,) = share_ids(store, number)
    write(store, intent(share), started(share))
    for first in range(0, PIECES, 64):
        places = range(first, first + 64)
        write(store, *(chunk(share, place, PIECE, offset=place * len(PIECE)) for place in places))
    peaks_mb = []
    for words in (["--stderr"], [], ["--raw", "--stdout"], ["--timestamps"]):
        with (root / "printed").open("wb") as printed_file:
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, "output", str(number), *words],
                stdout=printed_file,
                stderr=subprocess.PIPE,
                check=True,
            )
        assert (root / "printed").stat().st_size >= (0 if "--stderr" in words else PIECES * len(PIECE))
        peaks_mb.append(int(done.stderr.split()[-1]) >> 10)
    assert max(peaks_mb) < min(peaks_mb) + 40
