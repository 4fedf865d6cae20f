"""A campaign of crashes: `chargehand run` killed at any instant, and gone on with until it is over.

The oracle is a ledger that every script writes on its host, a file for each, which no crash touches.
A round is one run: killed, gone on with - and killed again, sometimes - and then held against all `LAWS`.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from chargehand.report.invocation import document
from chargehand.store import Store, open_store
from databases import Postgres
from repository import LINES, Repository, begin, loopback, reached
from sshd import Sshd, wait_until

T = TypeVar("T")
CANARY = "crash-token-4f1c9be27a"
PATIENCE_S = 120
NOT_STARTED = frozenset(("not_started", "skipped", "unreachable", "pending"))

SCRIPT = """\
ledger={ledger}/{{{{ inventory_hostname }}}}
say() {{ echo "$*" >>"$ledger"; sync "$ledger"; }}
say START {round} $$ "$(date +%s.%N)"
echo "{{{{ inventory_hostname }}}} {{{{ input('token') }}}} of round {round}"
sleep {{{{ delay }}}}
trap '' TERM HUP INT PIPE
say END {{{{ code }}}}
exit {{{{ code }}}}
"""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One way to die.

    Attributes:
        after_s: Seconds from the start of the command.
        failpoint: In place of that: ``NAME:TIMES:SIGNAL``.
    """

    after_s: float = 0.0
    failpoint: str = ""


@dataclass(kw_only=True)
class Round:
    """One run, from its launch over its crashes to its end.

    Attributes:
        number: Of the round.
        told: Whether it was asked to end, so that hosts may be cancelled.
        kills: How often it was killed.
        length_s: How long the first command took.
        answers: What the commands that came to an end said: exit code, stdout, stderr.
        document: As `show` tells it; None when no invocation was ever recorded.
        violations: What is wrong.
    """

    number: int
    told: bool = False
    kills: int = 0
    length_s: float = 0.0
    answers: list[tuple[int, str, str]] = field(default_factory=list)
    document: dict[str, Any] | None = None
    violations: list[str] = field(default_factory=list)

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """What every host came to."""
        return {each["host"]: each for each in self.document["results"]} if self.document else {}


class Campaign:
    """Hosts, a repository, a store, and rounds on them.

    Args:
        folder: Must not exist.
        sshd: Answers on as many addresses as there are hosts.
        hosts: How many.
        store: Address of the database; empty means the file of the repository.
        seed: With the number of a round, decides its delays, exit codes and instants.
    """

    def __init__(self, folder: Path, sshd: Sshd, *, hosts: int, store: str = "", seed: int = 0) -> None:
        self.repository = Repository(folder)
        self.sshd = sshd
        self.store = store
        self.seed = seed
        self.ledger = folder / "ledger"
        self.ledger.mkdir()
        self.names = [f"h{number}" for number in range(1, hosts + 1)]
        self.repository.settings(known_hosts_files=[str(sshd.known_hosts)])
        self.repository.environ["CRASH_TOKEN"] = CANARY
        if store:
            self.repository.environ["CHARGEHAND_STORE"] = store

    def crash(self, number: int, length_s: float) -> Round:
        """A round whose run is killed at any instant, and every third time its recovery as well.

        Args:
            number: Of the round.
            length_s: How long an undisturbed run takes.
        """
        chance = random.Random(f"{self.seed}:{number}")
        kills = [Kill(after_s=chance.uniform(0, length_s))]
        while chance.random() < 1 / 3:
            kills.append(Kill(after_s=chance.uniform(0, length_s)))
        return self.launch(number, kills)

    def launch(self, number: int, kills: Sequence[Kill] = ()) -> Round:
        """Run a job, die as told, and go on until it is over."""
        this = Round(number=number, told=any("TERM" in kill.failpoint for kill in kills))
        chance = random.Random(f"{self.seed}:{number}:hosts")
        self._prepare(number, chance)
        waiting = list(kills)
        before = self.newest()
        begun = time.monotonic()
        self._command(this, ["run", "playbooks/job.json", "-o", "json"], waiting.pop(0) if waiting else None)
        this.length_s = time.monotonic() - begun
        found = self.newest()
        if found == before:
            if any(self.ledger.iterdir()):
                this.violations.append("I2 a host was started of a run that nobody knows of")
            this.violations += every_command_ends_well(self, this)
            return this
        for _ in range(len(waiting) + 2):
            if not waiting and not self._unfinished(found):
                break
            words = chance.choice((["resume", str(found), "-o", "json"], ["tick"]))
            self._command(this, words, waiting.pop(0) if waiting else None)
        this.document = document(self._read(lambda store: store.history.find(found).record))
        this.violations += [violation for law in LAWS for violation in law(self, this)]
        return this

    def newest(self) -> int:
        """The id of the newest invocation; 0 when there is none."""
        records = self._read(lambda store: store.history.page(None, limit=1).records)
        return records[0].id if records else 0

    def lines(self, host: str) -> list[list[str]]:
        """What the host itself saw."""
        path = self.ledger / host
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def _read(self, question: Callable[[Store], T]) -> T:
        state = self.repository.root / ".chargehand"
        with open_store(self.store, state=state, clock=lambda: datetime.now(UTC)) as store:
            return question(store)

    def _prepare(self, number: int, chance: random.Random) -> None:
        for path in self.ledger.iterdir():
            path.unlink()
        self.repository.hosts(
            {
                name: reached(
                    self.sshd,
                    address,
                    delay=f"{chance.uniform(0.05, 0.6):.3f}",
                    code=chance.choice((0, 0, 0, 3)),
                )
                for name, address in zip(self.names, self.sshd.addresses, strict=False)
            }
        )
        self.repository.job(
            SCRIPT.format(ledger=self.ledger, round=number),
            template_inputs=[{"name": "token", "required": True, "hidden_value": True}],
            parameters={
                "inputs": {"token": {"env": "CRASH_TOKEN"}},
                "concurrency_control": {"concurrency_level": 5},
            },
        )

    def _unfinished(self, number: int) -> bool:
        return self._read(lambda store: store.history.find(number).record.state) != "stopped"

    def _command(self, this: Round, words: list[str], kill: Kill | None) -> None:
        """Run a command; whether it came to its end, or was killed with all its processes."""
        environ = self.repository.environ | (
            {"CHARGEHAND_FAILPOINT": kill.failpoint} if kill and kill.failpoint else {}
        )
        patience_s = kill.after_s if kill and not kill.failpoint else PATIENCE_S
        root = self.repository.root
        with (
            Path(os.devnull).open("rb") as given,
            (root / "out").open("wb") as out,
            (root / "err").open("wb") as err,
        ):
            program = begin(words, root, environ, given, out, err)
        try:
            program.wait(patience_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            if patience_s == PATIENCE_S:
                this.violations.append(f"I11 `chargehand {' '.join(words)}` does not come to an end")
        stdout, stderr = (root / "out").read_text(), (root / "err").read_text()
        code = program.wait()
        if code < 0:
            this.kills += 1
        else:
            this.answers.append((code, stdout, stderr))
        if "Traceback" in stderr:
            this.violations.append(f"I0 a traceback: {stderr[-3000:]}")


def every_command_ends_well(campaign: Campaign, this: Round) -> Iterator[str]:
    """Beyond the list: what was not killed says how the run ended, and nothing else."""
    for code, _, stderr in this.answers:
        if code not in ((0, 5, 13, 143) if this.told else (0, 5, 13)):
            yield f"I0 a command ended with {code}: {stderr[-2000:]}"


def at_most_one_start(campaign: Campaign, this: Round) -> Iterator[str]:
    """I1."""
    for host in campaign.names:
        starts = [line for line in campaign.lines(host) if line[0] == "START"]
        if len(starts) > 1:
            yield f"I1 {host} started {len(starts)} times: {starts}"


def one_state_for_every_host(campaign: Campaign, this: Round) -> Iterator[str]:
    """I2."""
    assert this.document is not None
    hosts = [each["host"] for each in this.document["results"]]
    if sorted(hosts) != sorted(campaign.names):
        yield f"I2 the hosts are {hosts}, not {campaign.names}"
    state = this.document["task"]["state"]
    pending = [host for host, each in this.results.items() if each["status"] == "pending"]
    if state != "stopped" or pending:
        yield f"I2 the run is {state}, and these are pending: {pending}"


def what_started_is_not_called_unstarted(campaign: Campaign, this: Round) -> Iterator[str]:
    """I3."""
    for host, each in this.results.items():
        if campaign.lines(host) and each["status"] in NOT_STARTED:
            yield f"I3 {host} started and is called {each['status']} ({each['code']}: {each['reason']})"


def success_was_seen_by_the_host(campaign: Campaign, this: Round) -> Iterator[str]:
    """I4."""
    for host, each in this.results.items():
        lines = campaign.lines(host)
        if each["status"] == "succeeded" and (not lines or lines[-1] != ["END", "0"]):
            yield f"I4 {host} is said to have succeeded; the host saw {lines}"


def nothing_that_ended_well_is_unknown(campaign: Campaign, this: Round) -> Iterator[str]:
    """I5: every host can be asked here."""
    for host, each in this.results.items():
        if each["status"] == "unknown" and ["END", "0"] in campaign.lines(host):
            yield f"I5 {host} ended with 0 and is unknown ({each['code']}: {each['reason']})"
        if each["status"] == "unknown" and each["code"] == "not-asked":
            yield f"I5 {host} could not be asked: {each['reason']}"


def nobody_is_left_out(campaign: Campaign, this: Round) -> Iterator[str]:
    """Beyond the list: every host here can run its script, and nobody but a TERM asks it not to."""
    for host, each in this.results.items():
        if not this.told and each["status"] not in ("succeeded", "failed", "unknown"):
            yield f"I2 {host} is {each['status']} ({each['code']}: {each['reason']})"


def output_is_the_hosts_own(campaign: Campaign, this: Round) -> Iterator[str]:
    """I7."""
    for host, each in this.results.items():
        whole = f"{host} *** of round {this.number}\n"
        if not whole.startswith(each["stdout"]):
            yield f"I7 {host} is said to have printed {each['stdout']!r}"
        if each["status"] == "succeeded" and not each["reason"] and each["stdout"] not in ("", whole):
            yield f"I7 {host} printed {whole!r}, kept is {each['stdout']!r}"


def nothing_runs_any_more(campaign: Campaign, this: Round) -> Iterator[str]:
    """I8."""
    with suppress(AssertionError):
        wait_until(lambda: not _running(campaign.repository.work), 15)
    if left := _running(campaign.repository.work):
        yield f"I8 still runs: {left}"


def nothing_is_left_behind(campaign: Campaign, this: Round) -> Iterator[str]:
    """I9."""
    with suppress(AssertionError):
        wait_until(lambda: not campaign.repository.left(), 20)  # a busy host takes its time
    if left := campaign.repository.left():
        yield f"I9 left on hosts: {left}"
        for name in left:
            subprocess.run(["rm", "-rf", campaign.repository.work / name], check=True)


def the_database_is_whole(campaign: Campaign, this: Round) -> Iterator[str]:
    """I10, and I6: what makes firings unique is a constraint of the database."""
    path = campaign.repository.root / ".chargehand" / "history.db"
    if campaign.store or not path.exists():
        return
    connection = sqlite3.connect(path)
    try:
        for check in ("PRAGMA quick_check", "PRAGMA foreign_key_check"):
            said = connection.execute(check).fetchall()
            if said not in ([], [("ok",)]):
                yield f"I10 {check}: {said}"
    finally:
        connection.close()


def no_secret_is_kept(campaign: Campaign, this: Round) -> Iterator[str]:
    """I12."""
    for path in (campaign.repository.root / ".chargehand").rglob("*"):
        if path.is_file() and CANARY.encode() in path.read_bytes():
            yield f"I12 the secret is in {path}"
    for code, stdout, stderr in this.answers:
        if CANARY in stdout + stderr:
            yield f"I12 the secret was printed by a command that ended with {code}"


LAWS: Sequence[Callable[[Campaign, Round], Iterator[str]]] = (
    every_command_ends_well,
    at_most_one_start,
    one_state_for_every_host,
    what_started_is_not_called_unstarted,
    success_was_seen_by_the_host,
    nothing_that_ended_well_is_unknown,
    nobody_is_left_out,
    output_is_the_hosts_own,
    nothing_runs_any_more,
    nothing_is_left_behind,
    the_database_is_whole,
    no_secret_is_kept,
)


def _running(work: Path) -> list[str]:
    """Processes of scripts that lie in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"{work}/.chargehand-" in words:
                found.append(words)
    return found


def say(line: str) -> None:
    """Tell how it goes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _address(store: str) -> Iterator[str]:
    """The address of a database, which may be one of a server made for it."""
    if store != "postgresql":
        yield store
        return
    with closing(Postgres()) as server:
        yield server.create()


def main() -> int:
    """Make so many kills, and print what was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kills", type=int, help="how many kills")
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument(
        "--store", default="", help="address of a database, or `postgresql` for a server of its own"
    )
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().getrandbits(32), help="to repeat one"
    )
    parser.add_argument("--first", type=int, default=1, help="number of the first round, to repeat one")
    asked = parser.parse_args()
    say(f"seed {asked.seed}, {asked.hosts} hosts, {asked.store or 'SQLite'}")
    kills, violations, ends = 0, 0, Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="crashes-") as folder,
        _address(asked.store) as store,
        Sshd(Path(folder) / "sshd", addresses=loopback(asked.hosts), lines=LINES) as sshd,
    ):
        campaign = Campaign(
            Path(folder) / "repository", sshd, hosts=asked.hosts, store=store, seed=asked.seed
        )
        number, length_s = asked.first, 0.0
        while kills < asked.kills:
            if (number - asked.first) % 25 == 0:  # the machine may be more or less busy now
                length_s = campaign.launch(0).length_s
            this = campaign.crash(number, length_s)
            kills += this.kills
            violations += len(this.violations)
            ends.update(f"{each['status']} {each['code']}".strip() for each in this.results.values())
            for violation in this.violations:
                say(f"round {number}: {violation}")
            if number % 25 == 0 or this.violations:
                say(f"{number} rounds, {kills} kills, {violations} violations; {dict(ends)}")
            number += 1
    say(f"{number - asked.first} rounds, {kills} kills, {violations} violations; {dict(ends)}")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
