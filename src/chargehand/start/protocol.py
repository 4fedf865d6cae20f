"""StartProtocol: the conversation that starts one script on a host at most once, as bytes in and bytes out.

Knows no socket and no clock; `conduct` moves the bytes. The order of things on the wire::

    we: the request line                          host: noise of start-up files
                                                  host: BECOME     the switching program runs now
    we: the password, to its own prompt, once     host: prompt
                                                  host: READY      a shell of the effective user
    we: wrapper, script (before READY when no password can be asked for: one round trip)
                                                  host: START      the script is complete and runs now
                                                  host: output
    we: stop, perhaps                             host: END status, on both streams
    we: settle, once the result is safe           host: GONE       the folder is removed

BECOME and READY begin with a word of the request; START, REFUSE, END and GONE begin with a second one that
is sent over stdin only, so that nothing a script or a start-up file prints is taken for them.
"""

import re
import secrets
import signal
from collections.abc import Iterator
from enum import IntEnum, auto
from typing import Final

from chargehand.connection import Become
from chargehand.event import Stream
from chargehand.frozen import frozen
from chargehand.provider import NotStarted
from chargehand.script import RenderedScript
from chargehand.start.become import Marks, asks_nothing, compose_request, find_prompt, read_failure
from chargehand.start.record import Record, RecordReader
from chargehand.start.wrapper import Wrapper

NOISE_BYTES: Final = 65536
"""How much of what comes before the start is kept."""


REFUSALS: Final = frozenset(("already-there", "no-space", "no-folder", "upload-cut", "interpreter-missing"))
"""Why the wrapper does not start the script."""


class Phase(IntEnum):
    """How far the conversation has come; it never goes back."""

    REQUESTED = auto()
    SWITCHING = auto()
    READY = auto()
    STARTED = auto()
    ENDED = auto()
    GONE = auto()


@frozen(kw_only=False)
class Started:
    """The script runs now."""


@frozen(kw_only=False)
class Output:
    """The script printed something."""

    stream: Stream
    chunk: bytes


@frozen
class Ended:
    """The script ended.

    Attributes:
        exit_status: None when a signal ended it.
        signal: Name without SIG when a signal ended it.
        stopped: Whether an order of ours, or the loss of the connection, ended it.
        survived: Whether something of a stopped script still runs.
    """

    exit_status: int | None
    signal: str | None
    stopped: bool = False
    survived: bool = False


class StartProtocol:
    """One conversation. Feed it what arrives, send what is in `outgoing`, obey what it yields.

    Attributes:
        request: The line to ask the host for.
        outgoing: Bytes to send; the caller removes what the channel took.
        phase: How far things are.
        end: What the script came to, from the first END on.
    """

    def __init__(self, script: RenderedScript, *, folders: tuple[str, ...] = (), pty: bool = False) -> None:
        self.pty = pty
        self.outgoing = bytearray()
        self.phase = Phase.REQUESTED
        self.end: Ended | None = None
        self._become = script.become
        chance = secrets.token_hex(48)
        self._marks = Marks(left=chance[:16], right=chance[16:32], prompt=chance[32:64])
        self.request = compose_request(script.become, self._marks, pty=pty)
        self._wrapper = Wrapper(
            script=script,
            greeting=f": {self._marks.left};",
            nonce=chance[64:],
            name=script.token,
            folders=folders,
            pty=pty,
        )
        public, secret = self._marks.whole.encode(), self._wrapper.nonce.encode()
        self._control: Stream = "stdout" if pty else "stderr"
        streams: tuple[Stream, ...] = ("stdout",) if pty else ("stderr", "stdout")
        self._readers = {stream: RecordReader(secret) for stream in streams}
        self._readers[self._control].mark = public
        self._running: set[Stream] = set()
        self._ended: set[Stream] = set()
        self._noise = {stream: bytearray() for stream in streams}
        self._said = ""
        self._answered = 0
        self._asked = False
        self._sent = False
        if asks_nothing(script.become) and not pty:
            self._send_script()

    @property
    def committed(self) -> bool:
        """Whether the whole script left our hands, so that it may run though we never hear of it."""
        return self._sent and not self.outgoing

    @property
    def noise(self) -> str:
        """What the host printed before the script started, without our own words."""
        parts = (bytes(noise).decode("utf-8", "backslashreplace").strip() for noise in self._noise.values())
        text = "\n".join(part for part in parts if part).replace("\r\n", "\n")
        for word in (f"[{self._marks.prompt}]:", self._marks.prompt):
            text = text.replace(word, "")
        return text.strip()

    @property
    def complete(self) -> bool:
        """Whether END was read on every stream, so that no output is missing."""
        return self._ended == set(self._readers)

    def feed(self, stdout: bytes, stderr: bytes) -> Iterator[Started | Output | Ended]:
        """Take in what arrived.

        Raises:
            NotStarted: The script did not start and will not.
        """
        arrived: dict[Stream, bytes] = {"stderr": stderr, "stdout": stdout}
        for stream, reader in self._readers.items():
            if arrived[stream]:
                for item in reader.feed(arrived[stream]):
                    yield from (
                        self._obey(stream, item) if isinstance(item, Record) else self._hear(stream, item)
                    )

    def stop(self, grace_s: int) -> None:
        """Order the end of the script: TERM, and KILL after `grace_s`."""
        self.outgoing += b"stop %d\n" % grace_s

    def settle(self) -> None:
        """Order the removal of the folder."""
        self.outgoing += b"settle\n"

    def closed(self) -> NotStarted:
        """What it means that the host closed the channel before START."""
        noise = self.noise
        shown = noise.splitlines()[-1][:200] if noise else "nothing was printed"
        if self.phase is Phase.SWITCHING and self._become is not None:
            code = read_failure(self._said)
            if code == "no-start" and self._asked:
                code = "become-wrong-password"
            return NotStarted(
                code, f"{self._become.method} to {self._become.user} failed: {shown}", noise=noise
            )
        return NotStarted("no-start", f"the account runs no command: {shown}", noise=noise)

    def overdue(self) -> NotStarted:
        """What it means that the start took too long."""
        noise = self.noise
        said = self._said[self._answered :].strip()
        if self.phase is Phase.SWITCHING and self._become is not None and said:
            asked = said.splitlines()[-1][:200]
            return NotStarted(
                "become-prompt", f"{self._become.method} waits for an answer: {asked}", noise=noise
            )
        reason = "the script was not started in time; a start-up file of the login shell may be slow"
        return NotStarted("start-timeout", reason, noise=noise)

    def _hear(self, stream: Stream, chunk: bytes) -> Iterator[Started | Output | Ended]:
        if stream in self._ended:
            return  # a child left behind; END has told the result
        if stream in self._running:
            yield Output(stream, chunk)
            return
        noise = self._noise[stream]
        noise += chunk[: NOISE_BYTES // 2 - len(noise)]
        if stream == self._control and self.phase is Phase.SWITCHING:
            text = chunk.decode("utf-8", "replace").replace("\r", "\n")
            self._said += text[: NOISE_BYTES - len(self._said)]
            self._answer(self._become)

    def _answer(self, become: Become | None) -> None:
        """Give the password to the prompt it belongs to, once."""
        if become is None or not find_prompt(become.method, self._said[self._answered :], self._marks):
            return
        self._answered = len(self._said)
        if become.password is None:
            raise NotStarted(
                "become-password-required",
                f"{become.method} asks for a password, none was given",
                noise=self.noise,
            )
        if self._asked:
            raise NotStarted(
                "become-wrong-password", f"{become.method} to {become.user}: wrong password", noise=self.noise
            )
        if "\n" in become.password.reveal():
            raise NotStarted(
                "become-wrong-password", "a password of several lines cannot be given", noise=self.noise
            )
        self._asked = True
        self.outgoing += become.password.reveal().encode() + b"\n"

    def _obey(self, stream: Stream, record: Record) -> Iterator[Started | Output | Ended]:
        if self._readers[stream].mark == self._marks.whole.encode():
            self._proceed(record)
            return
        match record.word:
            case "REFUSE" if self.phase < Phase.STARTED:
                code, _, reason = record.rest.partition(" ")
                raise NotStarted(code if code in REFUSALS else "no-start", reason, noise=self.noise)
            case "START":
                self._running.add(stream)
                if self.phase < Phase.STARTED:
                    self.phase = Phase.STARTED
                    yield Started()
            case "END" if self.phase >= Phase.STARTED:
                self._ended.add(stream)
                if self.end is None and (end := read_end(record.rest)):
                    self.phase = Phase.ENDED
                    self.end = end
                    yield end
            case "GONE":
                self.phase = Phase.GONE
            case _:
                pass  # a word out of its turn decides nothing

    def _proceed(self, record: Record) -> None:
        """Obey what comes before the wrapper: its mark stands in the request, so no more is believed."""
        if record.word == "BECOME" and self.phase is Phase.REQUESTED:
            self.phase = Phase.SWITCHING
        elif record.word == "READY":
            self.phase = Phase.READY
            self._readers[self._control].mark = self._wrapper.nonce.encode()
            self._send_script()

    def _send_script(self) -> None:
        if not self._sent:
            self._sent = True
            self.outgoing += self._wrapper.encode()


def read_end(rest: str) -> Ended | None:
    """Read ``status halted text`` of an END record; None when a host sends something else.

    The status of a shell does not tell `exit 137` from a KILL; what it says beside does, and ksh counts
    signals from 256. Where shells stay silent (INT, PIPE, zsh) it is told as the exit status it also is.
    """
    found = re.fullmatch(r"(\d{1,3}) (-|gone|alive)(?: (.*))?", rest)
    if not found:
        return None
    number, halted, said = int(found[1]), found[2], (found[3] or "").strip()
    of_signal = number - 256 if number > 256 else number - 128 if number > 128 and said else 0
    return Ended(
        exit_status=None if of_signal else number,
        signal=_signal_name(of_signal) if of_signal else None,
        stopped=halted != "-",
        survived=halted == "alive",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
