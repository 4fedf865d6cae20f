"""``chargehand output``: what scripts printed, of a run that is over or goes on."""

import os
import sys
import time
from collections.abc import Iterator
from typing import Final

from chargehand.cli import screen
from chargehand.cli.remembered import Remembered, now, remembered
from chargehand.cli.requests.history import OutputRequest
from chargehand.errors import UsageError
from chargehand.event import Stream
from chargehand.past import Stored, StoredChunk
from chargehand.report.forge import Forge, forge_of
from chargehand.report.history import Account, status_words
from chargehand.report.listening import Gaps, NamedLines, Sizes, WholeText, left_out
from chargehand.result import HostResult

PAUSE_S: Final = 0.25
UNKNOWN: Final = 13
"""Exit code when nobody can say how the run ends."""

_BOTH: Final[tuple[Stream, Stream]] = ("stdout", "stderr")


def output(request: OutputRequest) -> int:
    """Print what was printed; with ``--follow`` until the run ends, and end as it did."""
    with remembered() as past:
        number = past.find_id(request.id)
        stored = past.history.find(number, with_output=False)
        heard = _Heard(past, number, _streams(request), request.host)
        if request.raw:
            heard.hand_on(_only_host(stored, request))
            return 0
        single = request.host is not None or len(stored.shares) == 1
        teller = (WholeText if single else NamedLines)(timestamps=request.timestamps)
        if request.follow:
            code = _follow(past, heard, teller, number)
            heard.finish()
            return code
        heard.tell(teller)
        heard.end(teller, stored)
        heard.finish()
        _note_state(past.account(stored))
    return 0


class _Heard:
    """What one invocation printed so far, asked for again and again.

    Args:
        past: The history.
        number: Of the invocation.
        streams: Those that are told.
        host: Whose; None means everybody's.
    """

    def __init__(self, past: Remembered, number: int, streams: tuple[Stream, ...], host: str | None) -> None:
        self._history = past.history
        self._number = number
        self._streams = streams
        self._host = host
        self._known: dict[str, int] = {}
        self._ended: set[str] = set()
        self._forge = forge_of(os.environ)
        self._unwritten = ""

    def tell(self, teller: WholeText | NamedLines) -> None:
        """Tell what is new."""
        for chunk in self._new():
            self._write(teller.feed(chunk))

    def end(self, teller: WholeText | NamedLines, stored: Stored) -> None:
        """Tell what is left of hosts that are done."""
        for result in self._done(stored):
            if result.host not in self._ended:
                self._ended.add(result.host)
                self._write(teller.end(result.host, self._sizes(result), now()))

    def finish(self) -> None:
        """Write what waits for the end of its line."""
        sys.stdout.write(self._forge.inert(self._unwritten))
        self._unwritten = ""

    def _write(self, text: str) -> None:
        """Write text; where the log obeys lines only whole ones, for a part may look harmless."""
        text = self._unwritten + text
        cut = text.rfind("\n") + 1 if self._forge is Forge.GITHUB else len(text)
        self._unwritten = text[cut:]
        if cut:
            sys.stdout.write(self._forge.inert(text[:cut]))

    def hand_on(self, stored: Stored) -> None:
        """The bytes as they are: of one stream to stdout, of both each to its own."""
        gaps = Gaps()
        for chunk in self._new():
            missing = gaps.before(chunk)
            if missing:
                screen.note(left_out(missing))
            target = sys.stdout if chunk.stream == "stdout" or len(self._streams) == 1 else sys.stderr
            target.buffer.write(chunk.content)
            target.buffer.flush()
        for result in self._done(stored):
            for missing in gaps.at_end(result.host, self._sizes(result)).values():
                screen.note(left_out(missing))

    def _new(self) -> Iterator[StoredChunk]:
        for chunk in self._history.outputs(self._number, self._host, self._known):
            self._known[chunk.host_name] = chunk.sequence
            if chunk.stream in self._streams:
                yield chunk

    def _done(self, stored: Stored) -> Iterator[HostResult]:
        results = (share.result for share in stored.shares if self._host in (None, share.host_name))
        return (result for result in results if result is not None)

    def _sizes(self, result: HostResult) -> Sizes:
        sizes: Sizes = {"stdout": result.stdout.size_bytes, "stderr": result.stderr.size_bytes}
        return {stream: sizes[stream] for stream in self._streams}


def _follow(past: Remembered, heard: _Heard, teller: WholeText | NamedLines, number: int) -> int:
    """Tell of a run until it ends; its exit code."""
    waited = False
    while True:
        stored = past.history.find(number, with_output=False)
        account = past.account(stored)
        # Asked before the output is read: what a run printed is in the store before it is over.
        heard.tell(teller)
        heard.end(teller, stored)
        if stored.record.state == "stopped":
            _note_state(account)
            return stored.exit_code or 0
        if stored.runner_id is not None and not account.alive:
            screen.note(f"nobody carries {number} out any more: `chargehand resume {number}`")
            return UNKNOWN
        if stored.runner_id is None and not waited:
            waited = True
            _note_state(account)
        sys.stdout.flush()
        time.sleep(PAUSE_S)


def _streams(request: OutputRequest) -> tuple[Stream, ...]:
    if request.stdout and request.stderr:
        return _BOTH
    return ("stdout",) if request.stdout else ("stderr",) if request.stderr else _BOTH


def _only_host(stored: Stored, request: OutputRequest) -> Stored:
    """The invocation, when `--raw` may print what its host did."""
    if request.follow or request.timestamps:
        raise UsageError(
            "--raw prints the bytes and nothing else: it goes with neither --follow nor --timestamps"
        )
    if request.host is None and len(stored.shares) > 1:
        raise UsageError(
            f"{stored.record.id} ran on {len(stored.shares)} hosts: say whose bytes --raw is to print"
        )
    if sys.stdout.isatty():
        raise UsageError(
            "--raw does not print to a terminal, which would obey what a host sent; use a file or a pipe"
        )
    return stored


def _note_state(account: Account) -> None:
    if account.record.state != "stopped":
        screen.note(f"{account.record.id} is {status_words(account.record)}")
