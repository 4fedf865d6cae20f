"""The scribe: entries written down in groups, and what is kept of an output."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from chargehand.errors import StoreError
from chargehand.recording.excerpt import CHUNK_BYTES, END_BYTES, Excerpt
from chargehand.recording.scribe import ROOM_BYTES, SHARE, Scribe
from chargehand.result import CapturedOutput, HostResult, Status
from chargehand.store.entry import Chunk, Entry, Outcome, Settled

AT = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S = 10.0


class Paper:
    """Takes entries as a store does; `gate` and `takes_s` hold it up, `trouble` is what it fails with."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.groups: list[int] = []
        self.times: list[float] = []
        self.asked = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.takes_s = 0.0
        self.trouble: Exception | None = None

    def record(self, entries: Sequence[Entry]) -> list[bool]:
        self.times.append(time.monotonic())
        self.asked.release()
        assert self.gate.wait(PATIENCE_S)
        time.sleep(self.takes_s)
        if self.trouble:
            raise self.trouble
        self.entries += entries
        self.groups.append(len(entries))
        return [True] * len(entries)


@pytest.fixture
def paper():
    return Paper()


@pytest.fixture
def scribe(paper):
    """A scribe at work; it must be able to end."""
    given_up = threading.Event()
    scribe = Scribe(paper.record, pulse=lambda: None, give_up=given_up.set, kept_bytes=1 << 30)
    scribe.given_up = given_up
    scribe.start()
    yield scribe
    paper.gate.set()
    scribe.close()


def result(stdout: CapturedOutput) -> HostResult:
    return HostResult(host="web01", status=Status.SUCCEEDED, stdout=stdout)


def outcome(share_id: int, size_bytes: int = 0) -> Outcome:
    captured = CapturedOutput(head=b"x" * size_bytes, size_bytes=size_bytes)
    return Outcome(share_id=share_id, token="t", result=result(captured))


def test_entries_that_wait_while_others_are_written_are_one_group(scribe, paper):
    paper.gate.clear()
    first = scribe.write(Settled(share_id=0), urgent=True)
    assert paper.asked.acquire(timeout=PATIENCE_S)
    others = [scribe.write(Settled(share_id=number), urgent=True) for number in range(1, 50)]
    paper.gate.set()
    assert all(ticket.wait() for ticket in (first, *others))
    assert paper.groups == [1, 49]
    assert [entry.share_id for entry in paper.entries] == list(range(50))


def write_many(scribe, paper, count):
    """Have the first written alone, and the others together after it."""
    paper.gate.clear()
    tickets = [scribe.write(Settled(share_id=0), urgent=True)]
    assert paper.asked.acquire(timeout=PATIENCE_S)
    tickets += [scribe.write(Settled(share_id=number), urgent=True) for number in range(1, count)]
    paper.gate.set()
    assert all(ticket.wait() for ticket in tickets)


def test_while_many_wait_transactions_take_a_share_of_the_time(scribe, paper):
    paper.takes_s = 0.01
    write_many(scribe, paper, 20)
    assert scribe.write(Settled(share_id=20), urgent=True).wait()
    assert paper.times[-1] - paper.times[-2] >= paper.takes_s / SHARE


@pytest.mark.parametrize(
    "ask",
    [
        lambda scribe: [scribe.end(outcome(number), AT) for number in range(20)],
        lambda scribe: [scribe.write(Settled(share_id=20), urgent=True, last=True)],
    ],
    ids=["nobody is under way any more", "nobody else is on the way"],
)
def test_where_there_is_nobody_to_wait_for_a_transaction_begins_at_once(scribe, paper, monkeypatch, ask):
    monkeypatch.setattr("chargehand.recording.scribe._PACE_S", 1e6)
    monkeypatch.setattr("chargehand.recording.scribe.SHARE", 1e-9)
    paper.takes_s = 0.001
    write_many(scribe, paper, 20)
    tickets = ask(scribe)
    written = threading.Thread(target=lambda: [ticket.wait() for ticket in tickets], daemon=True)
    written.start()
    written.join(PATIENCE_S)
    assert not written.is_alive()


def test_what_nobody_waits_for_is_written_all_the_same(scribe, paper):
    assert scribe.write(Settled(share_id=1)).wait()


def test_what_a_script_printed_is_written_before_what_came_of_it(scribe, paper):
    scribe.hear(1, "stdout", b"one ", AT)
    scribe.hear(1, "stderr", b"oops", AT)
    scribe.hear(1, "stdout", b"two", AT)
    assert scribe.end(outcome(1, 7), AT).wait()
    *chunks, last = paper.entries
    assert isinstance(last, Outcome)
    assert [(each.sequence, each.stream, each.content) for each in chunks] == [
        (0, "stdout", b"one two"),
        (1, "stderr", b"oops"),
    ]


def test_when_writing_fails_everybody_who_waits_hears_of_it(scribe, paper):
    paper.gate.clear()
    paper.trouble = StoreError("the disk is full")
    tickets = [scribe.write(Settled(share_id=1), urgent=True)]
    assert paper.asked.acquire(timeout=PATIENCE_S)
    tickets.append(scribe.end(outcome(2), AT))
    paper.gate.set()
    assert not any(ticket.wait() for ticket in tickets)
    assert scribe.given_up.wait(PATIENCE_S)
    assert str(scribe.trouble) == "the disk is full"
    assert not scribe.write(Settled(share_id=3), urgent=True).wait()
    scribe.wait_for_room()


def test_a_defect_of_ours_is_no_endless_wait(scribe, paper):
    paper.trouble = KeyError("unheard of")
    assert not scribe.write(Settled(share_id=1), urgent=True).wait()
    assert "KeyError" in str(scribe.trouble)


def test_whoever_prints_more_than_memory_should_hold_waits_until_it_is_written(scribe, paper):
    paper.gate.clear()
    scribe.write(Settled(share_id=0), urgent=True)
    assert paper.asked.acquire(timeout=PATIENCE_S)
    for _ in range(ROOM_BYTES // CHUNK_BYTES):
        scribe.wait_for_room()
        scribe.hear(1, "stdout", b"x" * CHUNK_BYTES, AT)
    through = threading.Event()
    waiting = threading.Thread(target=lambda: (scribe.wait_for_room(), through.set()))
    waiting.start()
    assert not through.wait(0.05)
    paper.gate.set()
    assert through.wait(PATIENCE_S)
    waiting.join()
    assert scribe.end(outcome(1, ROOM_BYTES), AT).wait()
    assert sum(len(each.content) for each in paper.entries if isinstance(each, Chunk)) == ROOM_BYTES


def test_a_scribe_that_is_closed_has_written_everything_and_takes_nothing_more(paper):
    scribe = Scribe(paper.record, pulse=lambda: None, give_up=lambda: None, kept_bytes=100)
    scribe.start()
    scribe.hear(1, "stdout", b"last words", AT)
    scribe.close()
    assert [each.content for each in paper.entries] == [b"last words"]
    assert not scribe.write(Settled(share_id=1), urgent=True).wait()
    scribe.hear(1, "stdout", b"too late", AT)


def cut(excerpt: Excerpt, captured: CapturedOutput) -> list[Chunk]:
    chunks = list(excerpt.chunks())
    excerpt.end(result(captured), AT)
    return chunks + list(excerpt.chunks())


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_stream_that_is_kept_wholly_is_cut_without_a_gap(size):
    content = bytes(number % 251 for number in range(size))
    excerpt = Excerpt(1, 1 << 30)
    assert excerpt.hear("stdout", content, AT) == size
    chunks = cut(excerpt, CapturedOutput(head=content, size_bytes=size))
    assert b"".join(chunk.content for chunk in chunks) == content
    assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
    assert all(len(chunk.content) <= CHUNK_BYTES for chunk in chunks)


@pytest.mark.parametrize(
    ("size", "kept", "in_memory"),
    [(1000, 100, 1000), (1 << 20, 1000, 1 << 20), (1 << 20, 1000, 5000), (1001, 1000, 10)],
    ids=["all in memory", "longer than the end", "little of the end in memory", "one byte missing"],
)
def test_of_a_longer_stream_the_beginning_and_the_end_are_kept_where_they_were(size, kept, in_memory):
    content = bytes(number % 251 for number in range(size))
    excerpt = Excerpt(1, kept)
    excerpt.hear("stdout", content, AT)
    head, tail = content[: in_memory // 2], content[len(content) - in_memory // 2 :]
    chunks = cut(excerpt, CapturedOutput(head=head, tail=tail, size_bytes=size))
    for chunk in chunks:
        assert content[chunk.offset_bytes :][: len(chunk.content)] == chunk.content
    covered = {
        at for each in chunks for at in range(each.offset_bytes, each.offset_bytes + len(each.content))
    }
    assert sum(len(chunk.content) for chunk in chunks) == len(covered)
    assert covered >= set(range(kept))
    end = min(END_BYTES, in_memory if in_memory == size else in_memory // 2, size - kept)
    assert covered == set(range(kept)) | set(range(size - end, size))
